"""The redirecting rules: their words, and what they do to real connections."""

import pytest

from lateen.platforms.local.interception import mesh_rules, sandbox_rules
from lateen.platforms.local.protocol import Interception

from .live_mesh import LiveMesh, address


def chain(script: str, name: str) -> list[str]:
    body = script.partition(f"chain {name} {{\n")[2].partition("\n    }\n")[0]
    return [line.strip() for line in body.splitlines()[1:]]


def test_everything_is_taken_by_default() -> None:
    rules = sandbox_rules(Interception())
    assert chain(rules, "prerouting") == [
        "ip saddr 10.244.0.2 accept",
        "tcp dport { 15020, 15021, 15090 } accept",
        "meta l4proto tcp redirect to :15006",
    ]
    assert chain(rules, "output") == [
        "ip saddr 127.0.0.6 accept",
        "ip daddr 127.0.0.0/8 accept",
        "meta mark 1337 oifname lo meta l4proto tcp redirect to :15006",
        "meta mark 1337 accept",
        "ip daddr != 10.244.0.1 udp dport 53 redirect to :15053",
        "ip daddr 10.96.0.10 tcp dport 53 dnat to 10.244.0.1:53",
        "oifname lo accept",
        "ip daddr 10.244.0.0/16 tcp dport { 15020, 15021, 15090 } accept",
        "meta l4proto tcp redirect to :15001",
    ]


def test_excludes_come_before_the_include_of_all() -> None:
    settings = Interception(
        exclude_inbound_ports=(22, 9), exclude_outbound_ports=(443,), exclude_outbound_ip_ranges=("10.9.0.0/16",)
    )
    rules = sandbox_rules(settings)
    assert chain(rules, "prerouting")[-2:] == ["tcp dport { 9, 22 } accept", "meta l4proto tcp redirect to :15006"]
    assert chain(rules, "output")[-3:] == [
        "tcp dport { 443 } accept",
        "ip daddr 10.9.0.0/16 accept",
        "meta l4proto tcp redirect to :15001",
    ]


def test_only_what_is_included_is_taken() -> None:
    settings = Interception(
        include_inbound_ports=(80,),
        exclude_inbound_ports=(80,),
        include_outbound_ports=(8080,),
        include_outbound_ip_ranges=("10.96.0.0/16",),
        exclude_outbound_ip_ranges=("10.96.1.0/24",),
    )
    rules = sandbox_rules(settings)
    assert chain(rules, "prerouting")[-1] == "tcp dport { 80 } redirect to :15006"
    assert chain(rules, "output")[-2:] == [
        "tcp dport { 8080 } redirect to :15001",
        "ip daddr 10.96.0.0/16 meta l4proto tcp redirect to :15001",
    ]


def test_nothing_included_takes_nothing() -> None:
    rules = sandbox_rules(Interception(include_inbound_ports=(), include_outbound_ip_ranges=(), dns=False))
    assert "15001" not in rules
    assert ":15053" not in rules
    assert chain(rules, "prerouting")[-1] == "tcp dport { 15020, 15021, 15090 } accept"


def test_the_mesh_sends_the_outside_to_the_node_proxy_and_refuses_lost_service_addresses() -> None:
    rules = mesh_rules()
    inside = "{ 10.244.0.0/16, 10.96.0.0/16, 240.240.0.0/16, 127.0.0.0/8 }"
    assert f"ip daddr != {inside} meta l4proto tcp redirect to :15101" in chain(rules, "prerouting")
    services = "{ 10.96.0.0/16, 240.240.0.0/16 }"
    assert f"ip daddr {services} meta l4proto tcp reject with tcp reset" in chain(rules, "refuse")


@pytest.mark.live
async def test_connections_go_where_the_rules_say(mesh: LiveMesh) -> None:
    settings = Interception(exclude_inbound_ports=(2222,), exclude_outbound_ports=(9999,))
    caller = await mesh.sandbox(1, interception=settings)
    callee = await mesh.sandbox(2, interception=settings)
    await mesh.catch(caller, 15001, 15006, 8080)
    await mesh.catch(callee, 15006, 15021, 2222, 9080, 9999)
    own, other = address(1), address(2)

    assert await mesh.call(caller, "10.96.1.2", 80) == f"15001 10.96.1.2:80 {own}"
    assert await mesh.call(caller, other, 9080) == f"15001 {other}:9080 {own}"
    assert await mesh.call(caller, other, 9080, mark="1337") == f"15006 {other}:9080 {own}"
    assert (await mesh.call(caller, other, 2222, mark="1337")).startswith("2222 ")
    assert (await mesh.call(caller, other, 15021, mark="1337")).startswith("15021 ")
    assert await mesh.call(caller, other, 9999) == f"15006 {other}:9999 {own}"
    assert (await mesh.call("mesh", other, 9080, source="10.244.0.2")).startswith("9080 ")

    assert (await mesh.call(caller, "127.0.0.1", 8080)).startswith("8080 ")
    assert (await mesh.call(caller, own, 8080)).startswith("8080 ")
    assert await mesh.call(caller, own, 8080, mark="1337") == f"15006 {own}:8080 {own}"
    assert (await mesh.call(caller, own, 8080, mark="1337", source="127.0.0.6")).startswith("8080 ")

    assert await mesh.call(caller, "10.96.0.10", 53, kind="udp") == "15053"
    assert await mesh.call(caller, "192.0.2.53", 53, kind="udp") == "15053"
