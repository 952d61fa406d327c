"""What the two Envoys of the node are told, as the JSON that they read from files. Pure.

The *edge* is in the host's network, the *node* proxy in the mesh's; unix sockets in one directory join them:

    host port → edge → HOST-PORT.sock → node → a gateway's address
    host port of UDP → edge → HOST-PORT-udp.sock, each client a CONNECT-UDP of HTTP/2 → node → a gateway's address
    a workload → node (redirected) → egress.sock, with the destination in a PROXY header → edge → the destination

A connection to 10.244.0.254 goes to the host's own loopback, same port.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lateen.platforms.local import interception, links
from lateen.platforms.local.protocol import PublishedPort

Json = dict[str, Any]

EDGE, NODE = "edge", "node"
EGRESS_SOCKET = "egress.sock"
_CONNECT_TIMEOUT = "5s"
_CONNECT_UDP = "CONNECT-UDP"
_SILENT_CLIENT_TIMEOUT = "300s"
_LARGEST_DATAGRAM_BYTES = 9000
_EARLY_DATAGRAMS_BYTES = 65536
_ORIGINAL_DESTINATION = "envoy.network.transport_socket.original_dst_address"
_CLUSTER, _LISTENER = "cluster.v3.Cluster", "listener.v3.Listener"
_ENDPOINTS = "endpoint.v3.ClusterLoadAssignment"
_EXTENSION_TYPE = "type.googleapis.com/envoy.extensions"


def edge_bootstrap(directory: Path) -> Json:
    """How the Envoy in the host's network starts: with the way out, and no port open yet."""
    egress = _listener("egress", _pipe(directory / EGRESS_SOCKET), _filter_chain(_forward("outside")))
    egress["listener_filters"] = [_reads_proxy_header()]
    egress["filter_chains"].append(
        {
            "name": "host",
            "filter_chain_match": {"prefix_ranges": [{"address_prefix": str(links.HOST), "prefix_len": 32}]},
            "filters": [_towards_loopback(), _forward("outside")],
        }
    )
    outside = {
        "name": "outside",
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": _CONNECT_TIMEOUT,
    }
    return _bootstrap(EDGE, directory, [egress], [outside])


def node_bootstrap(directory: Path) -> Json:
    """How the Envoy in the mesh's network starts: taking what is for the outside, as the rules redirect it."""
    egress = _listener(
        "egress",
        {"socket_address": {"address": "0.0.0.0", "port_value": interception.EGRESS_PORT}},
        _filter_chain(_forward("egress")),
    )
    egress["listener_filters"] = [_extension("original_dst", "filters.listener.original_dst.v3.OriginalDst")]
    towards_edge = _pipe_cluster("egress", directory / EGRESS_SOCKET)
    towards_edge["transport_socket"] = _proxy_header()
    return _bootstrap(NODE, directory, [egress], [towards_edge])


def edge_resources(ports: Sequence[PublishedPort], directory: Path) -> dict[str, Json]:
    """The edge's files, name → content, in the order in which they are to be put in place."""
    return {
        "edge-clusters.json": _discovered(
            _CLUSTER,
            (
                *(_telling(each, _pipe_cluster(port_name(each), _socket(directory, each))) for each in ports),
                *(_tunnel_cluster(each, directory) for each in _with_udp(ports)),
            ),
        ),
        "edge-listeners.json": _discovered(
            _LISTENER, (*map(_port_listener, ports), *map(_datagram_listener, _with_udp(ports)))
        ),
    }


def node_resources(ports: Sequence[PublishedPort], directory: Path) -> dict[str, Json]:
    """The node proxy's files, name → content, in the order in which they are to be put in place.

    Each cluster reads a file of its own: Envoy takes no endpoints from one that has those of others in it.
    """
    return {
        **{_endpoints_file(each): _discovered(_ENDPOINTS, [_endpoints(each)]) for each in ports},
        "node-clusters.json": _discovered(
            _CLUSTER, (_telling(each, _gateway_cluster(each, directory)) for each in ports)
        ),
        "node-listeners.json": _discovered(
            _LISTENER,
            (
                *(_socket_listener(each, directory) for each in ports),
                *(_tunnel_listener(each, directory) for each in _with_udp(ports)),
            ),
        ),
    }


def port_name(port: PublishedPort) -> str:
    """What a published port is called in listeners, clusters and file names, such as `127.0.0.1-8080`."""
    return f"{port.host_address}-{port.host_port}"


def admin_socket(directory: Path, proxy: str) -> Path:
    """Where an Envoy of the node answers questions about itself."""
    return directory / f"{proxy}-admin.sock"


def _bootstrap(name: str, directory: Path, listeners: list[Json], clusters: list[Json]) -> Json:
    return {
        "node": {"id": name, "cluster": "lateen"},
        "admin": {"address": _pipe(admin_socket(directory, name))},
        "dynamic_resources": {
            "cds_config": _watched(directory, f"{name}-clusters.json"),
            "lds_config": _watched(directory, f"{name}-listeners.json"),
        },
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


def _watched(directory: Path, file: str) -> Json:
    place = {"path": str(directory / file), "watched_directory": {"path": str(directory)}}
    return {"path_config_source": place, "resource_api_version": "V3"}


def _discovered(kind: str, resources: Iterable[Json]) -> Json:
    return {"resources": [{"@type": f"type.googleapis.com/envoy.config.{kind}", **each} for each in resources]}


def _port_listener(port: PublishedPort) -> Json:
    address = {"socket_address": {"address": port.host_address, "port_value": port.host_port}}
    listener = _listener(port_name(port), address, _filter_chain(_forward(port_name(port))))
    # otherwise two meshes of one user could both believe that they have the port
    listener["enable_reuse_port"] = False
    return listener


def _socket_listener(port: PublishedPort, directory: Path) -> Json:
    listener = _listener(port_name(port), _pipe(_socket(directory, port)), _filter_chain(_forward(port_name(port))))
    if port.tells_client:
        listener["listener_filters"] = [_reads_proxy_header()]
    return listener


def _with_udp(ports: Iterable[PublishedPort]) -> list[PublishedPort]:
    return [port for port in ports if port.also_udp]


def _udp_name(port: PublishedPort) -> str:
    return f"{port_name(port)}-udp"


def _datagram_listener(port: PublishedPort) -> Json:
    """Say the UDP twin of a port: the datagrams of each client become one stream to the mesh's network."""
    route = _extension("route", "filters.udp.udp_proxy.v3.Route", cluster=_udp_name(port))
    tunnel = {
        "proxy_host": NODE,
        "target_host": NODE,
        "default_target_port": port.host_port,
        "retry_options": {"max_connect_attempts": 2},
        "buffer_options": {"max_buffered_datagrams": 1024, "max_buffered_bytes": _EARLY_DATAGRAMS_BYTES},
    }
    proxy = _extension(
        "udp_proxy",
        "filters.udp.udp_proxy.v3.UdpProxyConfig",
        stat_prefix=_udp_name(port),
        matcher={"on_no_match": {"action": route}},
        session_filters=[_extension("http_capsule", "filters.udp.udp_proxy.session.http_capsule.v3.FilterConfig")],
        tunneling_config=tunnel,
    )
    address = {"protocol": "UDP", "address": port.host_address, "port_value": port.host_port}
    return {
        "name": _udp_name(port),
        "address": {"socket_address": address},
        "udp_listener_config": {"downstream_socket_config": {"max_rx_datagram_size": _LARGEST_DATAGRAM_BYTES}},
        "listener_filters": [proxy],
        "enable_reuse_port": False,
    }


def _tunnel_cluster(port: PublishedPort, directory: Path) -> Json:
    options = _http_options({"http2_protocol_options": {"allow_connect": True}})
    cluster = _pipe_cluster(_udp_name(port), _udp_socket(directory, port))
    return {**cluster, "typed_extension_protocol_options": options}


def _tunnel_listener(port: PublishedPort, directory: Path) -> Json:
    """Say where such streams become datagrams again, on their way to a gateway."""
    unpacked = {
        "cluster": port_name(port),
        "timeout": "0s",
        "idle_timeout": _SILENT_CLIENT_TIMEOUT,
        "upgrade_configs": [{"upgrade_type": _CONNECT_UDP, "connect_config": {}}],
    }
    host = {"name": NODE, "domains": ["*"], "routes": [{"match": {"connect_matcher": {}}, "route": unpacked}]}
    manager = _extension(
        "http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=_udp_name(port),
        codec_type="HTTP2",
        http2_protocol_options={"allow_connect": True},
        upgrade_configs=[{"upgrade_type": _CONNECT_UDP}],
        stream_idle_timeout=_SILENT_CLIENT_TIMEOUT,
        route_config={"virtual_hosts": [host]},
        http_filters=[_extension("router", "filters.http.router.v3.Router")],
    )
    return _listener(_udp_name(port), _pipe(_udp_socket(directory, port)), _filter_chain(manager))


def _http_options(explicit: Json) -> Json:
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {kind: {"@type": f"type.googleapis.com/{kind}", "explicit_http_config": explicit}}


def _telling(port: PublishedPort, cluster: Json) -> Json:
    """Have a cluster pass the client's address on, where that is wanted."""
    return {**cluster, "transport_socket": _proxy_header()} if port.tells_client else cluster


def _proxy_header() -> Json:
    return _extension(
        "upstream_proxy_protocol",
        "transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
        config={"version": "V2"},
        transport_socket=_extension("raw_buffer", "transport_sockets.raw_buffer.v3.RawBuffer"),
    )


def _reads_proxy_header() -> Json:
    return _extension("proxy_protocol", "filters.listener.proxy_protocol.v3.ProxyProtocol")


def _gateway_cluster(port: PublishedPort, directory: Path) -> Json:
    return {
        "name": port_name(port),
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _watched(directory, _endpoints_file(port))},
        "connect_timeout": _CONNECT_TIMEOUT,
    }


def _endpoints_file(port: PublishedPort) -> str:
    return f"node-endpoints-{port_name(port)}.json"


def _endpoints(port: PublishedPort) -> Json:
    addresses = (target.rpartition(":") for target in port.targets)
    members = [
        {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(number)}}}}
        for host, _, number in addresses
    ]
    return {
        "cluster_name": port_name(port),
        "endpoints": [{"lb_endpoints": members}],
    }


def _pipe_cluster(name: str, path: Path) -> Json:
    endpoint = {"endpoint": {"address": _pipe(path)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": _CONNECT_TIMEOUT,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _listener(name: str, address: Json, chain: Json) -> Json:
    return {
        "name": name,
        "address": address,
        "filter_chains": [chain],
    }


def _filter_chain(*filters: Json) -> Json:
    return {"filters": list(filters)}


def _forward(cluster: str) -> Json:
    return _extension("tcp_proxy", "filters.network.tcp_proxy.v3.TcpProxy", stat_prefix=cluster, cluster=cluster)


def _towards_loopback() -> Json:
    destination = {"text_format_source": {"inline_string": "127.0.0.1:%DOWNSTREAM_LOCAL_PORT%"}}
    override = {"object_key": _ORIGINAL_DESTINATION, "format_string": destination}
    return _extension("set_filter_state", "filters.network.set_filter_state.v3.Config", on_new_connection=[override])


def _extension(name: str, kind: str, **settings: Any) -> Json:
    return {"name": name, "typed_config": {"@type": f"{_EXTENSION_TYPE}.{kind}", **settings}}


def _pipe(path: Path) -> Json:
    return {"pipe": {"path": str(path), "mode": 0o600}}


def _socket(directory: Path, port: PublishedPort) -> Path:
    return directory / f"{port_name(port)}.sock"


def _udp_socket(directory: Path, port: PublishedPort) -> Path:
    return directory / f"{_udp_name(port)}.sock"
