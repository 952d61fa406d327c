"""The HTTP connection manager: a connection becomes requests, and each is looked up in a route table."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.envoy import audit_logs, local_replies, routes, stats_logs, tracing
from lateen.envoy.access_logs import request_logs
from lateen.envoy.clusters import ads_config_source
from lateen.envoy.http_filters import http3_offer, order
from lateen.envoy.side import Side
from lateen.envoy.standard_tags import Vantage
from lateen.envoy.values import NONE_AT_ALL, duration, typed
from lateen.plan.telemetry_types import Reports
from lateen.plan.types import BASE_PATHS, NO_GUARD, Guard, HttpChain, PathReading

NAME: Final = "envoy.filters.network.http_connection_manager"
SERVER_NAME: Final = "istio-envoy"

_CERTIFICATE_DETAILS: Final = hcm_pb2.HttpConnectionManager.SetCurrentClientCertDetails(uri=True, dns=True, cert=False)


def http_connection_manager(
    plan: HttpChain,
    vantage: Vantage,
    stat_prefix: str,
    reports: Reports,
    operation: str = "",
    *,
    guard: Guard = NO_GUARD,
    policies: str = "",
    paths: PathReading = BASE_PATHS,
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
    _read_requests(message, paths)
    _trust_client(message, side)
    message.xff_num_trusted_hops = trusted_proxies
    tracing.write_tracing(message, reports.tracing)
    _look_up(message, plan, operation)
    if over_quic:
        message.codec_type = hcm_pb2.HttpConnectionManager.HTTP3
        message.http3_protocol_options.SetInParent()
    if offers_http3:
        message.http_filters.append(http3_offer.http_filter())
    message.http_filters.extend(order.http_filters(side, guard, policies))
    if (replies := local_replies.local_reply_config(guard)) is not None:
        message.local_reply_config.CopyFrom(replies)
    return listener_components_pb2.Filter(name=NAME, typed_config=typed(message))


@contextmanager
def opened(step: Any) -> Iterator[Any]:
    """Unwrap the HTTP connection manager of a filter while the block changes it."""
    manager = hcm_pb2.HttpConnectionManager.FromString(step.typed_config.value)
    yield manager
    step.typed_config.CopyFrom(typed(manager))


def _look_up(message: Any, plan: HttpChain, operation: str) -> None:
    """Write where routes are: in the chain itself, or in a table that comes over the stream."""
    if plan.inline is not None:
        message.route_config.CopyFrom(routes.route_configuration(plan.inline, operation))
        return
    message.rds.route_config_name = plan.table
    message.rds.config_source.CopyFrom(ads_config_source())


def _read_requests(message: Any, paths: PathReading) -> None:
    """Write what is accepted: any HTTP, WebSockets, and what is done to paths before rules and routes see them."""
    message.http_protocol_options.accept_http_10 = True
    message.normalize_path.value = paths.normalizes
    message.merge_slashes = paths.merges_slashes
    actions = hcm_pb2.HttpConnectionManager
    message.path_with_escaped_slashes_action = (
        actions.UNESCAPE_AND_FORWARD if paths.decodes_slashes else actions.KEEP_UNCHANGED
    )
    message.strip_trailing_host_dot = True
    message.upgrade_configs.add(upgrade_type="websocket")


def _trust_client(message: Any, side: Side) -> None:
    """Write what is believed of the client.

    A gateway takes the connection's address for the client's and drops what a client may not say; in the mesh, the
    first proxy has done so. Only at the edge are streams without traffic cut off: in the mesh, the applications decide.
    """
    message.use_remote_address.value = side is Side.GATEWAY
    message.internal_address_config.SetInParent()
    if side is not Side.GATEWAY:
        message.stream_idle_timeout.CopyFrom(duration(NONE_AT_ALL))
    if side is not Side.OUTBOUND:
        message.server_name = SERVER_NAME
        details = hcm_pb2.HttpConnectionManager
        message.forward_client_cert_details = details.SANITIZE_SET if side is Side.GATEWAY else details.APPEND_FORWARD
        message.set_current_client_cert_details.CopyFrom(_CERTIFICATE_DETAILS)
        message.set_current_client_cert_details.subject.value = True
