"""What one service adds to a sidecar's plan."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lateen import names
from lateen.model.protocol import Protocol
from lateen.model.service import Resolution, Service, ServicePort
from lateen.plan import clusters, connections, routes, tls, traffic, virtual_hosts
from lateen.plan.defaults import Defaults
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory, VirtualServices, tcp_ports
from lateen.plan.traffic import HostPolicy
from lateen.plan.types import (
    Cluster,
    HttpChain,
    NamedChain,
    Origin,
    OutboundListener,
    Route,
    RouteTable,
    SniffedChain,
    SubnetChain,
    Target,
    TcpChain,
    VirtualHost,
)
from lateen.plan.virtual_hosts import EVERY_AUTHORITY


@dataclass(frozen=True, slots=True)
class Claim:
    """What a service without address wants of the connections to a port, and whether it leaves them their way."""

    port: int
    chain: TcpChain
    is_transparent: bool
    origin: Origin


@dataclass(frozen=True, slots=True, eq=False)
class ServicePart:
    """What one service adds to a sidecar's plan. `named` and `subnets` are for any address of a port."""

    clusters: tuple[Cluster, ...] = ()
    shared: tuple[tuple[int, VirtualHost], ...] = ()
    listeners: tuple[OutboundListener, ...] = ()
    tables: tuple[RouteTable, ...] = ()
    claims: tuple[Claim, ...] = ()
    named: tuple[tuple[int, NamedChain], ...] = ()
    subnets: tuple[tuple[int, SubnetChain], ...] = ()


def part(service: Service, directory: Directory, notes: Notes) -> ServicePart:
    """Return what a service adds; the same object while the service and all that is said about it did not change."""
    target = directory.stands_for(service)
    policy = directory.policy(target)
    if policy.diagnostics:
        notes.extend(policy.diagnostics)
    rules = directory.virtual_services.find(service.host) or directory.virtual_services.find(target.host)
    by_port = _Rules({}, {}, {}, {})
    if rules:
        by_port = _rules_by_port(tuple(rules), target, directory, notes)
    view = directory.view
    own = (directory.session(target), *directory.health_checks(target))
    return directory.cache.recall(
        "service",
        (service, target, policy, directory.defaults, *own, *by_port.ingredients),
        (service.namespace == view.namespace, directory.client(policy), *by_port.ports),
        lambda: _make_part(service, target, policy, by_port, directory),
    )


@dataclass(frozen=True, slots=True)
class _Rules:
    """What rules say about a service, by port."""

    routes: dict[int, tuple[routes.Routes, ...]]
    chains: dict[int, TcpChain]
    named: dict[int, tuple[NamedChain, ...]]
    subnets: dict[int, tuple[SubnetChain, ...]]

    @property
    def ports(self) -> Iterator[int]:
        """The ports that chains are for, in the order of those."""
        for found in (self.chains, self.named, self.subnets):
            yield from found

    @property
    def ingredients(self) -> Iterator[object]:
        for found in self.routes.values():
            yield from found
        yield from self.chains.values()
        for chains in self.named.values():
            yield from chains
        for subnets in self.subnets.values():
            yield from subnets


def _rules_by_port(rules: VirtualServices, target: Service, directory: Directory, notes: Notes) -> _Rules:
    found = _Rules({}, {}, {}, {})
    for port in tcp_ports(target.ports):
        vantage = routes.mesh_vantage(directory, port.number)
        if port.protocol.is_http or port.protocol is Protocol.AUTO:
            found.routes[port.number] = routes.of_virtual_services(rules, vantage, directory, notes)
        if not port.protocol.is_http:
            vantage = replace(vantage, addresses=virtual_hosts.single_addresses(target))
            chain = connections.chain(rules, vantage, directory, notes)
            if chain is not None:
                found.chains[port.number] = chain
            if not vantage.addresses:
                found.subnets[port.number] = connections.by_subnet(rules, vantage, directory, notes)
        if port.protocol.is_tls:
            found.named[port.number] = connections.named_chains(rules, vantage, directory, notes)
    return found


def _make_part(
    service: Service, target: Service, policy: HostPolicy, rules: _Rules, directory: Directory
) -> ServicePart:
    is_alias = target is not service
    addresses = virtual_hosts.single_addresses(target)
    shared: list[tuple[int, VirtualHost]] = []
    tables: list[RouteTable] = []
    listeners: list[OutboundListener] = []
    claims: list[Claim] = []
    named: list[tuple[int, NamedChain]] = []
    subnets: list[tuple[int, SubnetChain]] = []
    for port in tcp_ports(target.ports):
        parts = rules.routes.get(port.number, ())
        if port.protocol.is_http or (port.protocol is Protocol.AUTO and not addresses):
            shared.append((port.number, _shared_host(service, target, port.number, parts, directory)))
        if port.protocol.is_http or is_alias:
            # The name of an alias resolves to its target's address, where the target's listeners are.
            continue
        chain = rules.chains.get(port.number) or _chain(target, port, policy, directory.defaults)
        by_name = rules.named.get(port.number, ())
        own = [_own_listener(service, address, port, chain, by_name) for address in addresses]
        listeners += map(directory.cache.intern, own)
        if addresses and port.protocol is Protocol.AUTO:
            tables.append(_sniffed_table(service, port.number, parts, policy, directory))
        if not addresses and not service.alias_of:
            if port.protocol.is_tls:
                named += ((port.number, one) for one in (*by_name, _for_own_names(service, chain, directory)))
            if not (port.protocol.is_tls and service.external):
                claims.append(_claim(service, port, chain))
            subnets += ((port.number, one) for one in rules.subnets.get(port.number, ()))
    return ServicePart(
        () if is_alias else clusters.of_service(service, directory, captures=True),
        tuple(shared),
        tuple(listeners),
        tuple(tables),
        tuple(claims),
        tuple(named),
        tuple(subnets),
    )


def _shared_host(
    service: Service, target: Service, port: int, parts: tuple[routes.Routes, ...], directory: Directory
) -> VirtualHost:
    """Return a service's virtual host; the same object also where only what is behind the service is new."""
    view, policy = directory.view, directory.policy(target)
    return directory.cache.recall(
        "virtual host",
        (service, target, policy, directory.defaults, directory.session(target), *parts),
        (port, service.namespace == view.namespace),
        lambda: directory.cache.intern(
            virtual_hosts.of_service(
                service, port, view.namespace, view.domain, _settled(target, port, parts, policy, directory)
            )
        ),
    )


def _sniffed_table(
    service: Service, port: int, parts: tuple[routes.Routes, ...], policy: HostPolicy, directory: Directory
) -> RouteTable:
    """Return the routes of a service that has its address to itself: whatever the authority, they are meant."""
    name = names.sniffed_route_table(service.host, port)
    return directory.cache.recall(
        "sniffed table",
        (service, policy, directory.defaults, directory.session(service), *parts),
        (port,),
        lambda: directory.cache.intern(
            RouteTable(
                name,
                (
                    VirtualHost(
                        names.virtual_host(service.host, port),
                        EVERY_AUTHORITY,
                        _settled(service, port, parts, policy, directory),
                    ),
                ),
            )
        ),
    )


def _settled(
    service: Service, port: int, parts: tuple[routes.Routes, ...], policy: HostPolicy, directory: Directory
) -> tuple[Route, ...]:
    """Return the routes that rules come to, or the default one where no rule acts."""
    return routes.merge(parts) or (routes.default(service, port, policy, directory),)


def _chain(service: Service, port: ServicePort, policy: HostPolicy, defaults: Defaults) -> TcpChain:
    position = service.ports.index(port)
    settings = traffic.settle(policy, port.number, "", defaults)
    return TcpChain(
        (Target(names.outbound_cluster(service.host, port.number)),),
        keeping=traffic.keeping(settings),
        says_tcp=tls.is_told_apart_by_proxy(port, settings),
        keeps_clients=traffic.keeps_clients(traffic.hash_keys(settings.load_balancer)),
        tunnel=traffic.tunnel(settings.tunnel),
        resolves_name=port.number if service.resolution is Resolution.DYNAMIC_DNS else None,
        origin=Origin(service.origin, f"spec.ports[{position}]"),
    )


def _own_listener(
    service: Service, address: str, port: ServicePort, chain: TcpChain, named: tuple[NamedChain, ...]
) -> OutboundListener:
    if port.protocol is not Protocol.AUTO:
        return OutboundListener(address, port.number, chain, named=named)
    table = names.sniffed_route_table(service.host, port.number)
    return OutboundListener(address, port.number, SniffedChain(HttpChain(table), chain))


def _for_own_names(service: Service, chain: TcpChain, directory: Directory) -> NamedChain:
    """Return what is done with TLS for a service itself, to whatever address of its port."""
    hosts = names.host_aliases(service.host, directory.view.namespace, directory.view.domain)
    below = tuple(f"*.{host}" for host in hosts) if service.headless else ()
    return directory.cache.intern(NamedChain((*hosts, *below), chain, origin=chain.origin))


def _claim(service: Service, port: ServicePort, chain: TcpChain) -> Claim:
    is_transparent = service.resolution is Resolution.PASSTHROUGH
    position = service.ports.index(port)
    return Claim(port.number, chain, is_transparent, Origin(service.origin, f"spec.ports[{position}]"))
