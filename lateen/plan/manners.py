"""Settles how a class of proxies speaks HTTP, out of MeshConfig, its `defaultConfig` and the workload's annotation."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import TypeVar

from lateen.api.mesh.connection_settings import NO_SETTINGS, ConnectionSettings, EscapedSlashes, at_gateway
from lateen.api.mesh.mesh_config import Normalization, ProxyDefaults
from lateen.api.mesh.proxy_headers import ForwardClientCertificate
from lateen.api.mesh.proxy_headers import ProxyHeaders as WrittenHeaders
from lateen.model.proxy import Role
from lateen.plan.directory import Directory
from lateen.plan.http_types import (
    LOOKS_FOR,
    SERVER_NAME,
    USUAL_HEADERS,
    CertificateDetail,
    HttpManner,
    PathReading,
    ProxyHeaders,
)
from lateen.plan.types import Cluster, Forward, Route, RouteTable, VirtualHost

T = TypeVar("T")


def manner(directory: Directory) -> HttpManner:
    """Settle how the proxies of a class speak HTTP."""
    view = directory.view
    is_gateway = view.role is Role.GATEWAY
    written = directory.proxy.connection_settings or NO_SETTINGS
    bounds = at_gateway(written) if is_gateway else written
    return HttpManner(
        _with_bounds(path_reading(view.mesh.path_normalization.normalization), bounds),
        headers(directory.proxy, is_gateway=is_gateway),
        bounds,
        LOOKS_FOR if view.mesh.protocol_detection_timeout is None else view.mesh.protocol_detection_timeout,
    )


def path_reading(normalization: Normalization) -> PathReading:
    """Say what MeshConfig's path normalization does to paths."""
    return PathReading(
        normalizes=normalization is not Normalization.NONE,
        merges_slashes=normalization in (Normalization.MERGE_SLASHES, Normalization.DECODE_AND_MERGE_SLASHES),
        escaped_slashes=(
            EscapedSlashes.FORWARD if normalization is Normalization.DECODE_AND_MERGE_SLASHES else EscapedSlashes.KEEP
        ),
    )


def _with_bounds(reading: PathReading, bounds: ConnectionSettings) -> PathReading:
    """Let what is said of connections win over what is said of the mesh's paths."""
    merges, escaped = bounds.http_merge_slashes, bounds.http_path_with_escaped_slashes_action
    return replace(
        reading,
        merges_slashes=reading.merges_slashes if merges is None else merges,
        escaped_slashes=reading.escaped_slashes if escaped is EscapedSlashes.UNSPECIFIED else escaped,
    )


def headers(proxy: ProxyDefaults, *, is_gateway: bool) -> ProxyHeaders:
    """Read which headers a proxy writes. What gateways do with certificates is said by `gatewayTopology` alone."""
    written = proxy.proxy_headers or WrittenHeaders()
    topology = proxy.gateway_topology
    certificate = written.forwarded_client_cert
    if is_gateway:
        certificate = topology.forward_client_cert_details if topology else ForwardClientCertificate.UNDEFINED
    return ProxyHeaders(
        server=_server(written),
        makes_request_ids=not (written.request_id and written.request_id.disabled),
        counts_attempts=not (written.attempt_count and written.attempt_count.disabled),
        tells_envoy=not (written.envoy_debug_headers and written.envoy_debug_headers.disabled),
        certificate=None if certificate is ForwardClientCertificate.UNDEFINED else certificate,
        details=tuple(_details(written)),
        keeps_case=bool(written.preserve_http1_header_case),
        appends_host=bool(written.x_forwarded_host and written.x_forwarded_host.enabled),
        appends_port=bool(written.x_forwarded_port and written.x_forwarded_port.enabled),
    )


def _server(written: WrittenHeaders) -> str | None:
    if written.server is None:
        return SERVER_NAME
    return None if written.server.disabled else written.server.value or SERVER_NAME


def _details(written: WrittenHeaders) -> Iterable[CertificateDetail]:
    chosen = written.set_current_client_cert_details
    for detail in CertificateDetail:
        said = getattr(chosen, detail.value) if chosen is not None else None
        if said if said is not None else detail in USUAL_HEADERS.details:
            yield detail


def clusters(found: Iterable[Cluster], settled: HttpManner, directory: Directory) -> tuple[Cluster, ...]:
    """Lay what a class of proxies says of its connections over its clusters; unchanged ones are the same objects."""
    buffer, keeps_case = settled.bounds.cluster_per_connection_buffer_limit_bytes, settled.headers.keeps_case
    if buffer is None and not keeps_case:
        return tuple(found)

    def change(cluster: Cluster) -> Cluster:
        return replace(cluster, keeps_case=keeps_case, buffer_bytes=buffer)

    return _each("cluster's manner", found, (buffer, keeps_case), change, directory)


def tables(found: Iterable[RouteTable], settled: HttpManner, directory: Directory) -> tuple[RouteTable, ...]:
    """Lay what a class of proxies says of headers over its route tables."""
    told = settled.headers
    if told.counts_attempts and not told.appends_host:
        return tuple(found)
    values = (told.counts_attempts, told.appends_host)

    def change(table: RouteTable) -> RouteTable:
        hosts = _each("host's manner", table.virtual_hosts, values, lambda host: _host(host, told), directory)
        return replace(table, virtual_hosts=hosts)

    return _each("table's manner", found, values, change, directory)


def _each(
    kind: str, parts: Iterable[T], values: tuple[Hashable, ...], change: Callable[[T], T], directory: Directory
) -> tuple[T, ...]:
    """Change parts of a plan, each once for all plans that it is in."""
    return tuple(_once(kind, part, values, change, directory) for part in parts)


def _once(kind: str, part: T, values: tuple[Hashable, ...], change: Callable[[T], T], directory: Directory) -> T:
    return directory.cache.recall(kind, (part,), values, lambda: change(part))


def _host(host: VirtualHost, told: ProxyHeaders) -> VirtualHost:
    routes = tuple(map(_with_host, host.routes)) if told.appends_host else host.routes
    return replace(host, routes=routes, counts_attempts=told.counts_attempts)


def _with_host(route: Route) -> Route:
    """Have a route that writes another host say which one it was."""
    action = route.action
    if not isinstance(action, Forward) or not (_writes_host(action)):
        return route
    return replace(route, action=replace(action, appends_host=True))


def _writes_host(action: Forward) -> bool:
    return bool(action.rewrite and action.rewrite.authority) or any(one.authority for one in action.targets)
