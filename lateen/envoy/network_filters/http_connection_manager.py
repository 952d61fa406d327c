"""The HTTP connection manager: a connection becomes requests, and each is looked up in a route table."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from envoy.config.core.v3 import protocol_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.api.mesh.connection_settings import ConnectionSettings, EscapedSlashes, Underscores
from lateen.api.mesh.proxy_headers import ForwardClientCertificate
from lateen.envoy import audit_logs, header_names, local_replies, routes, stats_logs, tracing
from lateen.envoy.access_logs import request_logs
from lateen.envoy.clusters import ads_config_source
from lateen.envoy.http_filters import http3_offer, order, router
from lateen.envoy.side import Side
from lateen.envoy.standard_tags import Vantage
from lateen.envoy.values import NONE_AT_ALL, duration, typed
from lateen.plan.http_types import (
    SERVER_NAME,
    USUAL_MANNER,
    CertificateDetail,
    HttpManner,
    PathReading,
    ProxyHeaders,
)
from lateen.plan.telemetry_types import Reports
from lateen.plan.types import NO_GUARD, Guard, HttpChain

NAME: Final = "envoy.filters.network.http_connection_manager"
NO_HOST: Final = "host.unknown"
"""The host of a request in HTTP/1.0 that names none, as simple health checks send them. Gateways refuse these."""

_ESCAPED_SLASHES: Final = {
    EscapedSlashes.UNSPECIFIED: hcm_pb2.HttpConnectionManager.KEEP_UNCHANGED,
    EscapedSlashes.KEEP: hcm_pb2.HttpConnectionManager.KEEP_UNCHANGED,
    EscapedSlashes.REJECT: hcm_pb2.HttpConnectionManager.REJECT_REQUEST,
    EscapedSlashes.REDIRECT: hcm_pb2.HttpConnectionManager.UNESCAPE_AND_REDIRECT,
    EscapedSlashes.FORWARD: hcm_pb2.HttpConnectionManager.UNESCAPE_AND_FORWARD,
}
_UNDERSCORES: Final = {
    Underscores.ALLOW: protocol_pb2.HttpProtocolOptions.ALLOW,
    Underscores.REJECT: protocol_pb2.HttpProtocolOptions.REJECT_REQUEST,
    Underscores.DROP: protocol_pb2.HttpProtocolOptions.DROP_HEADER,
}
_TELLING: Final = (ForwardClientCertificate.SANITIZE_SET, ForwardClientCertificate.APPEND_FORWARD)
"""The ways to treat the header about certificates in which something is written into it."""


def http_connection_manager(
    plan: HttpChain,
    vantage: Vantage,
    stat_prefix: str,
    reports: Reports,
    operation: str = "",
    *,
    guard: Guard = NO_GUARD,
    manner: HttpManner = USUAL_MANNER,
    policies: str = "",
    trusted_proxies: int = 0,
    over_quic: bool = False,
    offers_http3: bool = False,
) -> Any:
    """Say how the requests of a chain are read, guarded and routed.

    `operation` names in traces what the requests of an inline table are for, `policies` the resource with the filters
    that policies come to; without it they stand in the chain. `over_quic` reads HTTP/3.
    """
    side = vantage.side
    message = hcm_pb2.HttpConnectionManager(stat_prefix=stat_prefix, access_log=request_logs(reports))
    message.access_log.extend(stats_logs.request_metrics(reports.metrics, vantage))
    message.access_log.extend(audit_logs.http_records(guard, side))
    _read_requests(message, manner.paths)
    if side is not Side.GATEWAY:
        message.http_protocol_options.default_host_for_http_10 = NO_HOST
    _trust_client(message, side, manner.headers)
    message.xff_num_trusted_hops = trusted_proxies
    tracing.write_tracing(message, reports.tracing)
    _look_up(message, plan, operation, side, manner.headers)
    if over_quic:
        message.codec_type = hcm_pb2.HttpConnectionManager.HTTP3
        message.http3_protocol_options.SetInParent()
    if offers_http3:
        message.http_filters.append(http3_offer.http_filter())
    message.http_filters.extend(order.http_filters(side, guard, policies))
    _write_headers(message, side, manner.headers)
    _bound(message, manner.bounds)
    if (replies := local_replies.local_reply_config(guard)) is not None:
        message.local_reply_config.CopyFrom(replies)
    return listener_components_pb2.Filter(name=NAME, typed_config=typed(message))


@contextmanager
def opened(step: Any) -> Iterator[Any]:
    """Unwrap the HTTP connection manager of a filter while the block changes it."""
    manager = hcm_pb2.HttpConnectionManager.FromString(step.typed_config.value)
    yield manager
    step.typed_config.CopyFrom(typed(manager))


def _look_up(message: Any, plan: HttpChain, operation: str, side: Side, headers: ProxyHeaders) -> None:
    """Write where routes are: in the chain itself, or in a table that comes over the stream.

    A server's proxy does not count attempts: that would hide what the client's says of its own.
    """
    if plan.inline is None:
        message.rds.route_config_name = plan.table
        message.rds.config_source.CopyFrom(ads_config_source())
        return
    message.route_config.CopyFrom(routes.route_configuration(plan.inline, operation))
    for host in message.route_config.virtual_hosts:
        host.include_request_attempt_count = headers.counts_attempts and side is not Side.INBOUND
        for route in host.routes:
            if not headers.tells_envoy and route.HasField("decorator"):
                route.decorator.propagate.value = False


def _read_requests(message: Any, paths: PathReading) -> None:
    """Write what is accepted: any HTTP, WebSockets, and what is done to paths before rules and routes see them.

    Whether a client that waits may go on is the server's to say, as are its early hints.
    """
    message.http_protocol_options.accept_http_10 = True
    message.proxy_100_continue = True
    message.normalize_path.value = paths.normalizes
    message.merge_slashes = paths.merges_slashes
    message.path_with_escaped_slashes_action = _ESCAPED_SLASHES[paths.escaped_slashes]
    message.strip_trailing_host_dot = True
    message.upgrade_configs.add(upgrade_type="websocket")


def _trust_client(message: Any, side: Side, headers: ProxyHeaders) -> None:
    """Write what is believed of the client.

    A gateway takes the connection's address for the client's and drops what a client may not say; in the mesh, the
    first proxy has done so. Only at the edge are streams without traffic cut off: in the mesh, the applications decide.
    """
    message.use_remote_address.value = side is Side.GATEWAY
    message.internal_address_config.SetInParent()
    if side is not Side.GATEWAY:
        message.stream_idle_timeout.CopyFrom(duration(NONE_AT_ALL))
    if side is not Side.OUTBOUND:
        _tell_certificate(message, side, headers)


def _tell_certificate(message: Any, side: Side, headers: ProxyHeaders) -> None:
    """Write what servers are told of a client's certificate: at the edge only what we know ourselves."""
    usual = ForwardClientCertificate.SANITIZE_SET if side is Side.GATEWAY else ForwardClientCertificate.APPEND_FORWARD
    mode = headers.certificate or usual
    message.forward_client_cert_details = mode.value
    if mode not in _TELLING:
        return
    details = message.set_current_client_cert_details
    details.subject.value = CertificateDetail.SUBJECT in headers.details
    for detail in headers.details:
        if detail is not CertificateDetail.SUBJECT:
            setattr(details, detail.value, True)


def _write_headers(message: Any, side: Side, headers: ProxyHeaders) -> None:
    """Write which headers there are, and in which form; a client's proxy names itself only where that is asked for."""
    if headers.server is None:
        message.server_header_transformation = hcm_pb2.HttpConnectionManager.PASS_THROUGH
    elif side is not Side.OUTBOUND or headers.server != SERVER_NAME:
        message.server_name = headers.server
    if not headers.makes_request_ids:
        message.generate_request_id.value = False
    if headers.appends_port:
        message.append_x_forwarded_port = True
    if headers.keeps_case:
        message.http_protocol_options.header_key_format.CopyFrom(header_names.as_they_came())
    if not headers.tells_envoy:
        message.http_filters[-1].typed_config.CopyFrom(typed(router.silent()))


def _bound(message: Any, bounds: ConnectionSettings) -> None:
    """Write how much is taken from clients, and for how long; what nobody says is left to Envoy."""
    for name, limit in _lengths(bounds):
        if limit is not None:
            getattr(message, name).CopyFrom(duration(limit))
    common = message.common_http_protocol_options
    for name, limit in _common_lengths(bounds):
        if limit is not None:
            getattr(common, name).CopyFrom(duration(limit))
    if bounds.http_headers_with_underscores_action in _UNDERSCORES:
        common.headers_with_underscores_action = _UNDERSCORES[bounds.http_headers_with_underscores_action]
    for name, amount in _http2_amounts(bounds):
        if amount is not None:
            getattr(message.http2_protocol_options, name).value = amount


def _lengths(bounds: ConnectionSettings) -> Iterator[tuple[str, timedelta | None]]:
    yield "stream_idle_timeout", bounds.http_stream_idle_timeout
    yield "request_timeout", bounds.http_request_timeout
    yield "request_headers_timeout", bounds.http_request_headers_timeout
    yield "drain_timeout", bounds.http_drain_timeout


def _common_lengths(bounds: ConnectionSettings) -> Iterator[tuple[str, timedelta | None]]:
    yield "idle_timeout", bounds.http_idle_timeout
    yield "max_connection_duration", bounds.http_max_connection_duration
    yield "max_stream_duration", bounds.http_max_stream_duration


def _http2_amounts(bounds: ConnectionSettings) -> Iterator[tuple[str, int | None]]:
    yield "max_concurrent_streams", bounds.http_max_concurrent_streams
    yield "initial_stream_window_size", bounds.http2_initial_stream_window_size
    yield "initial_connection_window_size", bounds.http2_initial_connection_window_size
