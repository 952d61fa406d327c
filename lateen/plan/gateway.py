"""What a gateway does: ports that it opens, and the virtual hosts that Gateways and VirtualServices agree on.

Servers of several Gateways on one port share its listener and route table. A virtual host is there for each host that
a server offers and a VirtualService bound to its Gateway claims; the narrower of the two names counts.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from lateen import names
from lateen.api.networking.gateway import Gateway, Server, ServerProtocol
from lateen.api.networking.virtual_service import VirtualService
from lateen.api.objects import ConfigObject
from lateen.model import visibility
from lateen.plan import clusters, connections, routes
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory, hosts_of
from lateen.plan.matches import Vantage, gateway_name
from lateen.plan.types import Cluster, GatewayListener, HttpChain, Origin, RouteTable, TcpChain, VirtualHost

ANY_ADDRESS: Final = "0.0.0.0"
_HTTP: Final = (ServerProtocol.HTTP, ServerProtocol.HTTP2, ServerProtocol.GRPC, ServerProtocol.GRPC_WEB)
_TCP: Final = (ServerProtocol.TCP, ServerProtocol.MONGO)


@dataclass(frozen=True, slots=True)
class OpenServer:
    """A server of a Gateway at the port that the gateway's workload binds for it."""

    gateway: ConfigObject[Gateway]
    server: Server
    origin: Origin
    bound_port: int

    @property
    def gateway_name(self) -> str:
        """The Gateway as VirtualServices name it."""
        return f"{self.gateway.namespace}/{self.gateway.name}"

    @property
    def is_http(self) -> bool:
        """Tell whether the server routes requests rather than connections."""
        return self.server.port.protocol in _HTTP

    @property
    def redirects(self) -> bool:
        """Tell whether plain requests are sent to HTTPS."""
        return self.server.tls is not None and self.server.tls.https_redirect


@dataclass(slots=True)
class Edge:
    """What a gateway's plan says."""

    clusters: list[Cluster] = field(default_factory=list)
    tables: list[RouteTable] = field(default_factory=list)
    listeners: list[GatewayListener] = field(default_factory=list)


@dataclass(slots=True)
class _Host:
    """A virtual host in the making: the rules for it by age, and whether plain requests are refused."""

    rules: dict[int, ConfigObject[VirtualService]] = field(default_factory=dict)
    requires_tls: bool = False

    @property
    def in_order(self) -> tuple[ConfigObject[VirtualService], ...]:
        """The rules, oldest first."""
        return tuple(self.rules[age] for age in sorted(self.rules))


def edge(directory: Directory, notes: Notes) -> Edge:
    """Put together the clusters of all visible services, and the listeners and tables of the open ports."""
    made = Edge()
    for service in directory.view.services:
        if directory.stands_for(service) is service:
            notes.extend(directory.policy(service).diagnostics)
            made.clusters += clusters.of_service(service, directory, captures=False)
    by_port: defaultdict[int, list[OpenServer]] = defaultdict(list)
    for server in _open_servers(directory, notes):
        by_port[server.bound_port].append(server)
    for port in sorted(by_port):
        _add_port(made, port, by_port[port], directory, notes)
    return made


def _open_servers(directory: Directory, notes: Notes) -> Iterator[OpenServer]:
    """Yield the servers that this release can open, the oldest Gateway's first."""
    bound = dict(directory.view.gateway_ports)
    for gateway in directory.view.gateways:
        for position, server in enumerate(gateway.spec.servers):
            origin = Origin(gateway.key, f"spec.servers[{position}]")
            if server.port.protocol not in (*_HTTP, *_TCP) or (
                server.tls is not None and not server.tls.https_redirect
            ):
                notes.add(origin, f"is not open: {server.port.protocol} servers have no effect yet")
            elif server.bind.startswith("unix://"):
                notes.add(origin, "is not open: gateways listen on addresses only")
            else:
                yield OpenServer(gateway, server, origin, bound.get(server.port.number, server.port.number))


def _add_port(made: Edge, port: int, servers: list[OpenServer], directory: Directory, notes: Notes) -> None:
    """Add a port's listener, and its table where it is HTTP; the oldest server decides which of both it is."""
    is_http = servers[0].is_http
    kept = [server for server in servers if server.is_http is is_http]
    for server in servers:
        if server.is_http is not is_http:
            notes.add(
                server.origin, f"is not open: port {port} is {servers[0].server.port.protocol} by {servers[0].origin}"
            )
    if is_http:
        name = names.gateway_route_table(port)
        hosts = tuple(_virtual_hosts(kept, directory, notes))
        made.tables.append(directory.cache.recall("table", hosts, (name,), lambda: RouteTable(name, hosts)))
        _add_listeners(made, port, kept, HttpChain(name), directory)
        return
    chain = _tcp_chain(kept, directory, notes)
    if chain is not None:
        _add_listeners(made, port, kept, chain, directory)


def _add_listeners(
    made: Edge, port: int, servers: Iterable[OpenServer], chain: HttpChain | TcpChain, directory: Directory
) -> None:
    """Add a listener for each address that the servers bind; all of a port have the same routes."""
    addresses: dict[str, Origin] = {}
    for server in servers:
        addresses.setdefault(server.server.bind or ANY_ADDRESS, server.origin)
    for address, origin in addresses.items():
        made.listeners.append(directory.cache.intern(GatewayListener(address, port, chain, origin)))


def _tcp_chain(servers: list[OpenServer], directory: Directory, notes: Notes) -> TcpChain | None:
    """Return where the first tcp rule bound to the first server with one sends connections."""
    for server in servers:
        bound = [item for item in directory.view.virtual_services if server.gateway_name in _gateways_of(item)]
        vantage = _vantage(directory, frozenset({server.gateway_name}), server.server.port.number)
        chain = connections.chain(bound, vantage, directory, notes)
        if chain is not None:
            return chain
        notes.add(server.origin, "is not open: no VirtualService has a tcp rule for it")
    return None


def _virtual_hosts(servers: list[OpenServer], directory: Directory, notes: Notes) -> Iterator[VirtualHost]:
    """Yield the virtual hosts of a port in a stable order."""
    number = servers[0].server.port.number
    gateways = frozenset(server.gateway_name for server in servers)
    vantage = _vantage(directory, gateways, number)
    found = _agreed_hosts(servers, directory)
    for server in servers:
        if server.redirects:
            for text in server.server.hosts:
                _, host = visibility.scoped_host(text, server.gateway.namespace)
                found.setdefault(host, _Host()).requires_tls = True
    for host in sorted(found):
        parts = routes.of_virtual_services(found[host].in_order, vantage, directory, notes)
        if found[host].requires_tls or any(part.routes for part in parts):
            yield _virtual_host(host, number, found[host].requires_tls, parts, directory)


def _virtual_host(
    host: str, port: int, requires_tls: bool, parts: tuple[routes.Routes, ...], directory: Directory
) -> VirtualHost:
    return directory.cache.recall(
        "gateway host",
        parts,
        (host, port, requires_tls),
        lambda: VirtualHost(names.virtual_host(host, port), (host,), routes.merge(parts), requires_tls),
    )


def _agreed_hosts(servers: list[OpenServer], directory: Directory) -> dict[str, _Host]:
    """Collect the hosts on which servers and VirtualServices agree, with the rules for each."""
    found: dict[str, _Host] = {}
    for age, item in enumerate(directory.view.virtual_services):
        bound = _gateways_of(item)
        if not item.spec.http or bound.isdisjoint(server.gateway_name for server in servers):
            continue
        for server in servers:
            if server.gateway_name in bound:
                for host in _agreed(server, item, directory.view.domain):
                    entry = found.setdefault(host, _Host())
                    entry.rules[age] = item
                    entry.requires_tls = entry.requires_tls or server.redirects
    return found


def _agreed(server: OpenServer, item: ConfigObject[VirtualService], domain: str) -> Iterator[str]:
    """Yield the narrower name of each pair of a server's and a rule's host of which one covers the other."""
    for text in server.server.hosts:
        scope, offered = visibility.scoped_host(text, server.gateway.namespace)
        if scope not in ("*", item.namespace):
            continue
        for claimed in hosts_of(item, domain):
            if visibility.host_matches(offered, claimed):
                yield claimed
            elif visibility.host_matches(claimed, offered):
                yield offered


def _gateways_of(item: ConfigObject[VirtualService]) -> frozenset[str]:
    return frozenset(gateway_name(name, item.namespace) for name in item.spec.gateways or ("mesh",))


def _vantage(directory: Directory, gateways: frozenset[str], port: int) -> Vantage:
    return Vantage(gateways, port, directory.view.namespace, directory.view.labels)
