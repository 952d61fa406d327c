"""The dashboards: of the mesh, a service, a workload, and the control plane.

`scripts/write-dashboards` writes them to `deploy/grafana/`. Queries are for a Prometheus that scrapes what the mesh's
`/sd` lists.
"""

from typing import Final

from lateen.telemetry.dashboard_types import Curve, Dashboard, Panel, Variable, quantiles, rate, share, total

_REQUESTS: Final = "istio_requests_total"
_DURATION: Final = "istio_request_duration_milliseconds"
_AT_SOURCE: Final = 'reporter="source"'
_ARRIVED: Final = 'reporter="destination"'
_FAILED: Final = 'response_code=~"5.."'
_CLIENT_FAULT: Final = 'response_code=~"4.."'
_SERVICE: Final = ("destination_service_name", "destination_service_namespace")
_SERVICE_LEGEND: Final = "{{destination_service_name}}.{{destination_service_namespace}}"

MESH: Final = Dashboard(
    "mesh",
    "Lateen / Mesh",
    (
        Panel("Requests", (Curve(total(rate(_REQUESTS, _AT_SOURCE)), "requests"),), "reqps", 6, "stat"),
        Panel(
            "Failed",
            (Curve(share(total(rate(_REQUESTS, _AT_SOURCE, _FAILED)), total(rate(_REQUESTS, _AT_SOURCE))), "5xx"),),
            "percentunit",
            6,
            "stat",
        ),
        Panel(
            "Refused or wrong",
            (
                Curve(
                    share(total(rate(_REQUESTS, _AT_SOURCE, _CLIENT_FAULT)), total(rate(_REQUESTS, _AT_SOURCE))), "4xx"
                ),
            ),
            "percentunit",
            6,
            "stat",
        ),
        Panel(
            "With mutual TLS",
            (
                Curve(
                    share(
                        total(rate(_REQUESTS, _ARRIVED, 'connection_security_policy="mutual_tls"')),
                        total(rate(_REQUESTS, _ARRIVED)),
                    ),
                    "mutual TLS",
                ),
            ),
            "percentunit",
            6,
            "stat",
        ),
        Panel(
            "Requests by service",
            (Curve(total(rate(_REQUESTS, _AT_SOURCE), *_SERVICE), _SERVICE_LEGEND),),
            "reqps",
            12,
        ),
        Panel(
            "Failures by service",
            (Curve(total(rate(_REQUESTS, _AT_SOURCE, _FAILED), *_SERVICE), _SERVICE_LEGEND),),
            "reqps",
            12,
        ),
        Panel("Latency", quantiles(_DURATION, _AT_SOURCE), "ms", 12),
        Panel(
            "Latency by service (p90)",
            (
                Curve(
                    f"histogram_quantile(0.9, {total(rate(f'{_DURATION}_bucket', _AT_SOURCE), 'le', *_SERVICE)})",
                    _SERVICE_LEGEND,
                ),
            ),
            "ms",
            12,
        ),
        Panel(
            "TCP by service",
            (
                Curve(total(rate("istio_tcp_sent_bytes_total", _AT_SOURCE), *_SERVICE), f"{_SERVICE_LEGEND} sent"),
                Curve(
                    total(rate("istio_tcp_received_bytes_total", _AT_SOURCE), *_SERVICE), f"{_SERVICE_LEGEND} received"
                ),
            ),
            "Bps",
            12,
        ),
        Panel(
            "TCP connections opened",
            (Curve(total(rate("istio_tcp_connections_opened_total", _AT_SOURCE), *_SERVICE), _SERVICE_LEGEND),),
            "short",
            12,
        ),
    ),
)

_TO_SERVICE: Final = 'destination_service=~"$service"'

SERVICE: Final = Dashboard(
    "service",
    "Lateen / Service",
    (
        Panel(
            "Requests by caller",
            (
                Curve(
                    total(rate(_REQUESTS, _ARRIVED, _TO_SERVICE), "source_workload", "source_workload_namespace"),
                    "{{source_workload}}.{{source_workload_namespace}}",
                ),
            ),
            "reqps",
        ),
        Panel(
            "Answers by status",
            (Curve(total(rate(_REQUESTS, _ARRIVED, _TO_SERVICE), "response_code"), "{{response_code}}"),),
            "reqps",
        ),
        Panel(
            "What went wrong",
            (
                Curve(
                    total(
                        rate(_REQUESTS, _AT_SOURCE, _TO_SERVICE, 'response_flags!="-"'),
                        "response_flags",
                        "source_workload",
                    ),
                    "{{source_workload}} {{response_flags}}",
                ),
            ),
            "reqps",
        ),
        Panel("Latency at the caller", quantiles(_DURATION, _AT_SOURCE, _TO_SERVICE), "ms"),
        Panel("Latency at the service", quantiles(_DURATION, _ARRIVED, _TO_SERVICE), "ms"),
        Panel(
            "Requests by version",
            (
                Curve(
                    total(rate(_REQUESTS, _ARRIVED, _TO_SERVICE), "destination_workload", "destination_version"),
                    "{{destination_workload}} {{destination_version}}",
                ),
            ),
            "reqps",
        ),
        Panel("Size of requests", quantiles("istio_request_bytes", _ARRIVED, _TO_SERVICE), "bytes"),
        Panel("Size of answers", quantiles("istio_response_bytes", _ARRIVED, _TO_SERVICE), "bytes"),
        Panel(
            "Mutual TLS",
            (
                Curve(
                    total(rate(_REQUESTS, _ARRIVED, _TO_SERVICE), "connection_security_policy"),
                    "{{connection_security_policy}}",
                ),
            ),
            "reqps",
        ),
        Panel(
            "TCP",
            (
                Curve(total(rate("istio_tcp_sent_bytes_total", _ARRIVED, _TO_SERVICE)), "sent"),
                Curve(total(rate("istio_tcp_received_bytes_total", _ARRIVED, _TO_SERVICE)), "received"),
            ),
            "Bps",
        ),
    ),
    (Variable("service", _REQUESTS, "destination_service"),),
)

_OF_WORKLOAD: Final = 'destination_workload=~"$workload",destination_workload_namespace=~"$namespace"'
_BY_WORKLOAD: Final = 'source_workload=~"$workload",source_workload_namespace=~"$namespace"'
_POD: Final = 'namespace=~"$namespace",pod=~"$workload.*"'

WORKLOAD: Final = Dashboard(
    "workload",
    "Lateen / Workload",
    (
        Panel(
            "Requests to it, by status",
            (Curve(total(rate(_REQUESTS, _ARRIVED, _OF_WORKLOAD), "response_code"), "{{response_code}}"),),
            "reqps",
        ),
        Panel("Latency of its answers", quantiles(_DURATION, _ARRIVED, _OF_WORKLOAD), "ms"),
        Panel(
            "Who calls it",
            (
                Curve(
                    total(rate(_REQUESTS, _ARRIVED, _OF_WORKLOAD), "source_workload", "source_principal"),
                    "{{source_workload}} {{source_principal}}",
                ),
            ),
            "reqps",
        ),
        Panel(
            "Whom it calls",
            (
                Curve(
                    total(rate(_REQUESTS, _AT_SOURCE, _BY_WORKLOAD), "destination_service"), "{{destination_service}}"
                ),
            ),
            "reqps",
        ),
        Panel(
            "Latency of what it calls",
            quantiles(_DURATION, _AT_SOURCE, _BY_WORKLOAD, by=("destination_service",)),
            "ms",
        ),
        Panel(
            "Failed calls",
            (
                Curve(
                    total(rate(_REQUESTS, _AT_SOURCE, _BY_WORKLOAD, _FAILED), "destination_service", "response_flags"),
                    "{{destination_service}} {{response_flags}}",
                ),
            ),
            "reqps",
        ),
        Panel(
            "Memory of its proxy",
            (Curve(f"envoy_server_memory_allocated{{{_POD}}}", "{{pod}}"),),
            "bytes",
        ),
        Panel(
            "Connections of its proxy",
            (Curve(f"sum by (pod) (envoy_server_total_connections{{{_POD}}})", "{{pod}}"),),
        ),
        Panel(
            "Configuration that its proxy refused",
            (Curve(total(rate("envoy_listener_manager_lds_update_rejected", _POD), "pod"), "{{pod}}"),),
        ),
    ),
    (
        Variable("namespace", _REQUESTS, "destination_workload_namespace"),
        Variable("workload", _REQUESTS, "destination_workload"),
    ),
)

CONTROL_PLANE: Final = Dashboard(
    "control-plane",
    "Lateen / Control plane",
    (
        Panel("Connected proxies", (Curve("sum(pilot_xds)", "proxies"),), "short", 6, "stat"),
        Panel("Services", (Curve("pilot_services", "services"),), "short", 6, "stat"),
        Panel("Faults in files", (Curve("lateen_config_violations", "faults"),), "short", 6, "stat"),
        Panel(
            "The root runs out in",
            (Curve("citadel_server_root_cert_expiry_seconds", "root"),),
            "s",
            6,
            "stat",
        ),
        Panel("Proxies by state", (Curve("sum by (state) (lateen_proxies)", "{{state}}"),)),
        Panel("Pushes", (Curve(total(rate("pilot_xds_pushes"), "type"), "{{type}}"),), "ops"),
        Panel("Refusals", (Curve(total(rate("pilot_total_xds_rejects"), "type"), "{{type}}"),), "ops"),
        Panel("Time until a proxy has a change", quantiles("pilot_proxy_convergence_time"), "s"),
        Panel("Time to make a push", quantiles("lateen_push_duration_seconds"), "s"),
        Panel("What made pushes necessary", (Curve(total(rate("pilot_push_triggers"), "type"), "{{type}}"),), "ops"),
        Panel(
            "Certificates",
            (
                Curve(total(rate("citadel_server_success_cert_issuance_count")), "issued"),
                Curve(total(rate("citadel_server_authentication_failure_count")), "strangers refused"),
            ),
            "ops",
        ),
        Panel("Processor", (Curve(rate("process_cpu_seconds_total", 'job="istiod"'), "seconds per second"),)),
        Panel("Memory", (Curve('process_resident_memory_bytes{job="istiod"}', "resident"),), "bytes"),
        Panel(
            "Answers that did not come to scrapes",
            (Curve(total(rate("lateen_scrape_failures_total"), "of"), "{{of}}"),),
        ),
    ),
)

DASHBOARDS: Final = (MESH, SERVICE, WORKLOAD, CONTROL_PLANE)
