"""What a sidecar does with the connections that its workload opens.

HTTP services of one port share the listener `0.0.0.0:PORT` and the route table `PORT`; the request's authority tells
them apart. Other services listen on their own addresses. A service that is not HTTP and has no address of its own can
only be recognized by its port: it claims what is not HTTP on `0.0.0.0:PORT`. Of several such claims, one that leaves
connections where they were going is preferred, then the first by host name.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from lateen import names
from lateen.api.networking.virtual_service import VirtualService
from lateen.api.objects import ConfigObject
from lateen.model import visibility
from lateen.model.protocol import Protocol
from lateen.model.service import Resolution, Service, ServicePort
from lateen.plan import clusters, connections, routes, virtual_hosts
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory, VirtualServices, hosts_of, tcp_ports
from lateen.plan.matches import Vantage
from lateen.plan.traffic import HostPolicy
from lateen.plan.types import (
    Cluster,
    HttpChain,
    Origin,
    OutboundListener,
    Route,
    RouteTable,
    SniffedChain,
    Target,
    TcpChain,
    VirtualHost,
)
from lateen.plan.virtual_hosts import EVERY_AUTHORITY, UnknownTraffic

ANY_ADDRESS: Final = "0.0.0.0"
MESH: Final = frozenset({"mesh"})
DEFAULT_HTTP_PORT: Final = 80


@dataclass(frozen=True, slots=True)
class Claim:
    """What a service without address wants of the connections to a port, and whether it leaves them their way."""

    port: int
    chain: TcpChain
    is_transparent: bool
    origin: Origin


@dataclass(frozen=True, slots=True, eq=False)
class ServicePart:
    """What one service adds to a sidecar's plan."""

    clusters: tuple[Cluster, ...] = ()
    shared: tuple[tuple[int, VirtualHost], ...] = ()
    listeners: tuple[OutboundListener, ...] = ()
    tables: tuple[RouteTable, ...] = ()
    claims: tuple[Claim, ...] = ()


@dataclass(slots=True)
class Outbound:
    """What a sidecar's plan says about outbound traffic."""

    clusters: list[Cluster] = field(default_factory=list)
    tables: list[RouteTable] = field(default_factory=list)
    listeners: list[OutboundListener] = field(default_factory=list)


def outbound(directory: Directory, unknown: UnknownTraffic, notes: Notes) -> Outbound:
    """Put together what all visible services, and the rules for other hosts, add."""
    parts = [_part(service, directory, notes) for service in directory.view.services]
    shared: dict[int, list[VirtualHost]] = {}
    for part in parts:
        for port, host in part.shared:
            shared.setdefault(port, []).append(host)
    for port, host in _hosts_without_service(directory, notes):
        shared.setdefault(port, []).append(host)
    claims = _settle_claims((claim for part in parts for claim in part.claims), notes)
    made = Outbound(clusters=[cluster for part in parts for cluster in part.clusters])
    for port in sorted(shared.keys() | claims.keys()):
        if port in shared:
            hosts = (*_with_own_domains(shared[port], directory), unknown.requests)
            _add_shared_port(made, port, hosts, claims.get(port, unknown.connections), directory)
        else:
            made.listeners.append(directory.cache.intern(OutboundListener(ANY_ADDRESS, port, claims[port])))
    made.tables += (table for part in parts for table in part.tables)
    made.listeners += _without_conflicts((part for part in parts if part.listeners), notes)
    return made


def _add_shared_port(
    made: Outbound, port: int, hosts: tuple[VirtualHost, ...], otherwise: TcpChain, directory: Directory
) -> None:
    """Add the listener for all addresses of a port, and the route table of the HTTP services that share it."""
    name = names.http_route_table(port)
    made.tables.append(directory.cache.recall("table", hosts, (name,), lambda: RouteTable(name, hosts)))
    listener = OutboundListener(ANY_ADDRESS, port, HttpChain(name), otherwise)
    made.listeners.append(directory.cache.intern(listener))


def _part(service: Service, directory: Directory, notes: Notes) -> ServicePart:
    """Return what a service adds; the same object while the service and all that is said about it did not change."""
    target = directory.stands_for(service)
    policy = directory.policy(target)
    notes.extend(policy.diagnostics)
    rules = directory.virtual_services.find(service.host) or directory.virtual_services.find(target.host)
    by_port = _Rules({}, {})
    if rules:
        by_port = _rules_by_port(tuple(rules), target, directory, notes)
    view = directory.view
    return directory.cache.recall(
        "service",
        (service, target, policy, directory.defaults, *by_port.ingredients),
        (service.namespace == view.namespace,),
        lambda: _make_part(service, target, policy, by_port, directory),
    )


@dataclass(frozen=True, slots=True)
class _Rules:
    """What rules say about a service, by port."""

    routes: dict[int, tuple[routes.Routes, ...]]
    chains: dict[int, TcpChain]

    @property
    def ingredients(self) -> Iterator[object]:
        for found in self.routes.values():
            yield from found
        yield from self.chains.values()


def _rules_by_port(rules: VirtualServices, target: Service, directory: Directory, notes: Notes) -> _Rules:
    found = _Rules({}, {})
    for port in tcp_ports(target.ports):
        vantage = _vantage(directory, port.number)
        if port.protocol.is_http or port.protocol is Protocol.AUTO:
            found.routes[port.number] = _routes(rules, vantage, directory, notes)
        if not port.protocol.is_http:
            chain = connections.chain(rules, vantage, directory, notes)
            if chain is not None:
                found.chains[port.number] = chain
    return found


def _routes(
    rules: Iterable[ConfigObject[VirtualService]], vantage: Vantage, directory: Directory, notes: Notes
) -> tuple[routes.Routes, ...]:
    found = tuple(routes.of_virtual_service(item, vantage, directory) for item in rules)
    for part in found:
        notes.extend(part.diagnostics)
    return found


def _vantage(directory: Directory, port: int) -> Vantage:
    return Vantage(MESH, port, directory.view.namespace, directory.view.labels)


def _make_part(
    service: Service, target: Service, policy: HostPolicy, rules: _Rules, directory: Directory
) -> ServicePart:
    is_alias = target is not service
    shared: list[tuple[int, VirtualHost]] = []
    tables: list[RouteTable] = []
    listeners: list[OutboundListener] = []
    claims: list[Claim] = []
    for port in tcp_ports(target.ports):
        found = routes.merge(rules.routes.get(port.number, ())) or (
            routes.default(target, port.number, policy, directory),
        )
        addresses = virtual_hosts.single_addresses(target)
        if port.protocol.is_http or (port.protocol is Protocol.AUTO and not addresses):
            shared.append((port.number, _shared_host(service, port.number, found, directory)))
        if port.protocol.is_http or is_alias:
            # The name of an alias resolves to its target's address, where the target's listeners are.
            continue
        chain = rules.chains.get(port.number) or _chain(target, port)
        listeners += [_own_listener(service, address, port, chain) for address in addresses]
        if addresses and port.protocol is Protocol.AUTO:
            tables.append(_sniffed_table(service, port.number, found))
        if not addresses and not service.alias_of:
            claims.append(_claim(service, port, chain))
    return ServicePart(
        () if is_alias else clusters.of_service(service, policy, directory.defaults, captures=True),
        tuple(shared),
        tuple(listeners),
        tuple(tables),
        tuple(claims),
    )


def _shared_host(service: Service, port: int, found: tuple[Route, ...], directory: Directory) -> VirtualHost:
    view = directory.view
    return virtual_hosts.of_service(service, port, view.namespace, view.domain, found)


def _chain(service: Service, port: ServicePort) -> TcpChain:
    position = service.ports.index(port)
    return TcpChain(
        (Target(names.outbound_cluster(service.host, port.number)),),
        origin=Origin(service.origin, f"spec.ports[{position}]"),
    )


def _own_listener(service: Service, address: str, port: ServicePort, chain: TcpChain) -> OutboundListener:
    if port.protocol is not Protocol.AUTO:
        return OutboundListener(address, port.number, chain)
    table = names.sniffed_route_table(service.host, port.number)
    return OutboundListener(address, port.number, SniffedChain(HttpChain(table), chain))


def _sniffed_table(service: Service, port: int, found: tuple[Route, ...]) -> RouteTable:
    """Return the routes of a service that has its address to itself: whatever the authority, they are meant."""
    host = VirtualHost(names.virtual_host(service.host, port), EVERY_AUTHORITY, found)
    return RouteTable(names.sniffed_route_table(service.host, port), (host,))


def _claim(service: Service, port: ServicePort, chain: TcpChain) -> Claim:
    is_transparent = service.resolution is Resolution.PASSTHROUGH
    position = service.ports.index(port)
    return Claim(port.number, chain, is_transparent, Origin(service.origin, f"spec.ports[{position}]"))


def _settle_claims(claims: Iterable[Claim], notes: Notes) -> dict[int, TcpChain]:
    """Give each port to one claim, transparent ones first; note the claims that are let down by that."""
    settled: dict[int, Claim] = {}
    for claim in sorted(claims, key=lambda claim: not claim.is_transparent):
        winner = settled.setdefault(claim.port, claim)
        if winner is not claim and not claim.is_transparent:
            notes.add(
                claim.origin,
                f"connections to port {claim.port} go where {winner.origin} says: give the service an own address",
            )
    return {port: claim.chain for port, claim in settled.items()}


def _without_conflicts(parts: Iterable[ServicePart], notes: Notes) -> list[OutboundListener]:
    """List the listeners on services' own addresses; of several on one address and port the first stays."""
    taken: dict[tuple[str, int], OutboundListener] = {}
    for part in parts:
        for listener in part.listeners:
            winner = taken.setdefault((listener.address, listener.port), listener)
            if winner is not listener:
                _note_taken(listener, winner, notes)
    return list(taken.values())


def _note_taken(listener: OutboundListener, winner: OutboundListener, notes: Notes) -> None:
    loser, owner = _origin(listener), _origin(winner)
    if loser is not None:
        notes.add(loser, f"{listener.address}:{listener.port} already belongs to {owner}: its traffic goes there")


def _origin(listener: OutboundListener) -> Origin | None:
    chain = listener.chain
    if isinstance(chain, SniffedChain):
        chain = chain.tcp
    return chain.origin if isinstance(chain, TcpChain) else None


def _with_own_domains(hosts: Sequence[VirtualHost], directory: Directory) -> Iterator[VirtualHost]:
    """Yield virtual hosts so that each domain is in one only: the first one has it."""
    taken: set[str] = set()
    for host in hosts:
        before = len(taken)
        taken.update(host.domains)
        if len(taken) == before + len(host.domains):
            yield host
            continue
        yield from _reduced(host, {domain for other in _before(hosts, host) for domain in other.domains}, directory)


def _before(hosts: Sequence[VirtualHost], host: VirtualHost) -> Iterator[VirtualHost]:
    for other in hosts:
        if other is host:
            return
        yield other


def _reduced(host: VirtualHost, taken: set[str], directory: Directory) -> Iterator[VirtualHost]:
    left = tuple(domain for domain in dict.fromkeys(host.domains) if domain not in taken)
    if left:
        yield directory.cache.recall("reduced", (host,), left, lambda: replace(host, domains=left))


def _hosts_without_service(directory: Directory, notes: Notes) -> Iterator[tuple[int, VirtualHost]]:
    """Yield virtual hosts for the hosts that have rules but are no service.

    They are reached on the HTTP ports of the services that the same rules are for, or on port 80 when there are none.
    """
    for host, ports in _strangers(directory).items():
        rules = directory.virtual_services.find(host)
        for port in ports:
            found = _routes(rules, _vantage(directory, port), directory, notes)
            if any(part.routes for part in found):
                yield port, _stranger(host, port, found, directory)


def _strangers(directory: Directory) -> dict[str, dict[int, None]]:
    """Collect the hosts with http rules that are no service, and the ports on which they are reached."""
    strangers: dict[str, dict[int, None]] = {}
    for item in directory.view.virtual_services:
        if not item.spec.http:
            continue
        hosts = hosts_of(item, directory.view.domain)
        unknown = [host for host in hosts if host not in directory.services]
        if unknown:
            ports = dict.fromkeys(_http_ports(hosts, directory) or (DEFAULT_HTTP_PORT,))
            for host in unknown:
                strangers.setdefault(host, {}).update(ports)
    return strangers


def _stranger(host: str, port: int, found: tuple[routes.Routes, ...], directory: Directory) -> VirtualHost:
    view = directory.view
    return directory.cache.recall(
        "host",
        found,
        (host, port, view.namespace),
        lambda: virtual_hosts.of_host(host, port, view.namespace, view.domain, routes.merge(found)),
    )


def _http_ports(hosts: Iterable[str], directory: Directory) -> list[int]:
    """List the HTTP ports of the services that any of these hosts covers, or that cover one of them by wildcard."""
    return [port.number for host in hosts for service in _covered(host, directory) for port in _http(service)]


def _http(service: Service) -> Iterator[ServicePort]:
    return (port for port in service.ports if port.protocol.is_http or port.protocol is Protocol.AUTO)


def _covered(host: str, directory: Directory) -> list[Service]:
    if host.startswith("*"):
        return [service for service in directory.view.services if visibility.host_matches(host, service.host)]
    service = directory.service(host)
    return [directory.stands_for(service)] if service else []
