"""Which connections are redirected, said in nftables' words. Pure: settings in, one script for `nft -f` out.

The sidecar's own connections carry the socket mark 1337. Ports and order are Istio's: outbound to 15001, inbound to
15006, names to 15053.
"""

from collections.abc import Iterable, Sequence

from lateen.names import PROXY_SOCKET_MARK
from lateen.platforms.local import links
from lateen.platforms.local.protocol import Interception

OUTBOUND_PORT = 15001
INBOUND_PORT = 15006
DNS_PORT = 15053
EGRESS_PORT = 15101
PROXY_SERVICE_PORTS = (15020, 15021, 15090)
INBOUND_PASSTHROUGH_SOURCE = "127.0.0.6"
LOOPBACK = "127.0.0.0/8"


def sandbox_rules(settings: Interception, nameserver: str = str(links.NAMESERVER)) -> str:
    """The rules of one sandbox."""
    return _table(
        _chain("prerouting", "type nat hook prerouting priority dstnat", _inbound(settings)),
        _chain("output", "type nat hook output priority -100", _outbound(settings, nameserver)),
    )


def mesh_rules() -> str:
    """The rules of the mesh namespace: what is for the outside goes to the node's proxy, name queries to the relay.

    A service address that arrives here was not taken by a sidecar. If no route (`service_rules`) has led it to a
    workload by then, it is refused at once instead of left to time out.
    """
    inside = _set((links.MESH, links.SERVICES, links.EXTERNAL_SERVICES, LOOPBACK))
    services = _set((links.SERVICES, links.EXTERNAL_SERVICES))
    egress = (
        f"ip daddr {links.HOST} meta l4proto tcp redirect to :{EGRESS_PORT}",
        f"ip daddr != {inside} meta l4proto tcp redirect to :{EGRESS_PORT}",
    )
    names = tuple(f"ip daddr {links.NAMESERVER} {layer} dport 53 redirect to :53" for layer in ("udp", "tcp"))
    refused = (
        f"ip daddr {services} meta l4proto tcp reject with tcp reset",
        f"ip daddr {services} reject",
        f"iifname {links.BRIDGE} ip daddr != {inside} meta l4proto != tcp reject",
    )
    return _table(
        _chain("prerouting", "type nat hook prerouting priority dstnat", (*names, *egress)),
        _chain("output", "type nat hook output priority -100", egress),
        _chain("refuse", "type filter hook prerouting priority dstnat + 10", refused),
    )


def _inbound(settings: Interception) -> Iterable[str]:
    yield f"ip saddr {links.PROBES} accept"
    yield f"tcp dport {_set(PROXY_SERVICE_PORTS)} accept"
    if settings.include_inbound_ports is None:
        yield from _for_ports(settings.exclude_inbound_ports, "accept")
        yield f"meta l4proto tcp redirect to :{INBOUND_PORT}"
    else:
        yield from _for_ports(settings.include_inbound_ports, f"redirect to :{INBOUND_PORT}")


def _outbound(settings: Interception, nameserver: str) -> Iterable[str]:
    yield f"ip saddr {INBOUND_PASSTHROUGH_SOURCE} accept"
    yield f"ip daddr {LOOPBACK} accept"
    yield f"meta mark {PROXY_SOCKET_MARK} oifname lo meta l4proto tcp redirect to :{INBOUND_PORT}"
    yield f"meta mark {PROXY_SOCKET_MARK} accept"
    if settings.dns:
        yield f"ip daddr != {links.NODE} udp dport 53 redirect to :{DNS_PORT}"
        yield f"ip daddr {nameserver} tcp dport 53 dnat to {links.NODE}:53"
    yield "oifname lo accept"
    # the own sidecar has these ports too, and would answer for the other one
    yield f"ip daddr {links.MESH} tcp dport {_set(PROXY_SERVICE_PORTS)} accept"
    yield from _for_ports(settings.exclude_outbound_ports, "accept")
    yield from _for_ports(settings.include_outbound_ports, f"redirect to :{OUTBOUND_PORT}")
    if settings.include_outbound_ip_ranges is None:
        yield from _for_ranges(settings.exclude_outbound_ip_ranges, "accept")
        yield f"meta l4proto tcp redirect to :{OUTBOUND_PORT}"
    else:
        yield from _for_ranges(settings.include_outbound_ip_ranges, f"meta l4proto tcp redirect to :{OUTBOUND_PORT}")


def _for_ports(ports: Sequence[int], verdict: str) -> Iterable[str]:
    if ports:
        yield f"tcp dport {_set(sorted(set(ports)))} {verdict}"


def _for_ranges(ranges: Sequence[str], verdict: str) -> Iterable[str]:
    for one in ranges:
        yield f"ip daddr {one} {verdict}"


def _set(members: Iterable[object]) -> str:
    return "{ " + ", ".join(str(member) for member in members) + " }"


def _table(*chains: str) -> str:
    return "table ip lateen {\n" + "".join(chains) + "}\n"


def _chain(name: str, hook: str, rules: Iterable[str]) -> str:
    lines = "".join(f"        {rule}\n" for rule in rules)
    return f"    chain {name} {{\n        {hook}; policy accept;\n{lines}    }}\n"
