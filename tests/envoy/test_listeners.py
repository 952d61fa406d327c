"""Listeners: when a connection is looked at before it is carried, and what is kept from going round in circles."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from lateen.envoy import listeners
from lateen.envoy.dns import dns_table
from lateen.envoy.listener_filters import HTTP_PROTOCOLS
from lateen.envoy.transport_sockets import MESH_HTTP_PROTOCOLS, MESH_TCP_PROTOCOLS
from lateen.model.peers import PeerMode
from lateen.plan.telemetry_types import SILENT
from lateen.plan.types import Chain, DnsRecord, InboundPort, MeshTrust, OutboundListener, SniffedChain

from .acceptance import HCM, as_json
from .plans import GATEWAY, PASSTHROUGH, SIDECAR

DISABLE, PERMISSIVE, STRICT = PeerMode
INBOUND_HTTP, INBOUND_TCP, INBOUND_SNIFFED = (port.chain for port in SIDECAR.inbound[:3])
HTTP, TCP, SNIFFED = SIDECAR.outbound


def _inbound(ports: Sequence[InboundPort], mode: PeerMode = PERMISSIVE) -> Any:
    return listeners.virtual_inbound(ports, PASSTHROUGH, mode, MeshTrust(), SILENT)


def _filters(listener: Any) -> list[str]:
    return [one.name.rpartition(".")[2] for one in listener.listener_filters]


def _manager(chain: Any) -> Any:
    return HCM.FromString(chain.filters[0].typed_config.value)


@pytest.mark.parametrize(
    ("plan", "filters"),
    [
        (TCP, []),
        (OutboundListener("10.96.0.7", 9080, HTTP.chain), []),
        (HTTP, ["http_inspector"]),
        (SNIFFED, ["http_inspector"]),
    ],
)
def test_only_an_unknown_protocol_is_waited_for(plan: OutboundListener, filters: list[str]) -> None:
    listener = listeners.outbound_listener(plan, SILENT)
    assert _filters(listener) == filters
    assert listener.continue_on_listener_filters_timeout is bool(filters)
    assert not listener.bind_to_port.value


def test_what_is_not_http_takes_the_fallback() -> None:
    listener = listeners.outbound_listener(HTTP, SILENT)
    (http,) = listener.filter_chains
    assert list(http.filter_chain_match.application_protocols) == ["http/1.0", "http/1.1", "h2c"]
    assert listener.default_filter_chain.name == "PassthroughFilterChain"


def test_connections_to_the_capture_ports_themselves_are_closed() -> None:
    outbound = listeners.virtual_outbound(PASSTHROUGH, SILENT)
    inbound = _inbound(SIDECAR.inbound)
    first = [one.filter_chains[0] for one in (outbound, inbound)]
    assert [one.name for one in first] == ["virtualOutbound-blackhole", "virtualInbound-blackhole"]
    assert [one.filter_chain_match.destination_port.value for one in first] == [15001, 15006]


def test_only_ports_with_an_unknown_protocol_are_looked_at() -> None:
    inbound = _inbound(SIDECAR.inbound)
    assert _filters(inbound) == ["original_dst", "tls_inspector", "http_inspector"]
    assert as_json(inbound.listener_filters[2].filter_disabled) == {
        "not_match": {
            "or_match": {
                "rules": [
                    {"destination_port_range": {"start": 8000, "end": 8001}},
                    {"destination_port_range": {"start": 8001, "end": 8002}},
                ]
            }
        }
    }
    known = [port for port in SIDECAR.inbound if not isinstance(port.chain, SniffedChain)]
    assert _filters(_inbound(known)) == ["original_dst", "tls_inspector"]


def test_tls_is_looked_for_where_the_ways_into_a_port_differ_by_it() -> None:
    plain, strict = (InboundPort(port, PASSTHROUGH, mode=mode) for port, mode in ((1, DISABLE), (2, STRICT)))
    only = {"destination_port_range": {"start": 2, "end": 3}}
    never = {"destination_port_range": {"start": 1, "end": 2}}
    everywhere = _inbound([plain, strict])
    assert as_json(everywhere.listener_filters[1].filter_disabled) == never
    here = _inbound([plain, strict], DISABLE)
    assert as_json(here.listener_filters[1].filter_disabled) == {"not_match": only}
    assert _filters(_inbound([plain], DISABLE)) == ["original_dst"]


@pytest.mark.parametrize(
    ("chain", "mode", "ways"),
    [
        (INBOUND_HTTP, DISABLE, [("", "", "http")]),
        (INBOUND_HTTP, PERMISSIVE, [("tls", "any mesh", "http"), ("tls", "", "tcp"), ("raw_buffer", "", "http")]),
        (INBOUND_HTTP, STRICT, [("tls", "", "http")]),
        (INBOUND_TCP, DISABLE, [("", "", "tcp")]),
        (INBOUND_TCP, PERMISSIVE, [("tls", "any mesh", "tcp"), ("tls", "", "tcp"), ("raw_buffer", "", "tcp")]),
        (INBOUND_TCP, STRICT, [("tls", "", "tcp")]),
        (INBOUND_SNIFFED, DISABLE, [("", "http", "http"), ("", "", "tcp")]),
        (
            INBOUND_SNIFFED,
            PERMISSIVE,
            [
                ("tls", "mesh http", "http"),
                ("tls", "mesh tcp", "tcp"),
                ("tls", "", "tcp"),
                ("raw_buffer", "http", "http"),
                ("raw_buffer", "", "tcp"),
            ],
        ),
        (INBOUND_SNIFFED, STRICT, [("tls", "mesh http", "http"), ("tls", "", "tcp")]),
    ],
)
def test_each_mode_has_its_ways_into_a_port(chain: Chain, mode: PeerMode, ways: list[tuple[str, str, str]]) -> None:
    listener = _inbound([InboundPort(7, chain, mode=mode)])
    of_port = [one for one in listener.filter_chains if one.filter_chain_match.destination_port.value == 7]
    assert [_way(one) for one in of_port] == ways
    mesh = [one.name for one in of_port if one.transport_socket.name]
    assert len(mesh) == {DISABLE: 0, STRICT: len(ways)}.get(mode, 2 if chain is INBOUND_SNIFFED else 1)


def test_nothing_that_a_strict_port_refuses_falls_through_to_another_chain() -> None:
    """Envoy asks the default chain, and it only, when a port is known but none of its chains fits."""
    assert not _inbound(SIDECAR.inbound).HasField("default_filter_chain")


def _way(chain: Any) -> tuple[str, str, str]:
    match = chain.filter_chain_match
    offered = {
        (): "",
        HTTP_PROTOCOLS: "http",
        MESH_HTTP_PROTOCOLS: "mesh http",
        MESH_TCP_PROTOCOLS: "mesh tcp",
        (*MESH_TCP_PROTOCOLS, *MESH_HTTP_PROTOCOLS): "any mesh",
    }
    carries = "tcp" if chain.filters[-1].name.endswith("tcp_proxy") else "http"
    return match.transport_protocol, offered[tuple(match.application_protocols)], carries


def test_each_side_trusts_its_client_as_istio_does() -> None:
    port: InboundPort = SIDECAR.inbound[0]
    managers = {
        "outbound": _manager(listeners.outbound_listener(HTTP, SILENT).filter_chains[0]),
        "inbound": _manager(_inbound([replace(port, mode=PeerMode.DISABLE)]).filter_chains[1]),
        "gateway": _manager(listeners.gateway_listener(GATEWAY.gateway[0], SILENT).filter_chains[0]),
    }
    seen = {
        side: (one.use_remote_address.value, one.server_name, one.HasField("stream_idle_timeout"), one.stat_prefix)
        for side, one in managers.items()
    }
    assert seen == {
        "outbound": (False, "", True, "outbound_0.0.0.0_9080;"),
        "inbound": (False, "istio-envoy", True, "inbound_0.0.0.0_9080;"),
        "gateway": (True, "istio-envoy", False, "outbound_0.0.0.0_8080;"),
    }


def test_dns_answers_with_all_addresses() -> None:
    assert as_json(dns_table([DnsRecord("web", ("10.96.0.1", "10.96.0.2"))])) == {
        "virtual_domains": [
            {
                "name": "web",
                "endpoint": {"address_list": {"address": ["10.96.0.1", "10.96.0.2"]}},
                "answer_ttl": "30s",
            }
        ]
    }
