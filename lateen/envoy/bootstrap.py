"""The bootstrap: what an Envoy knows before it has spoken to anyone."""

from collections.abc import Mapping
from typing import Any, Final

from lateen.envoy.addresses import ANY_ADDRESS
from lateen.envoy.clusters import stat_name
from lateen.envoy.listeners import LOOPBACK
from lateen.names import CONTROL_PLANE_HOST, PROXY_SOCKET_MARK, ROOT_SECRET, SDS_CLUSTER, WORKLOAD_SECRET

ADMIN_PORT: Final = 15000
HEALTH_PORT: Final = 15021
METRICS_PORT: Final = 15090
XDS_CLUSTER: Final = "xds-grpc"
ADMIN_CLUSTER: Final = "lateen-admin"

_OWNER_ONLY: Final = 0o600
_MOST_CONNECTIONS: Final = 100_000
_LARGEST_REGEX: Final = 32_768
_EXTENSIONS: Final = "type.googleapis.com/envoy.extensions"

_KEPT_PREFIXES: Final = ("cluster_manager.", "listener_manager.", "server.", f"cluster.{XDS_CLUSTER};.", "wasm")
_KEPT_SUFFIXES: Final = ("rbac.allowed", "rbac.denied", "shadow_allowed", "shadow_denied")
_KEPT_PATTERNS: Final = (
    r"vhost\..*\.route\..*",
    r"cluster\..*;\.upstream_rq_(\d\d\d|\dxx|total|active|time|timeout|retry|pending_overflow)",
    r"cluster\..*;\.upstream_cx_(total|active|connect_fail|overflow|rx_bytes_total|tx_bytes_total)",
    r"cluster\..*;\.(membership_healthy|membership_total|outlier_detection\.ejections_active)",
    r"http\..*;\.(downstream_rq_(\dxx|total|time)|fault\.(aborts|delays)_injected)",
)
"""What the live table, the dashboards and a person who looks for a fault need; all else costs memory a cluster."""

_RECONNECTION: Final = {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}}
"""A control plane that comes back is found at once: it is near, and Envoy's own pauses grow to half a minute."""

_TAGS: Final = {
    "cluster_name": r"^cluster\.((.+?);\.)",
    "http_conn_manager_prefix": r"^http\.((.+?);\.)",
    "response_code": r"_rq(_(\d{3}))$",
    "response_code_class": r"_rq(_(\dxx))$",
}
"""Parts of statistics' names that become labels: the outer group is cut out of the name, the inner one is the value."""


def bootstrap(
    node_id: str,
    cluster: str,
    *,
    xds_socket: str,
    sds_socket: str,
    admin_socket: str,
    metadata: Mapping[str, object] | None = None,
    socket_mark: int | None = PROXY_SOCKET_MARK,
    admin_port: int = ADMIN_PORT,
    health_port: int = HEALTH_PORT,
    metrics_port: int = METRICS_PORT,
) -> dict[str, Any]:
    """Say a proxy's bootstrap as JSON: everything else comes over the socket `xds_socket`.

    That one is TLS, with the workload's certificate, which comes over the socket `sds_socket` before. The admin
    interface is at `admin_socket`, for its own user only, from the first moment on; on loopback it can be reached
    once the configuration has come, as all listeners. `cluster` is the name of the service that the proxy stands for.
    `socket_mark` marks the proxy's own connections, so that they are not captured; None leaves them unmarked, where
    nothing is captured or marks are not permitted.
    """
    manager = {} if socket_mark is None else {"cluster_manager": {"upstream_bind_config": _marked(socket_mark)}}
    return {
        "node": {"id": node_id, "cluster": cluster, "metadata": dict(metadata or {})},
        "admin": {"address": {"pipe": {"path": admin_socket, "mode": _OWNER_ONLY}}},
        **manager,
        "dynamic_resources": _dynamic_resources(),
        "static_resources": {
            "clusters": [
                _sds_cluster(sds_socket),
                _xds_cluster(xds_socket),
                _pipe_cluster(ADMIN_CLUSTER, admin_socket),
            ],
            "listeners": [
                _admin_listener(admin_port),
                _single_path_listener("metrics", metrics_port, "/stats/prometheus", "/stats/prometheus"),
                _single_path_listener("health", health_port, "/healthz/ready", "/ready"),
            ],
        },
        "stats_config": _stats_config(),
        # Histograms are as old as this when somebody reads them.
        "stats_flush_interval": "1s",
        # A thousand clusters of which a few are used shall not cost the statistics of a thousand.
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "layered_runtime": _layered_runtime(),
        "overload_manager": _overload_manager(),
    }


def _dynamic_resources() -> dict[str, Any]:
    """Say the one stream of deltas; without a timeout, so that no proxy is ready before it has its configuration."""
    over_ads = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [{"envoy_grpc": {"cluster_name": XDS_CLUSTER, "retry_policy": _RECONNECTION}}],
        },
        "cds_config": over_ads,
        "lds_config": over_ads,
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
                    "validation_context_sds_secret_config": _secret(ROOT_SECRET),
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


def _single_path_listener(name: str, port: int, path: str, admin_path: str) -> dict[str, Any]:
    """Say a port at which one path of the admin interface can be read, and nothing else."""
    route = {
        "match": {"path": path, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
        "route": {"cluster": ADMIN_CLUSTER, "prefix_rewrite": admin_path},
    }
    router = {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"}
    manager = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
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


def _stats_config() -> dict[str, Any]:
    patterns = [
        *({"prefix": prefix} for prefix in _KEPT_PREFIXES),
        *({"suffix": suffix} for suffix in _KEPT_SUFFIXES),
        *({"safe_regex": {"regex": pattern}} for pattern in _KEPT_PATTERNS),
    ]
    return {
        "use_all_default_tags": False,
        "stats_tags": [{"tag_name": name, "regex": regex} for name, regex in _TAGS.items()],
        "stats_matcher": {"inclusion_list": {"patterns": patterns}},
    }


def _layered_runtime() -> dict[str, Any]:
    """Say the settings that differ from Envoy's: regular expressions may be as large as people write them."""
    return {"layers": [{"name": "static", "static_layer": {"re2.max_program_size.error_level": _LARGEST_REGEX}}]}


def _overload_manager() -> dict[str, Any]:
    """Say a bound for connections that only a fault would reach; without one, Envoy warns at every start."""
    limit = {
        "@type": f"{_EXTENSIONS}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        "max_active_downstream_connections": _MOST_CONNECTIONS,
    }
    name = "envoy.resource_monitors.global_downstream_max_connections"
    return {"resource_monitors": [{"name": name, "typed_config": limit}]}


def _marked(mark: int) -> dict[str, Any]:
    option = {"description": "SO_MARK", "level": 1, "name": 36, "int_value": mark, "state": "STATE_PREBIND"}
    return {"socket_options": [option]}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
