"""Listeners: when a connection is looked at before it is carried, and what is kept from going round in circles."""

from typing import Any

import pytest

from lateen.envoy import listeners
from lateen.envoy.dns import dns_table
from lateen.plan.types import AccessLog, DnsRecord, InboundPort, OutboundListener, SniffedChain

from .acceptance import HCM, as_json
from .plans import GATEWAY, PASSTHROUGH, SIDECAR

SILENT = AccessLog()
HTTP, TCP, SNIFFED = SIDECAR.outbound


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
    inbound = listeners.virtual_inbound(SIDECAR.inbound, PASSTHROUGH, SILENT)
    first = [one.filter_chains[0] for one in (outbound, inbound)]
    assert [one.name for one in first] == ["virtualOutbound-blackhole", "virtualInbound-blackhole"]
    assert [one.filter_chain_match.destination_port.value for one in first] == [15001, 15006]


def test_only_ports_with_an_unknown_protocol_are_looked_at() -> None:
    inbound = listeners.virtual_inbound(SIDECAR.inbound, PASSTHROUGH, SILENT)
    assert _filters(inbound) == ["original_dst", "http_inspector"]
    assert as_json(inbound.listener_filters[1].filter_disabled) == {
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
    assert _filters(listeners.virtual_inbound(known, PASSTHROUGH, SILENT)) == ["original_dst"]


def test_each_side_trusts_its_client_as_istio_does() -> None:
    port: InboundPort = SIDECAR.inbound[0]
    managers = {
        "outbound": _manager(listeners.outbound_listener(HTTP, SILENT).filter_chains[0]),
        "inbound": _manager(listeners.virtual_inbound([port], PASSTHROUGH, SILENT).filter_chains[1]),
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
