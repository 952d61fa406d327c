"""The ports of a gateway that speak TLS: by server name, each connection is ended here or passed on.

A server name belongs to one server only. What a server cannot serve, because its Secret or its rules are missing, is
refused: it never falls to a server with a wider name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from lateen import names
from lateen.api.networking.gateway import ServerProtocol, ServerTlsMode
from lateen.model.protocol import Protocol
from lateen.plan import clusters, connections, ended_tls, gateway_hosts, server_names
from lateen.plan.diagnostics import Doubt, Notes
from lateen.plan.directory import Directory
from lateen.plan.secrets import Keyring
from lateen.plan.server_names import NameTable
from lateen.plan.servers import OpenServer, agreed_names, rules_of, vantage
from lateen.plan.types import (
    Cluster,
    HttpChain,
    NamedChain,
    RouteTable,
    Secret,
    Target,
    TcpChain,
)

_NOWHERE: Final = (Target(names.BLACK_HOLE_CLUSTER),)


@dataclass(slots=True)
class ByName:
    """What becomes of the connections to a port by server name, and what that needs."""

    chains: list[NamedChain] = field(default_factory=list)
    tables: list[RouteTable] = field(default_factory=list)
    clusters: list[Cluster] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)


def by_name(servers: list[OpenServer], directory: Directory, keyring: Keyring, notes: Notes) -> ByName:
    """Put together the chains of all servers with TLS on a port, oldest server first."""
    table = NameTable(servers[0].bound_port)
    claimed = [(server, table.claim(server.hosts, server.origin, notes)) for server in servers if server.ends_tls]
    made = ByName()
    for server in servers:
        if not server.ends_tls:
            passed = list(_passed_on(server, table, made, directory, notes))
            made.chains += (part for chain in passed for part in server_names.split(chain))
    for server in servers:
        if not server.ends_tls:
            made.chains += _left_over(server, table, notes)
    for server, hosts in claimed:
        if hosts:
            chain = _ended(server, hosts, table, made, directory, keyring, notes)
            made.chains += server_names.split(chain)
    return made


def _passed_on(
    server: OpenServer, table: NameTable, made: ByName, directory: Directory, notes: Notes
) -> Iterator[NamedChain]:
    """Yield the chains of a server whose connections end behind it."""
    if server.tls.mode is ServerTlsMode.AUTO_PASSTHROUGH:
        for cluster in _reachable(server, directory):
            if table.claim((cluster.name,), server.origin, notes):
                made.clusters.append(cluster)
                yield NamedChain((cluster.name,), TcpChain((Target(cluster.name),)), origin=server.origin)
        return
    seen_from = vantage(directory, frozenset({server.gateway_name}), server.port)
    rules = list(connections.by_server_name(rules_of(server, directory), seen_from, directory, notes))
    for rule in rules:
        wanted = agreed_names(server, rule.namespace, rule.names)
        if mine := table.claim(wanted, rule.origin, notes):
            yield NamedChain(mine, rule.chain, origin=rule.origin)
    if not rules:
        notes.add(server.origin, "refuses all connections: no VirtualService has a tls rule for it", Doubt.NOT_OPEN)


def _left_over(server: OpenServer, table: NameTable, notes: Notes) -> Iterator[NamedChain]:
    """Refuse what a server was to pass on but no rule is for, rather than leave it to a server with a wider name."""
    free = [host for host in server.hosts if host != server_names.EVERY_NAME and not table.has(host)]
    if free and server.tls.mode is ServerTlsMode.PASSTHROUGH:
        yield NamedChain(table.claim(free, server.origin, notes), TcpChain(_NOWHERE, origin=server.origin))


def _reachable(server: OpenServer, directory: Directory) -> Iterator[Cluster]:
    """Yield, for each port and subset of the services of the mesh, a cluster that carries the mesh's TLS as it is.

    It is named like the server name by which proxies ask for it.
    """
    for service in directory.view.services:
        offered = any(agreed_names(server, service.namespace, (service.host,)))
        if offered and not service.external and directory.stands_for(service) is service:
            for cluster in clusters.of_service(service, directory, captures=False):
                yield directory.cache.intern(_opaque(cluster))


def _opaque(cluster: Cluster) -> Cluster:
    name = names.mesh_server_name(cluster.host, cluster.port, cluster.subset)
    return replace(cluster, name=name, tls=None, protocol=Protocol.TCP, follows_client_protocol=False)


def _ended(
    server: OpenServer,
    hosts: tuple[str, ...],
    table: NameTable,
    made: ByName,
    directory: Directory,
    keyring: Keyring,
    notes: Notes,
) -> NamedChain:
    """Return the chain of a server that ends TLS, or one that refuses if it cannot."""
    tls = directory.defaults.trust if server.tls.mode is ServerTlsMode.ISTIO_MUTUAL else None
    needed: list[Secret] = []
    ends = tls or ended_tls.ended_tls(server, directory.defaults.tls, keyring, needed, notes)
    if server.server.port.protocol is ServerProtocol.HTTPS:
        requests = _requests(server, table, directory, notes)
        if ends is not None:
            made.tables.append(requests)
            made.secrets += needed
            return NamedChain(
                hosts, HttpChain(requests.name), ends, server.origin, server.speaks_http3(directory.proxy)
            )
    else:
        seen_from = vantage(directory, frozenset({server.gateway_name}), server.port)
        chain = connections.chain(rules_of(server, directory), seen_from, directory, notes)
        if chain is None:
            notes.add(server.origin, "refuses all connections: no VirtualService has a tcp rule for it", Doubt.NOT_OPEN)
        elif ends is not None:
            made.secrets += needed
            return NamedChain(hosts, chain, ends, server.origin)
    return NamedChain(hosts, TcpChain(_NOWHERE, origin=server.origin), origin=server.origin)


def _requests(server: OpenServer, table: NameTable, directory: Directory, notes: Notes) -> RouteTable:
    """Return the routes of one HTTPS server: for its own hosts only."""
    own = tuple(
        gateway_hosts.virtual_hosts([server], directory, notes, lambda host: table.owner(host) == server.origin)
    )
    known = {domain for host in own for domain in host.domains}
    elsewhere = tuple(host for host in table.of_others(server.origin) if host not in known)
    hosts = (*own, gateway_hosts.misdirected(elsewhere, server.port, directory)) if elsewhere else own
    gateway, port = server.gateway, server.server.port
    name = names.gateway_tls_route_table(port.number, port.name, gateway.name, gateway.namespace)
    return directory.cache.recall("table", hosts, (name,), lambda: RouteTable(name, hosts))
