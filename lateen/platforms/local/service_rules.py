"""How service addresses lead to workloads without any proxy, said in nftables' words. Pure.

Every connection is given an endpoint at random, in the mesh namespace, where all that no sidecar takes comes by. The
endpoints of all services are in one map, so that a thousand services are quickly said.

The routes of a generation are in a table of their own, which takes effect and replaces its predecessor in one step at
the end: an ordinary user's script may only be so long, and a long one is then several.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from lateen.platforms.local import links
from lateen.platforms.local.protocol import Refused, ServiceRoute

MOST_ELEMENTS = 2000
"""The kernel takes some 200 kB from an ordinary user at once; an element takes less than 100 bytes."""

_ADDRESS_AND_PORT = re.compile(r"\d{1,3}(\.\d{1,3}){3}:\d{1,5}", re.ASCII)
_PLACE = "ip daddr . meta l4proto . th dport"
_PLACE_TYPE = "ipv4_addr . inet_proto . inet_service"


def service_rules(routes: Iterable[ServiceRoute], generation: int) -> tuple[str, ...]:
    """The scripts that replace all earlier routes by these, to be run in order.

    `generation` must be another one, even or odd, than that of the routes in effect. A route without targets is none:
    its address is refused as if nobody had it. Raises `Refused` for what is no address or port.
    """
    led = [route for route in routes if route.targets]
    for route in led:
        _check(route)
    table, predecessor = (f"lateen_services_{number % 2}" for number in (generation, generation + 1))
    scripts = [_additions(table, part) for part in _parts(tuple(_elements(led)))] or [[]]
    scripts[0] = [*_removal(table), *(_beginning(table, led) if led else ()), *scripts[0]]
    scripts[-1] += [*(_hooks(table) if led else ()), *_removal(predecessor)]
    return tuple("".join(f"{line}\n" for line in script) for script in scripts)


def _removal(table: str) -> tuple[str, ...]:
    # it is named first so that there is one to delete
    return (f"add table ip {table}", f"delete table ip {table}")


def _beginning(table: str, routes: Sequence[ServiceRoute]) -> Iterator[str]:
    """The maps, and a chain for each number of targets that draws one.

    The packet's mark is only a place to keep the number that was drawn; it does not leave the namespace.
    """
    yield f"add table ip {table}"
    yield f"add map ip {table} targets {{ type {_PLACE_TYPE} . mark : ipv4_addr . inet_service; }}"
    yield f"add map ip {table} services {{ type {_PLACE_TYPE} : verdict; }}"
    for count in sorted({len(route.targets) for route in routes}):
        drawn = f"meta mark set numgen random mod {count} dnat ip to {_PLACE} . meta mark map @targets"
        yield f"add chain ip {table} one_of_{count}"
        yield f"add rule ip {table} one_of_{count} {drawn}"


def _elements(routes: Iterable[ServiceRoute]) -> Iterator[tuple[str, str]]:
    """What is to be in the maps, each with the name of its map."""
    for route in routes:
        place = f"{route.address} . {route.transport} . {route.port}"
        for number, target in enumerate(route.targets):
            yield "targets", f"{place} . {number} : {target.replace(':', ' . ')}"
        yield "services", f"{place} : goto one_of_{len(route.targets)}"


def _parts(elements: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    return (elements[start : start + MOST_ELEMENTS] for start in range(0, len(elements), MOST_ELEMENTS))


def _additions(table: str, elements: Iterable[tuple[str, str]]) -> list[str]:
    """One line a map: said one by one, elements would take twice the time."""
    by_map: dict[str, list[str]] = {}
    for name, element in elements:
        by_map.setdefault(name, []).append(element)
    return [f"add element ip {table} {name} {{ {', '.join(found)} }}" for name, found in by_map.items()]


def _hooks(table: str) -> tuple[str, ...]:
    """What sends connections through the maps; what is sent on comes from us.

    An endpoint must answer to us: the caller, which may be the endpoint itself, knows only the service's address.
    """
    return (
        f"add chain ip {table} prerouting {{ type nat hook prerouting priority dstnat - 5; }}",
        f"add rule ip {table} prerouting meta l4proto {{ tcp, udp }} {_PLACE} vmap @services",
        f"add chain ip {table} postrouting {{ type nat hook postrouting priority srcnat; }}",
        f"add rule ip {table} postrouting oifname {links.BRIDGE} ct status dnat snat to {links.NODE}",
    )


def _check(route: ServiceRoute) -> None:
    for place in (f"{route.address}:{route.port}", *route.targets):
        if not _ADDRESS_AND_PORT.fullmatch(place):
            raise Refused("bad_request", f"{place!r} is not an IPv4 address and a port, such as 10.244.1.4:8000")
