"""Filter chains: what becomes of the connections that a match picks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from envoy.config.listener.v3 import listener_components_pb2

from lateen.envoy.listener_filters import HTTP_PROTOCOLS
from lateen.envoy.network_filters import (
    authorization,
    http_connection_manager,
    offered_protocols,
    peer_facts,
    server_name_resolver,
    tcp_proxy,
)
from lateen.envoy.server_sockets import quic_socket, server_socket
from lateen.envoy.side import Side
from lateen.envoy.standard_tags import Vantage
from lateen.envoy.transport_sockets import MESH_HTTP_PROTOCOLS, MESH_TCP_PROTOCOLS, mesh_server
from lateen.envoy.values import duration
from lateen.names import BLACK_HOLE_CLUSTER
from lateen.plan.http_types import USUAL_MANNER, HttpManner
from lateen.plan.telemetry_types import Reports
from lateen.plan.types import (
    NO_GUARD,
    Arrival,
    Chain,
    EndedTls,
    Guard,
    HttpChain,
    MeshTrust,
    NamedChain,
    SniffedChain,
    SubnetChain,
    Target,
    TcpChain,
    Way,
)

_TLS: Final = "tls"
_PLAIN: Final = "raw_buffer"
_MESH: Final = (Arrival.MESH, Arrival.MESH_ONLY)
_TRANSPORT: Final = {
    Arrival.ANY: "",
    Arrival.PLAIN: "raw_buffer",
    Arrival.MESH: "tls",
    Arrival.MESH_ONLY: "tls",
    Arrival.OWN_TLS: "tls",
}
_NAMES: Final = {
    Arrival.ANY: "",
    Arrival.PLAIN: "",
    Arrival.MESH: "mtls",
    Arrival.MESH_ONLY: "mtls",
    Arrival.OWN_TLS: "tls",
}
_HANDSHAKE_TIMEOUT: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a chain stands: what all its filters are told. `operation` is for the traces of inline routes.

    With `is_mutual`, all that comes has the mesh's TLS. So many `trusted_proxies` stand before it and say who calls.
    With `over_quic`, requests come in HTTP/3; with `offers_http3`, answers say that they may.
    `policies` names the resource with the filters that the guard comes to for requests.
    """

    side: Side
    stat_prefix: str
    reports: Reports
    operation: str = ""
    guard: Guard = NO_GUARD
    manner: HttpManner = USUAL_MANNER
    is_mutual: bool = False
    trusted_proxies: int = 0
    over_quic: bool = False
    offers_http3: bool = False
    policies: str = ""

    @property
    def vantage(self) -> Vantage:
        """From where its calls are seen."""
        return Vantage(self.side, self.is_mutual)


def filter_chain(name: str, plan: HttpChain | TcpChain, setting: Setting, port: int | None = None) -> Any:
    """Say what becomes of connections, of those to `port` where it is given."""
    chain = listener_components_pb2.FilterChain(name=name, filters=list(_network_filters(plan, setting)))
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


def way_in(name: str, plan: Way, trust: MeshTrust, setting: Setting, port: int | None = None) -> Any:
    """Say a way into the workload: which connections take it, what they prove, and what becomes of them."""
    is_http = isinstance(plan.carries, HttpChain)
    setting = replace(setting, is_mutual=plan.arrival in _MESH)
    chain = filter_chain(_way_name(name, plan), plan.carries, setting, port)
    chain.filter_chain_match.transport_protocol = _TRANSPORT[plan.arrival]
    chain.filter_chain_match.application_protocols.extend(_protocols(plan))
    if plan.arrival in _MESH:
        chain.transport_socket.CopyFrom(mesh_server(trust, is_http=is_http))
        chain.transport_socket_connect_timeout.CopyFrom(duration(_HANDSHAKE_TIMEOUT))
    elif plan.tls is not None:
        chain.transport_socket.CopyFrom(server_socket(plan.tls, is_http=is_http))
        chain.transport_socket_connect_timeout.CopyFrom(duration(_HANDSHAKE_TIMEOUT))
    return chain


def named_chain(name: str, plan: NamedChain, setting: Setting) -> Any:
    """Say what becomes of TLS connections for some server names, or for all that no other chain is for."""
    setting = replace(setting, offers_http3=plan.http3)
    chain = filter_chain("|".join((name, *plan.server_names[:1])), plan.chain, setting)
    chain.filter_chain_match.transport_protocol = _TLS
    chain.filter_chain_match.server_names.extend(plan.server_names)
    if plan.tls is not None:
        chain.transport_socket.CopyFrom(server_socket(plan.tls, is_http=isinstance(plan.chain, HttpChain)))
        chain.transport_socket_connect_timeout.CopyFrom(duration(_HANDSHAKE_TIMEOUT))
    return chain


def subnet_chain(name: str, plan: SubnetChain, setting: Setting) -> Any:
    """Say what becomes of connections to addresses in some subnets."""
    chain = filter_chain(f"{name}|{plan.subnets[0]}", plan.chain, setting)
    for subnet in plan.subnets:
        address, _, length = subnet.partition("/")
        chain.filter_chain_match.prefix_ranges.add(address_prefix=address).prefix_len.value = int(length)
    return chain


def quic_chain(name: str, plan: NamedChain, setting: Setting) -> Any:
    """Say what becomes of requests in HTTP/3 for some server names; TLS is a part of QUIC itself."""
    setting = replace(setting, over_quic=True, offers_http3=True)
    chain = filter_chain("|".join((name, *plan.server_names[:1])), plan.chain, setting)
    chain.filter_chain_match.server_names.extend(plan.server_names)
    if isinstance(plan.tls, EndedTls):
        chain.transport_socket.CopyFrom(quic_socket(plan.tls))
    return chain


def match_not_tls(chain: Any) -> None:
    """Leave out TLS, whose offered protocols look like detected ones where the listener looks at both."""
    chain.filter_chain_match.transport_protocol = _PLAIN


def _protocols(plan: Way) -> tuple[str, ...]:
    """List the application protocols of which the connections on a way have one.

    Envoy never goes back from a half fulfilled match to a chain that asks for less: of the ways that ask for the same
    transport, exactly one asks for no protocol, except where all that come have one.
    """
    if plan.arrival in (Arrival.ANY, Arrival.PLAIN):
        return HTTP_PROTOCOLS if plan.is_http else ()
    if plan.arrival in _MESH and plan.is_http:
        return MESH_HTTP_PROTOCOLS
    if plan.arrival is Arrival.MESH:
        return MESH_TCP_PROTOCOLS if plan.is_http is False else (*MESH_TCP_PROTOCOLS, *MESH_HTTP_PROTOCOLS)
    return ()


def _way_name(name: str, plan: Way) -> str:
    return "-".join(filter(None, (name, _NAMES[plan.arrival], "http" if plan.is_http else "")))


def match_http(chain: Any) -> None:
    """Pick only the connections in which HTTP was detected.

    Nothing else is asked for: Envoy never goes back from a half fulfilled match to a chain that asks for less.
    """
    chain.filter_chain_match.application_protocols.extend(HTTP_PROTOCOLS)


def black_hole(name: str, port: int, reports: Reports) -> Any:
    """Close connections that were made to the capture port itself: forwarded, they would come back for ever."""
    nowhere = TcpChain((Target(BLACK_HOLE_CLUSTER),))
    return filter_chain(name, nowhere, Setting(Side.INBOUND, BLACK_HOLE_CLUSTER, reports), port)


def _network_filters(plan: HttpChain | TcpChain, setting: Setting) -> Iterator[Any]:
    if setting.is_mutual:
        yield peer_facts.peer_facts()
    if isinstance(plan, TcpChain):
        if plan.says_tcp:
            yield offered_protocols.offered_protocols(MESH_TCP_PROTOCOLS)
        yield from authorization.network_filters(setting.guard)
        if plan.resolves_name is not None:
            yield server_name_resolver.server_name_resolver(plan.resolves_name)
        yield tcp_proxy.tcp_proxy(plan, setting.reports, setting.vantage, setting.guard)
    else:
        yield http_connection_manager.http_connection_manager(
            plan,
            setting.vantage,
            setting.stat_prefix,
            setting.reports,
            setting.operation,
            guard=setting.guard,
            manner=setting.manner,
            policies=setting.policies,
            trusted_proxies=setting.trusted_proxies,
            over_quic=setting.over_quic,
            offers_http3=setting.offers_http3,
        )
