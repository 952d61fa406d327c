"""What a gateway does: ports that it opens, and what Gateways and VirtualServices agree on behind them.

Servers of several Gateways on one port share its listener. Plain HTTP servers also share a route table; servers with
TLS are told apart by server name.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from lateen import names
from lateen.api.mesh.mesh_config import ProxyDefaults
from lateen.model.service import Service
from lateen.plan import clusters, connections, focus, gateway_hosts, gateway_tls
from lateen.plan.diagnostics import Doubt, Notes
from lateen.plan.directory import Directory
from lateen.plan.focus import Focus
from lateen.plan.secrets import Keyring
from lateen.plan.servers import Kind, OpenServer, open_servers, rules_of, vantage
from lateen.plan.types import (
    NO_FRONT,
    Cluster,
    GatewayFront,
    GatewayListener,
    HttpChain,
    NamedChain,
    Origin,
    RouteTable,
    Secret,
    TcpChain,
)

ANY_ADDRESS: Final = "0.0.0.0"


@dataclass(slots=True)
class Edge:
    """What a gateway's plan says."""

    clusters: list[Cluster] = field(default_factory=list)
    tables: list[RouteTable] = field(default_factory=list)
    listeners: list[GatewayListener] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)


def edge(directory: Directory, keyring: Keyring, notes: Notes, asked: Focus | None = None) -> Edge:
    """Put together the clusters of all visible services, and the listeners, tables and secrets of the open ports.

    Where only one request is asked about, these are the virtual hosts that its authority may mean on its port, and the
    clusters that they lead to.
    """
    made = Edge()
    if asked is None:
        _add_clusters(made, directory.view.services, directory, notes)
    by_place: defaultdict[tuple[int, str], list[OpenServer]] = defaultdict(list)
    for server in _without_taken_sockets(open_servers(directory, notes), notes):
        by_place[server.place].append(server)
    for place in sorted(by_place):
        port = place[0]
        if asked is None or asked.port == port:
            _add_port(made, port, _of_one_kind(port, by_place[place], notes), directory, keyring, notes, asked)
    if asked is not None:
        led_to = focus.led_to(made.tables, made.listeners)
        _add_clusters(made, focus.services_led_to(led_to, directory), directory, notes)
    return made


def _add_clusters(made: Edge, services: Iterable[Service], directory: Directory, notes: Notes) -> None:
    for service in services:
        if directory.stands_for(service) is service:
            notes.extend(directory.policy(service).diagnostics)
            made.clusters += clusters.of_service(service, directory, captures=False)


def _without_taken_sockets(servers: Iterable[OpenServer], notes: Notes) -> Iterator[OpenServer]:
    """Yield the servers but those of a socket that an older one has for another port."""
    taken: dict[str, OpenServer] = {}
    for server in servers:
        first = taken.setdefault(server.server.socket, server) if server.server.socket else server
        if first.place == server.place:
            yield server
        else:
            notes.add(server.origin, f"is not open: {server.server.socket} belongs to {first.origin}", Doubt.NOT_OPEN)


def _of_one_kind(port: int, servers: list[OpenServer], notes: Notes) -> list[OpenServer]:
    """Keep the servers that can share a port with the oldest one, which decides what it speaks."""
    first = servers[0]
    for server in servers:
        if server.kind is not first.kind:
            notes.add(
                server.origin,
                f"is not open: port {port} is {first.server.port.protocol} by {first.origin}",
                Doubt.NOT_OPEN,
            )
    return [server for server in servers if server.kind is first.kind]


def _add_port(
    made: Edge,
    port: int,
    servers: list[OpenServer],
    directory: Directory,
    keyring: Keyring,
    notes: Notes,
    asked: Focus | None,
) -> None:
    """Add a port's listener, with the tables, clusters and secrets that it needs."""
    kind = servers[0].kind
    if kind is Kind.TLS:
        by_name = gateway_tls.by_name(servers, directory, keyring, notes)
        made.tables += by_name.tables
        made.clusters += by_name.clusters
        made.secrets += by_name.secrets
        _add_listeners(made, port, servers, None, tuple(by_name.chains), directory)
    elif kind is Kind.HTTP:
        name = names.gateway_route_table(port, servers[0].server.socket)
        is_here = asked.is_meant if asked is not None else lambda _: True
        hosts = tuple(gateway_hosts.virtual_hosts(servers, directory, notes, is_here))
        made.tables.append(directory.cache.recall("table", hosts, (name,), lambda: RouteTable(name, hosts)))
        _add_listeners(made, port, servers, HttpChain(name), (), directory)
    else:
        chain = _tcp_chain(servers, directory, notes)
        if chain is not None:
            _add_listeners(made, port, servers, chain, (), directory)


def _add_listeners(
    made: Edge,
    port: int,
    servers: Iterable[OpenServer],
    chain: HttpChain | TcpChain | None,
    named: tuple[NamedChain, ...],
    directory: Directory,
) -> None:
    """Add a listener for each address that the servers bind; all of a port have the same routes."""
    addresses: dict[str, Origin] = {}
    for server in servers:
        addresses.setdefault(server.server.bind or ANY_ADDRESS, server.origin)
    for address, origin in addresses.items():
        listener = GatewayListener(address, port, chain, origin, named, _front(directory.proxy))
        made.listeners.append(directory.cache.intern(listener))


def _front(proxy: ProxyDefaults) -> GatewayFront:
    """Read what stands before a gateway."""
    topology = proxy.gateway_topology
    if topology is None:
        return NO_FRONT
    return GatewayFront(topology.num_trusted_proxies, proxy.tells_gateways_of_clients)


def _tcp_chain(servers: list[OpenServer], directory: Directory, notes: Notes) -> TcpChain | None:
    """Return where the first tcp rule bound to the first server with one sends connections."""
    for server in servers:
        seen_from = vantage(directory, frozenset({server.gateway_name}), server.port)
        chain = connections.chain(rules_of(server, directory), seen_from, directory, notes)
        if chain is not None:
            return chain
        notes.add(server.origin, "is not open: no VirtualService has a tcp rule for it", Doubt.NOT_OPEN)
    return None
