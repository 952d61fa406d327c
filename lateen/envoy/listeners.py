"""Listeners: of a sidecar's two directions, of a gateway, and of the workload's own DNS."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_pb2

from lateen.envoy import listener_filters
from lateen.envoy.addresses import ANY_ADDRESS, address, udp_address
from lateen.envoy.dns import dns_filter
from lateen.envoy.filter_chains import (
    Setting,
    black_hole,
    filter_chain,
    filter_chains,
    match_http,
    match_not_tls,
    named_chain,
    quic_chain,
    subnet_chain,
    way_in,
)
from lateen.envoy.side import Side
from lateen.model.peers import PeerMode
from lateen.names import DNS_LISTENER, INBOUND_PASSTHROUGH_CLUSTER, VIRTUAL_INBOUND, VIRTUAL_OUTBOUND
from lateen.names import listener as listener_name
from lateen.names import policies as policies_name
from lateen.names import quic_listener as quic_listener_name
from lateen.plan import tls
from lateen.plan.access import connection_access
from lateen.plan.http_types import USUAL_MANNER, HttpManner
from lateen.plan.telemetry_types import Reports
from lateen.plan.types import (
    NO_GUARDS,
    DnsRecord,
    GatewayListener,
    Guard,
    Guards,
    HttpChain,
    InboundPort,
    MeshTrust,
    OutboundListener,
    ProxyPlan,
    SniffedChain,
    TcpChain,
)

OUTBOUND_PORT: Final = 15001
INBOUND_PORT: Final = 15006
DNS_PORT: Final = 15053
LOOPBACK: Final = "127.0.0.1"


def virtual_outbound(fallback: TcpChain, reports: Reports, manner: HttpManner = USUAL_MANNER) -> Any:
    """Say where captured connections arrive: each goes on to the listener of its destination, or to the fallback."""
    setting = Setting(Side.OUTBOUND, VIRTUAL_OUTBOUND, reports)
    message = listener_pb2.Listener(
        name=VIRTUAL_OUTBOUND,
        address=address(ANY_ADDRESS, OUTBOUND_PORT),
        traffic_direction=base_pb2.OUTBOUND,
        filter_chains=[
            black_hole(f"{VIRTUAL_OUTBOUND}-blackhole", OUTBOUND_PORT, reports),
            filter_chain(f"{VIRTUAL_OUTBOUND}-catchall-tcp", fallback, setting),
        ],
    )
    message.use_original_dst.value = True
    _bound(message, manner)
    return message


def outbound_listener(plan: OutboundListener, reports: Reports, manner: HttpManner = USUAL_MANNER) -> Any:
    """Say what becomes of captured connections to one destination; it is no open port.

    Only where the protocol is not known is anything waited for: the server may be the one that speaks first.
    """
    name = listener_name(plan.address, plan.port)
    setting = Setting(Side.OUTBOUND, f"outbound_{name};", reports, manner=manner)
    chains = filter_chains(name, plan.chain, setting)
    chains += [named_chain(name, one, setting) for one in plan.named]
    chains += [subnet_chain(name, one, setting) for one in plan.subnets]
    message = listener_pb2.Listener(
        name=name,
        address=address(plan.address, plan.port),
        traffic_direction=base_pb2.OUTBOUND,
        filter_chains=chains,
    )
    if not plan.opens:
        message.bind_to_port.value = False
    if plan.named:
        listener_filters.detect_tls(message, manner.looks_for)
    if plan.fallback is not None and isinstance(plan.chain, HttpChain):
        match_http(message.filter_chains[0])
        if plan.named:
            match_not_tls(message.filter_chains[0])
        message.default_filter_chain.CopyFrom(filter_chain("PassthroughFilterChain", plan.fallback, setting))
        listener_filters.detect(message, manner.looks_for)
    elif isinstance(plan.chain, SniffedChain):
        listener_filters.detect(message, manner.looks_for)
    _bound(message, manner)
    return message


def virtual_inbound(
    ports: Sequence[InboundPort],
    fallback: TcpChain,
    mode: PeerMode,
    trust: MeshTrust,
    reports: Reports,
    guards: Guards = NO_GUARDS,
    manner: HttpManner = USUAL_MANNER,
) -> Any:
    """Say what becomes of connections into the workload: the ways into each known port, and into all others.

    There is no default chain: whatever takes none of the ways into a port is refused.
    """
    message = listener_pb2.Listener(
        name=VIRTUAL_INBOUND,
        address=address(ANY_ADDRESS, INBOUND_PORT),
        traffic_direction=base_pb2.INBOUND,
        filter_chains=[black_hole(f"{VIRTUAL_INBOUND}-blackhole", INBOUND_PORT, reports)],
        listener_filters=[listener_filters.original_dst()],
    )
    for port in ports:
        setting = _inbound_setting(port, reports, guards.at(port.port), manner)
        message.filter_chains.extend(_inbound_chains(port, trust, setting))
    setting = Setting(Side.INBOUND, VIRTUAL_INBOUND, reports, guard=guards.everywhere, manner=manner)
    others = tls.ways_in(fallback, mode, INBOUND_PASSTHROUGH_CLUSTER)
    message.filter_chains.extend(way_in(VIRTUAL_INBOUND, way, trust, setting) for way in others)
    _inspect(message, ports, mode, manner.looks_for)
    _bound(message, manner)
    return message


def opened_inbound(
    plan: InboundPort, trust: MeshTrust, reports: Reports, guards: Guards = NO_GUARDS, manner: HttpManner = USUAL_MANNER
) -> Any:
    """Say a port of the workload that the proxy opens itself, with the same ways in as where it is captured."""
    setting = _inbound_setting(plan, reports, guards.at(plan.port), manner)
    name = listener_name(plan.opens, plan.port)
    message = listener_pb2.Listener(
        name=name,
        address=address(plan.opens, plan.port),
        traffic_direction=base_pb2.INBOUND,
        filter_chains=[way_in(name, way, trust, setting) for way in tls.ways_into(plan)],
    )
    if _may_be_tls(plan):
        listener_filters.detect_tls(message, manner.looks_for)
    if _may_be_plain_http(plan):
        listener_filters.detect(message, manner.looks_for)
    _bound(message, manner)
    return message


def gateway_listener(
    plan: GatewayListener, reports: Reports, guards: Guards = NO_GUARDS, manner: HttpManner = USUAL_MANNER
) -> Any:
    """Say an open port of a gateway."""
    name = listener_name(plan.address, plan.port)
    setting = _gateway_setting(name, plan, reports, guards, manner)
    message = listener_pb2.Listener(
        name=name,
        address=address(plan.address, plan.port),
        traffic_direction=base_pb2.OUTBOUND,
        filter_chains=[named_chain(name, one, setting) for one in plan.named],
    )
    _bound(message, manner)
    if plan.front.tells_client:
        message.listener_filters.append(listener_filters.proxy_protocol())
    if plan.chain is not None:
        message.filter_chains.extend(filter_chains(name, plan.chain, setting))
    else:
        message.listener_filters.append(listener_filters.tls_inspector())
    if isinstance(plan.chain, SniffedChain):
        listener_filters.detect(message, manner.looks_for)
    return message


def quic_listener(
    plan: GatewayListener, reports: Reports, guards: Guards = NO_GUARDS, manner: HttpManner = USUAL_MANNER
) -> Any:
    """Say an open port of UDP of a gateway, for requests in HTTP/3: as its TCP twin, without what has no TLS there."""
    name = quic_listener_name(plan.address, plan.port)
    chains = [
        quic_chain(name, one, _gateway_setting(name, plan, reports, guards, manner)) for one in plan.named if one.http3
    ]
    message = listener_pb2.Listener(
        name=name,
        address=udp_address(plan.address, plan.port),
        traffic_direction=base_pb2.OUTBOUND,
        filter_chains=chains,
    )
    message.udp_listener_config.quic_options.SetInParent()
    message.udp_listener_config.downstream_socket_config.prefer_gro.value = True
    return message


def _gateway_setting(name: str, plan: GatewayListener, reports: Reports, guards: Guards, manner: HttpManner) -> Setting:
    return Setting(
        Side.GATEWAY,
        f"outbound_{name};",
        reports,
        guard=guards.everywhere,
        manner=manner,
        trusted_proxies=plan.front.trusted_proxies,
        policies=gateway_policies(plan),
    )


def policies(plan: ProxyPlan) -> Iterator[tuple[str, Side, Guard]]:
    """Yield the names of the resources that these listeners ask for, with what is in them."""
    for port in plan.inbound:
        if not isinstance(port.chain, TcpChain):
            yield inbound_policies(port.port), Side.INBOUND, plan.guards.at(port.port)
    for gateway in plan.gateway:
        yield gateway_policies(gateway), Side.GATEWAY, plan.guards.everywhere


def of_listeners(guards: Guards) -> Guards:
    """Return what listeners themselves have of guards: they are built anew only when that changes."""
    by_port = ((port, _of_listener(guard)) for port, guard in guards.by_port)
    return Guards(_of_listener(guards.everywhere), tuple(by_port))


def _of_listener(guard: Guard) -> Guard:
    noted = guard.access
    access = replace(
        connection_access(noted), audit=noted.audit, tried_deny=noted.tried_deny, tried_allow=noted.tried_allow
    )
    return replace(guard, issuers=(), access=access, api_keys=(), limits=(), processors=(), headers=())


def gateway_policies(plan: GatewayListener) -> str:
    """Name the resource with the policies of a gateway's port."""
    return policies_name(listener_name(plan.address, plan.port))


def inbound_policies(port: int) -> str:
    """Name the resource with the policies of a workload's port."""
    return policies_name(f"inbound|{port}")


def dns_listener(records: Sequence[DnsRecord], upstream: str) -> Any:
    """Say the workload's DNS: names of the mesh are answered here, all others are asked for at `upstream` (an IP)."""
    return listener_pb2.Listener(
        name=DNS_LISTENER,
        address=udp_address(LOOPBACK, DNS_PORT),
        traffic_direction=base_pb2.OUTBOUND,
        listener_filters=[dns_filter(records, upstream)],
    )


def _inbound_setting(port: InboundPort, reports: Reports, guard: Guard, manner: HttpManner) -> Setting:
    name = listener_name(ANY_ADDRESS, port.port)
    operation = f"{port.host}:{port.port}/*" if port.host else ""
    policies = inbound_policies(port.port)
    return Setting(Side.INBOUND, f"inbound_{name};", reports, operation, guard, manner, policies=policies)


def _inbound_chains(port: InboundPort, trust: MeshTrust, setting: Setting) -> list[Any]:
    name = listener_name(ANY_ADDRESS, port.port)
    return [way_in(name, way, trust, setting, port.port) for way in tls.ways_into(port)]


def _bound(message: Any, manner: HttpManner) -> None:
    """Write how much is kept of what one side of a connection sends and the other does not take yet."""
    if (limit := manner.bounds.listener_per_connection_buffer_limit_bytes) is not None:
        message.per_connection_buffer_limit_bytes.value = limit


def _inspect(message: Any, ports: Sequence[InboundPort], mode: PeerMode, looks_for: timedelta) -> None:
    """Have the first bytes looked at where the ways into a port differ by them, and nowhere else."""
    plain = [port.port for port in ports if not _may_be_tls(port)]
    if mode is not PeerMode.DISABLE:
        listener_filters.detect_tls(message, looks_for, except_ports=plain)
    elif len(plain) < len(ports):
        looked_at = [port.port for port in ports if _may_be_tls(port)]
        listener_filters.detect_tls(message, looks_for, ports=looked_at)
    if detected := [port.port for port in ports if _may_be_plain_http(port)]:
        listener_filters.detect(message, looks_for, detected)


def _may_be_tls(port: InboundPort) -> bool:
    return port.mode is not PeerMode.DISABLE or port.tls is not None


def _may_be_plain_http(port: InboundPort) -> bool:
    return isinstance(port.chain, SniffedChain) and port.mode is not PeerMode.STRICT and port.tls is None
