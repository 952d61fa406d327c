"""The tcp and tls rules of VirtualServices: where connections that are not looked into go."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from lateen.api.networking.virtual_service import TcpMatch, TcpRoute, TlsMatch, VirtualService
from lateen.api.objects import ConfigObject
from lateen.model.views import MESH_GATEWAY
from lateen.plan import destinations, matches
from lateen.plan.destinations import Site
from lateen.plan.diagnostics import Doubt, Notes, below
from lateen.plan.directory import Directory
from lateen.plan.matches import Vantage
from lateen.plan.types import NamedChain, Origin, SubnetChain, TcpChain


def chain(
    items: Iterable[ConfigObject[VirtualService]], vantage: Vantage, directory: Directory, notes: Notes
) -> TcpChain | None:
    """Return where the first tcp rule that holds here sends connections, or None when no rule does."""
    for item in items:
        for position, rule in enumerate(item.spec.tcp):
            at = Origin(item.key, f"spec.tcp[{position}]")
            if _holds(rule, vantage, item.namespace, at, notes):
                site = Site(directory, item.namespace, vantage.port, at, notes)
                return directory.cache.intern(destinations.connection_chain(rule.route, site))
    return None


def by_subnet(
    items: Iterable[ConfigObject[VirtualService]], vantage: Vantage, directory: Directory, notes: Notes
) -> tuple[SubnetChain, ...]:
    """Return what the tcp rules before the first one for every address do with connections to some subnets.

    That is for hosts without an address of their own, which are recognized by their port. Of several rules for one
    subnet the first acts.
    """
    seen: set[str] = set()
    found: list[SubnetChain] = []
    for item in items:
        for position, rule in enumerate(item.spec.tcp):
            at = Origin(item.key, f"spec.tcp[{position}]")
            held = [one for one in rule.match if matches.concerns(one, vantage, item.namespace)]
            if not rule.match or any(not one.destination_subnets for one in held):
                return tuple(found)
            asked = dict.fromkeys(_normal(subnet) for one in held for subnet in one.destination_subnets)
            fresh = tuple(subnet for subnet in asked if subnet not in seen)
            seen.update(fresh)
            if fresh:
                site = Site(directory, item.namespace, vantage.port, at, notes)
                carried = directory.cache.intern(destinations.connection_chain(rule.route, site))
                found.append(directory.cache.intern(SubnetChain(fresh, carried)))
    return tuple(found)


def _normal(subnet: str) -> str:
    return str(ip_network(subnet, strict=False))


@dataclass(frozen=True, slots=True)
class NameRule:
    """A tls rule that holds here: the server names that it is for, who wrote it, and where it sends connections."""

    names: tuple[str, ...]
    namespace: str
    chain: TcpChain
    origin: Origin


def by_server_name(
    items: Iterable[ConfigObject[VirtualService]], vantage: Vantage, directory: Directory, notes: Notes
) -> Iterator[NameRule]:
    """Yield the tls rules that hold here, in order, with those of their server names for which they do."""
    for item in items:
        for position, rule in enumerate(item.spec.tls):
            at = Origin(item.key, f"spec.tls[{position}]")
            names = dict.fromkeys(
                name
                for place, condition in enumerate(rule.match)
                if _can_hold(condition, vantage, item.namespace, below(at, f"match[{place}]"), notes)
                for name in condition.sni_hosts
            )
            if names:
                site = Site(directory, item.namespace, vantage.port, at, notes)
                chain = directory.cache.intern(destinations.connection_chain(rule.route, site))
                yield NameRule(tuple(names), item.namespace, chain, at)


def named_chains(
    items: Iterable[ConfigObject[VirtualService]], vantage: Vantage, directory: Directory, notes: Notes
) -> tuple[NamedChain, ...]:
    """Return the chains of the tls rules that hold here; of several rules for one server name the first acts."""
    seen: set[str] = set()
    found = []
    for rule in by_server_name(items, vantage, directory, notes):
        fresh = tuple(name for name in rule.names if name not in seen)
        seen.update(fresh)
        if fresh:
            found.append(directory.cache.intern(NamedChain(fresh, rule.chain, origin=rule.origin)))
    return tuple(found)


def _holds(rule: TcpRoute, vantage: Vantage, owner: str, at: Origin, notes: Notes) -> bool:
    if not rule.match:
        return True
    return any(
        _can_hold(condition, vantage, owner, below(at, f"match[{position}]"), notes)
        for position, condition in enumerate(rule.match)
    )


def _can_hold(condition: TcpMatch | TlsMatch, vantage: Vantage, owner: str, at: Origin, notes: Notes) -> bool:
    if not matches.concerns(condition, vantage, owner):
        return False
    if isinstance(condition, TcpMatch) and condition.source_subnet is not None:
        notes.add(below(at, "sourceSubnet"), "has no effect, as in Istio: use sourceLabels or sourceNamespace")
    told_apart_by_proxy = isinstance(condition, TcpMatch) and MESH_GATEWAY in vantage.gateways
    if condition.destination_subnets and not vantage.addresses and not told_apart_by_proxy:
        notes.add(
            below(at, "destinationSubnets"),
            "never matches: the host has no virtual address of its own",
            Doubt.NEVER_MATCHES,
        )
    return not condition.destination_subnets or _is_within(vantage.addresses, condition.destination_subnets)


def _is_within(addresses: Iterable[str], subnets: Iterable[str]) -> bool:
    """Tell whether one of the addresses that clients call is in one of the subnets."""
    networks = [ip_network(subnet, strict=False) for subnet in subnets]
    return any(ip_address(address) in network for address in addresses for network in networks)
