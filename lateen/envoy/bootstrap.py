"""The bootstrap: what an Envoy knows before it has spoken to anyone."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from lateen.envoy import reconnection, statistics
from lateen.envoy.addresses import ANY_ADDRESS
from lateen.envoy.clusters import stat_name
from lateen.envoy.listeners import LOOPBACK
from lateen.model.statistics import USUAL, Statistics
from lateen.model.workload import NOWHERE, Locality
from lateen.names import (
    CONTROL_PLANE_HOST,
    LOCAL_CLUSTER,
    METRICS_CLUSTER,
    MIXER_CLUSTER,
    OWN_ROOT_SECRET,
    PROXY_SOCKET_MARK,
    SDS_CLUSTER,
    TRACES_CLUSTER,
    WORKLOAD_SECRET,
)

ADMIN_PORT: Final = 15000
HEALTH_PORT: Final = 15021
METRICS_PORT: Final = 15090
MERGED_METRICS_PORT: Final = 15020
XDS_CLUSTER: Final = "xds-grpc"
ADMIN_CLUSTER: Final = "lateen-admin"

_OWNER_ONLY: Final = 0o600
_MOST_CONNECTIONS: Final = 100_000
_LARGEST_REGEX: Final = 32_768
_SPANS_WAIT_MILLISECONDS: Final = 1000
_FORMATS_IN_RATE_LIMITS: Final = "envoy.reloadable_features.enable_formatter_for_ratelimit_action_descriptor_value"
_EXTENSIONS: Final = "type.googleapis.com/envoy.extensions"

_OVER_ADS: Final = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
_RECONNECTION: Final = {
    "retry_back_off": {
        "base_interval": f"{reconnection.SHORTEST.total_seconds():g}s",
        "max_interval": f"{reconnection.LONGEST.total_seconds():g}s",
    }
}


def bootstrap(
    node_id: str,
    cluster: str,
    *,
    xds_socket: str,
    sds_socket: str,
    admin_socket: str,
    mixer_socket: str,
    traces_socket: str,
    metrics_socket: str = "",
    metrics_path: str = "",
    metadata: Mapping[str, object] | None = None,
    locality: Locality = NOWHERE,
    knows_replicas: bool = False,
    kept: Statistics = USUAL,
    connections: int | None = None,
    runtime: Mapping[str, str] = MappingProxyType({}),
    version: str = "",
    socket_mark: int | None = PROXY_SOCKET_MARK,
    admin_port: int = ADMIN_PORT,
    health_port: int = HEALTH_PORT,
    metrics_port: int = METRICS_PORT,
) -> dict[str, Any]:
    """Say a proxy's bootstrap as JSON: everything else comes over the socket `xds_socket`.

    That one is TLS, with the workload's certificate, which comes over the socket `sds_socket` before. The admin
    interface is at `admin_socket`, for its own user only, from the first moment on; on loopback it can be reached
    once the configuration has come, as all listeners. Where a policy needs it, the Mixer process is asked at
    `mixer_socket`, and spans for the mesh's own collector go to `traces_socket`. What is read at port 15020 comes from
    `metrics_socket`, at `metrics_path`; without one the port is not open. `cluster` is the name of the service that
    the proxy stands for, and `locality` where it is. One that `knows_replicas` asks for the endpoints of its own
    service, to compare where they are with where others are. `kept` are its statistics, and `version` is what
    `istio_build` says of it. It takes so many `connections` at once, and has `runtime` values of Envoy's
    own.
    `socket_mark` marks the proxy's own connections, so that they are not captured; None leaves them unmarked, where
    nothing is captured or marks are not permitted.
    """
    manager: dict[str, Any] = {} if socket_mark is None else {"upstream_bind_config": _marked(socket_mark)}
    if knows_replicas:
        manager["local_cluster_name"] = LOCAL_CLUSTER
    return {
        "node": {"id": node_id, "cluster": cluster, "metadata": dict(metadata or {}), **_place(locality)},
        "admin": {"address": {"pipe": {"path": admin_socket, "mode": _OWNER_ONLY}}},
        **({"cluster_manager": manager} if manager else {}),
        "dynamic_resources": _dynamic_resources(),
        "static_resources": {
            "clusters": [
                _sds_cluster(sds_socket),
                _xds_cluster(xds_socket),
                _pipe_cluster(ADMIN_CLUSTER, admin_socket),
                _mixer_cluster(mixer_socket),
                _pipe_cluster(TRACES_CLUSTER, traces_socket),
                *((_pipe_cluster(METRICS_CLUSTER, metrics_socket),) if metrics_socket else ()),
                *((_local_cluster(),) if knows_replicas else ()),
                *statistics.sink_clusters(kept),
            ],
            "listeners": [
                _admin_listener(admin_port),
                _metrics_listener(metrics_port, version, kept),
                *((_merged_metrics_listener(metrics_path, version, kept),) if metrics_socket else ()),
                _single_path_listener("health", health_port, "/healthz/ready", "/ready"),
            ],
        },
        **statistics.statistics(kept),
        "layered_runtime": _layered_runtime(runtime),
        "overload_manager": _overload_manager(connections or _MOST_CONNECTIONS),
    }


def _dynamic_resources() -> dict[str, Any]:
    """Say the one stream of deltas; without a timeout, so that no proxy is ready before it has its configuration."""
    return {
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [{"envoy_grpc": {"cluster_name": XDS_CLUSTER, "retry_policy": _RECONNECTION}}],
        },
        "cds_config": _OVER_ADS,
        "lds_config": _OVER_ADS,
    }


def _xds_cluster(socket: str) -> dict[str, Any]:
    """Say the control plane; a connection to one that hangs is found out within half a minute."""
    keepalive = {"connection_keepalive": {"interval": "20s", "timeout": "10s"}}
    return {
        **_pipe_cluster(XDS_CLUSTER, socket),
        **_http2(keepalive),
        "transport_socket": _control_plane_tls(),
    }


def _sds_cluster(socket: str) -> dict[str, Any]:
    """Say the node agent, which has the workload's certificate; the socket itself says whose it is."""
    return {**_pipe_cluster(SDS_CLUSTER, socket), **_http2({})}


def _local_cluster() -> dict[str, Any]:
    """Say the workload's own service: nothing is sent there, but zone-aware balancing looks at it."""
    return {
        "name": LOCAL_CLUSTER,
        "alt_stat_name": stat_name(LOCAL_CLUSTER),
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _OVER_ADS},
        "connect_timeout": "1s",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
    }


def _place(locality: Locality) -> dict[str, Any]:
    if locality == NOWHERE:
        return {}
    return {"locality": {"region": locality.region, "zone": locality.zone, "sub_zone": locality.subzone}}


def _mixer_cluster(socket: str) -> dict[str, Any]:
    """Say the Mixer process; no connection is made before the first question."""
    return {**_pipe_cluster(MIXER_CLUSTER, socket), **_http2({})}


def _http2(options: Mapping[str, object]) -> dict[str, Any]:
    return {
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": dict(options)},
            }
        }
    }


def _control_plane_tls() -> dict[str, Any]:
    """Say TLS with the control plane. Its host name is asked for: an account of that name could be had by anybody."""
    host = {"san_type": "DNS", "matcher": {"exact": CONTROL_PLANE_HOST}}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_EXTENSIONS}.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": CONTROL_PLANE_HOST,
            "common_tls_context": {
                "alpn_protocols": ["h2"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
                "tls_certificate_sds_secret_configs": [_secret(WORKLOAD_SECRET)],
                "combined_validation_context": {
                    "default_validation_context": {"match_typed_subject_alt_names": [host]},
                    "validation_context_sds_secret_config": _secret(OWN_ROOT_SECRET),
                },
            },
        },
    }


def _secret(name: str) -> dict[str, Any]:
    """Say a secret of the node agent, in the same words as elsewhere: then Envoy asks for it once."""
    agent = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": SDS_CLUSTER, "retry_policy": _RECONNECTION}}],
    }
    source = {"api_config_source": agent, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}


def _pipe_cluster(name: str, path: str) -> dict[str, Any]:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": path}}}}]}]
    return {
        "name": name,
        "alt_stat_name": stat_name(name),
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


def _admin_listener(port: int) -> dict[str, Any]:
    """Say the way to the admin interface from inside the proxy's network namespace."""
    tcp_proxy = {
        "@type": f"{_EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": ADMIN_CLUSTER,
        "cluster": ADMIN_CLUSTER,
    }
    return {
        "name": "admin",
        "address": _address(LOOPBACK, port),
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": tcp_proxy}]}],
    }


def _metrics_listener(port: int, version: str, kept: Statistics) -> dict[str, Any]:
    """Say the port at which the proxy's own metrics are read."""
    log = statistics.build_log(version) if version else {}
    listener = _single_path_listener("metrics", port, "/stats/prometheus", "/stats/prometheus", log=log)
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"][:0] = [*statistics.compressing(kept), statistics.expanding()]
    return {**listener, "per_connection_buffer_limit_bytes": statistics.LARGEST_PAGE_BYTES}


def _merged_metrics_listener(path: str, version: str, kept: Statistics) -> dict[str, Any]:
    """Say the port at which the proxy's metrics are read together with its application's."""
    log = statistics.build_log(version) if version else {}
    listener = _single_path_listener(
        "merged-metrics", MERGED_METRICS_PORT, "/stats/prometheus", path, METRICS_CLUSTER, log=log
    )
    listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"][:0] = statistics.compressing(kept)
    return listener


def _single_path_listener(
    name: str,
    port: int,
    path: str,
    target_path: str,
    cluster: str = ADMIN_CLUSTER,
    *,
    log: Mapping[str, object] = MappingProxyType({}),
) -> dict[str, Any]:
    """Say a port at which one path, of the admin interface if nothing else is said, can be read, and nothing else."""
    route = {
        "match": {"path": path, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
        "route": {"cluster": cluster, "prefix_rewrite": target_path},
    }
    router = {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"}
    manager = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        **log,
        "internal_address_config": {},
        "route_config": {"name": name, "virtual_hosts": [{"name": name, "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "name": name,
        "address": _address(ANY_ADDRESS, port),
        "filter_chains": [{"filters": filters}],
        # A proxy that is full is still alive, and says so.
        "ignore_global_conn_limit": True,
    }


def _layered_runtime(written: Mapping[str, str]) -> dict[str, Any]:
    """Say the settings that differ from Envoy's; what users have written wins.

    Regular expressions may be as large as people write them; spans are on their way within a second; requests are
    described to rate limits by formats.
    """
    settings = {
        "re2.max_program_size.error_level": _LARGEST_REGEX,
        "tracing.zipkin.flush_interval_ms": _SPANS_WAIT_MILLISECONDS,
        "tracing.opentelemetry.flush_interval_ms": _SPANS_WAIT_MILLISECONDS,
        _FORMATS_IN_RATE_LIMITS: True,
        **written,
    }
    return {"layers": [{"name": "static", "static_layer": settings}]}


def _overload_manager(connections: int) -> dict[str, Any]:
    """Say a bound for connections: the usual one only a fault would reach, but without one Envoy warns at its start."""
    limit = {
        "@type": f"{_EXTENSIONS}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        "max_active_downstream_connections": connections,
    }
    name = "envoy.resource_monitors.global_downstream_max_connections"
    return {"resource_monitors": [{"name": name, "typed_config": limit}]}


def _marked(mark: int) -> dict[str, Any]:
    option = {"description": "SO_MARK", "level": 1, "name": 36, "int_value": mark, "state": "STATE_PREBIND"}
    return {"socket_options": [option]}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
