"""Filter chains: what becomes of the connections that a match picks."""

from dataclasses import dataclass
from typing import Any

from envoy.config.listener.v3 import listener_components_pb2

from lateen.envoy.listener_filters import HTTP_PROTOCOLS
from lateen.envoy.network_filters import http_connection_manager, tcp_proxy
from lateen.envoy.side import Side
from lateen.names import BLACK_HOLE_CLUSTER
from lateen.plan.types import AccessLog, Chain, HttpChain, SniffedChain, Target, TcpChain


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a chain stands: what all its filters are told. `operation` is for the traces of inline routes."""

    side: Side
    stat_prefix: str
    access_log: AccessLog
    operation: str = ""


def filter_chain(name: str, plan: HttpChain | TcpChain, setting: Setting, port: int | None = None) -> Any:
    """Say what becomes of connections, of those to `port` where it is given."""
    chain = listener_components_pb2.FilterChain(name=name, filters=[_network_filter(plan, setting)])
    if port is not None:
        chain.filter_chain_match.destination_port.value = port
    return chain


def filter_chains(name: str, plan: Chain, setting: Setting, port: int | None = None) -> list[Any]:
    """Say the one or two chains of a plan: where the protocol is detected, HTTP has its own."""
    if not isinstance(plan, SniffedChain):
        return [filter_chain(name, plan, setting, port)]
    http = filter_chain(f"{name}-http", plan.http, setting, port)
    match_http(http)
    return [http, filter_chain(name, plan.tcp, setting, port)]


def match_http(chain: Any) -> None:
    """Pick only the connections in which HTTP was detected.

    Nothing else is asked for: Envoy never goes back from a half fulfilled match to a chain that asks for less.
    """
    chain.filter_chain_match.application_protocols.extend(HTTP_PROTOCOLS)


def black_hole(name: str, port: int, access_log: AccessLog) -> Any:
    """Close connections that were made to the capture port itself: forwarded, they would come back for ever."""
    nowhere = TcpChain((Target(BLACK_HOLE_CLUSTER),))
    return filter_chain(name, nowhere, Setting(Side.INBOUND, BLACK_HOLE_CLUSTER, access_log), port)


def _network_filter(plan: HttpChain | TcpChain, setting: Setting) -> Any:
    if isinstance(plan, TcpChain):
        return tcp_proxy.tcp_proxy(plan, setting.access_log)
    return http_connection_manager.http_connection_manager(
        plan, setting.side, setting.stat_prefix, setting.access_log, setting.operation
    )
