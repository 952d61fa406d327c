"""What a sidecar does with the connections that its workload opens.

HTTP services of one port share the listener `0.0.0.0:PORT` and the route table `PORT`; the request's authority tells
them apart. Other services listen on their own addresses. A service that is not HTTP and has no address of its own can
only be recognized by its port: it claims what is not HTTP on `0.0.0.0:PORT`. Of several such claims, one that leaves
connections where they were going is preferred, then the first by host name. TLS tells by its server name where it is
going, so of services outside of the mesh that speak it any number share a port.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from lateen import names
from lateen.plan import clusters, egress, focus, http_proxy, services, strangers
from lateen.plan.diagnostics import Doubt, Notes
from lateen.plan.directory import Directory
from lateen.plan.focus import Focus
from lateen.plan.services import Claim, ServicePart
from lateen.plan.types import (
    Cluster,
    HttpChain,
    NamedChain,
    Origin,
    OutboundListener,
    RouteTable,
    SniffedChain,
    SubnetChain,
    TcpChain,
    VirtualHost,
)
from lateen.plan.virtual_hosts import UnknownTraffic

ANY_ADDRESS: Final = "0.0.0.0"
VIRTUAL_SERVICE: Final = "VirtualService"

_Chain = TypeVar("_Chain")


@dataclass(slots=True)
class Outbound:
    """What a sidecar's plan says about outbound traffic."""

    clusters: list[Cluster] = field(default_factory=list)
    tables: list[RouteTable] = field(default_factory=list)
    listeners: list[OutboundListener] = field(default_factory=list)


def outbound(directory: Directory, unknown: UnknownTraffic, notes: Notes, asked: Focus | None = None) -> Outbound:
    """Put together what all visible services, and the rules for other hosts, add; or what `asked` has to do with."""
    allowed = egress.scope(directory.view.sidecar, directory.view.namespace)
    meant = directory.view.services if asked is None else focus.services(asked, directory)
    offers = [(service, services.part(service, directory, notes)) for service in meant]
    parts = [egress.admitted(part, service, allowed) for service, part in offers]
    shared: dict[int, list[VirtualHost]] = {}
    for part in parts:
        for port, host in part.shared:
            shared.setdefault(port, []).append(host)
    for port, host in strangers.virtual_hosts_of(directory, notes):
        shared.setdefault(port, []).append(host)
    claims = _settle_claims((claim for part in parts for claim in part.claims), notes)
    named = _settle_names(
        (*strangers.named_chains_of(directory, notes), *(one for part in parts for one in part.named))
    )
    subnets = _settle_subnets(one for part in parts for one in part.subnets)
    made = Outbound(clusters=[cluster for part in parts for cluster in part.clusters])
    told_apart = {port: tuple(_with_own_domains(hosts, directory)) for port, hosts in shared.items()}
    for port in sorted(shared.keys() | claims.keys() | named.keys() | subnets.keys()):
        otherwise, by_name = claims.get(port, unknown.connections), named.get(port, ())
        by_subnet = subnets.get(port, ())
        if port in shared:
            hosts = (*told_apart[port], unknown.requests)
            _add_shared_port(made, port, hosts, otherwise, by_name, by_subnet, directory)
        else:
            listener = OutboundListener(ANY_ADDRESS, port, otherwise, named=by_name, subnets=by_subnet)
            made.listeners.append(directory.cache.intern(listener))
    made.tables += (table for part in parts for table in part.tables)
    made.listeners += _without_conflicts((part for part in parts if part.listeners), notes)
    for one in egress.opened(directory.view.sidecar, offers, unknown.requests, directory, notes):
        made.listeners.append(one.listener)
        made.tables += (one.table,) if one.table is not None else ()
    _open_http_proxy(made, told_apart, unknown, directory)
    if asked is not None:
        made.clusters = list(_clusters_led_to(made, directory))
    return made


def _open_http_proxy(
    made: Outbound, known: Mapping[int, tuple[VirtualHost, ...]], unknown: UnknownTraffic, directory: Directory
) -> None:
    number = directory.view.mesh.proxy_http_port
    if not number:
        return
    hosts = [(port, host) for port in sorted(known) for host in known[port]]
    opened = http_proxy.http_proxy(number, hosts, unknown.requests, directory)
    made.listeners.append(opened.listener)
    made.tables.append(opened.table)


def _clusters_led_to(made: Outbound, directory: Directory) -> Iterator[Cluster]:
    """Yield the clusters of the services that tables and listeners lead to, whether or not their routes are in them."""
    for service in focus.services_led_to(focus.led_to(made.tables, made.listeners), directory):
        yield from clusters.of_service(service, directory, captures=True)


def _add_shared_port(
    made: Outbound,
    port: int,
    hosts: tuple[VirtualHost, ...],
    otherwise: TcpChain,
    named: tuple[NamedChain, ...],
    subnets: tuple[SubnetChain, ...],
    directory: Directory,
) -> None:
    """Add the listener for all addresses of a port, and the route table of the HTTP services that share it."""
    name = names.http_route_table(port)
    made.tables.append(directory.cache.recall("table", hosts, (name,), lambda: RouteTable(name, hosts)))
    listener = OutboundListener(ANY_ADDRESS, port, HttpChain(name), otherwise, named, subnets=subnets)
    made.listeners.append(directory.cache.intern(listener))


def _settle_names(found: Iterable[tuple[int, NamedChain]]) -> dict[int, tuple[NamedChain, ...]]:
    """Give each server name of a port to one chain: to a rule's before a service's own, else to the first."""
    in_order = sorted(found, key=lambda one: one[1].origin is None or one[1].origin.key.kind != VIRTUAL_SERVICE)
    return _given_once(
        in_order, lambda chain: chain.server_names, lambda chain, names: replace(chain, server_names=names)
    )


def _settle_subnets(found: Iterable[tuple[int, SubnetChain]]) -> dict[int, tuple[SubnetChain, ...]]:
    """Give each subnet of a port to one chain, the first."""
    return _given_once(found, lambda chain: chain.subnets, lambda chain, subnets: replace(chain, subnets=subnets))


def _given_once(
    found: Iterable[tuple[int, _Chain]],
    claimed: Callable[[_Chain], tuple[str, ...]],
    narrowed: Callable[[_Chain, tuple[str, ...]], _Chain],
) -> dict[int, tuple[_Chain, ...]]:
    """Give each thing that chains of a port claim to the first of them; a chain to which nothing is left goes."""
    taken: set[tuple[int, str]] = set()
    settled: dict[int, list[_Chain]] = {}
    for port, chain in found:
        fresh = tuple(one for one in claimed(chain) if (port, one) not in taken)
        taken.update((port, one) for one in fresh)
        if fresh:
            settled.setdefault(port, []).append(chain if fresh == claimed(chain) else narrowed(chain, fresh))
    return {port: tuple(chains) for port, chains in settled.items()}


def _settle_claims(claims: Iterable[Claim], notes: Notes) -> dict[int, TcpChain]:
    """Give each port to one claim, transparent ones first; note the claims that are let down by that."""
    settled: dict[int, Claim] = {}
    for claim in sorted(claims, key=lambda claim: not claim.is_transparent):
        winner = settled.setdefault(claim.port, claim)
        if winner is not claim and not claim.is_transparent:
            notes.add(
                claim.origin,
                f"connections to port {claim.port} go where {winner.origin} says: give the service an own address",
                Doubt.OVERRULED,
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
        notes.add(
            loser,
            f"{listener.address}:{listener.port} already belongs to {owner}: its traffic goes there",
            Doubt.OVERRULED,
        )


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
