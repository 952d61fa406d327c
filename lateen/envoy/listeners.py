"""Listeners: of a sidecar's two directions, of a gateway, and of the workload's own DNS."""

from collections.abc import Sequence
from typing import Any, Final

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_pb2

from lateen.envoy import listener_filters
from lateen.envoy.addresses import ANY_ADDRESS, address, udp_address
from lateen.envoy.dns import dns_filter
from lateen.envoy.filter_chains import Setting, black_hole, filter_chain, filter_chains, match_http
from lateen.envoy.side import Side
from lateen.names import DNS_LISTENER, VIRTUAL_INBOUND, VIRTUAL_OUTBOUND
from lateen.names import listener as listener_name
from lateen.plan.types import (
    AccessLog,
    DnsRecord,
    GatewayListener,
    HttpChain,
    InboundPort,
    OutboundListener,
    SniffedChain,
    TcpChain,
)

OUTBOUND_PORT: Final = 15001
INBOUND_PORT: Final = 15006
DNS_PORT: Final = 15053
LOOPBACK: Final = "127.0.0.1"

_GATEWAY_BUFFER_BYTES: Final = 32 * 1024


def virtual_outbound(fallback: TcpChain, access_log: AccessLog) -> Any:
    """Say where captured connections arrive: each goes on to the listener of its destination, or to the fallback."""
    setting = Setting(Side.OUTBOUND, VIRTUAL_OUTBOUND, access_log)
    message = listener_pb2.Listener(
        name=VIRTUAL_OUTBOUND,
        address=address(ANY_ADDRESS, OUTBOUND_PORT),
        traffic_direction=base_pb2.OUTBOUND,
        filter_chains=[
            black_hole(f"{VIRTUAL_OUTBOUND}-blackhole", OUTBOUND_PORT, access_log),
            filter_chain(f"{VIRTUAL_OUTBOUND}-catchall-tcp", fallback, setting),
        ],
    )
    message.use_original_dst.value = True
    return message


def outbound_listener(plan: OutboundListener, access_log: AccessLog) -> Any:
    """Say what becomes of captured connections to one destination; it is no open port.

    Only where the protocol is not known is anything waited for: the server may be the one that speaks first.
    """
    name = listener_name(plan.address, plan.port)
    setting = Setting(Side.OUTBOUND, f"outbound_{name};", access_log)
    chains = filter_chains(name, plan.chain, setting)
    message = listener_pb2.Listener(
        name=name,
        address=address(plan.address, plan.port),
        traffic_direction=base_pb2.OUTBOUND,
        filter_chains=chains,
    )
    message.bind_to_port.value = False
    if plan.fallback is not None and isinstance(plan.chain, HttpChain):
        match_http(message.filter_chains[0])
        message.default_filter_chain.CopyFrom(filter_chain("PassthroughFilterChain", plan.fallback, setting))
        listener_filters.detect(message)
    elif isinstance(plan.chain, SniffedChain):
        listener_filters.detect(message)
    return message


def virtual_inbound(ports: Sequence[InboundPort], fallback: TcpChain, access_log: AccessLog) -> Any:
    """Say what becomes of connections into the workload: a chain or two for each known port, one for all others."""
    message = listener_pb2.Listener(
        name=VIRTUAL_INBOUND,
        address=address(ANY_ADDRESS, INBOUND_PORT),
        traffic_direction=base_pb2.INBOUND,
        filter_chains=[black_hole(f"{VIRTUAL_INBOUND}-blackhole", INBOUND_PORT, access_log)],
        listener_filters=[listener_filters.original_dst()],
    )
    for port in ports:
        message.filter_chains.extend(_inbound_chains(port, access_log))
    setting = Setting(Side.INBOUND, VIRTUAL_INBOUND, access_log)
    message.default_filter_chain.CopyFrom(filter_chain(VIRTUAL_INBOUND, fallback, setting))
    if detected := [port.port for port in ports if isinstance(port.chain, SniffedChain)]:
        listener_filters.detect(message, detected)
    return message


def gateway_listener(plan: GatewayListener, access_log: AccessLog) -> Any:
    """Say an open port of a gateway. Its buffers are small: anyone may open connections to it."""
    name = listener_name(plan.address, plan.port)
    message = listener_pb2.Listener(
        name=name,
        address=address(plan.address, plan.port),
        traffic_direction=base_pb2.OUTBOUND,
        filter_chains=filter_chains(name, plan.chain, Setting(Side.GATEWAY, f"outbound_{name};", access_log)),
    )
    message.per_connection_buffer_limit_bytes.value = _GATEWAY_BUFFER_BYTES
    if isinstance(plan.chain, SniffedChain):
        listener_filters.detect(message)
    return message


def dns_listener(records: Sequence[DnsRecord], upstream: str) -> Any:
    """Say the workload's DNS: names of the mesh are answered here, all others are asked for at `upstream` (an IP)."""
    return listener_pb2.Listener(
        name=DNS_LISTENER,
        address=udp_address(LOOPBACK, DNS_PORT),
        traffic_direction=base_pb2.OUTBOUND,
        listener_filters=[dns_filter(records, upstream)],
    )


def _inbound_chains(port: InboundPort, access_log: AccessLog) -> list[Any]:
    name = listener_name(ANY_ADDRESS, port.port)
    operation = f"{port.host}:{port.port}/*" if port.host else ""
    setting = Setting(Side.INBOUND, f"inbound_{name};", access_log, operation)
    return filter_chains(name, port.chain, setting, port.port)
