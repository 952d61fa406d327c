"""The virtual hosts of a gateway's port: one for each host that a server offers and a bound VirtualService claims.

The narrower of the two names counts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from lateen import names
from lateen.api.networking.virtual_service import VirtualService
from lateen.api.objects import ConfigObject
from lateen.plan import routes
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory
from lateen.plan.matches import ANY_REQUEST
from lateen.plan.servers import OpenServer, agreed, gateways_of, vantage
from lateen.plan.types import Respond, Route, VirtualHost

_MISDIRECTED: Final = 421


@dataclass(slots=True)
class _Host:
    """A virtual host in the making: the rules for it by age, and whether plain requests are refused."""

    rules: dict[int, ConfigObject[VirtualService]] = field(default_factory=dict)
    requires_tls: bool = False

    @property
    def in_order(self) -> tuple[ConfigObject[VirtualService], ...]:
        """The rules, oldest first."""
        return tuple(self.rules[age] for age in sorted(self.rules))


def virtual_hosts(
    servers: list[OpenServer], directory: Directory, notes: Notes, is_here: Callable[[str], bool] = lambda _: True
) -> Iterator[VirtualHost]:
    """Yield the virtual hosts of servers with a common port in a stable order, without those that are not here."""
    number = servers[0].port
    seen_from = vantage(directory, frozenset(server.gateway_name for server in servers), number)
    found = _agreed_hosts(servers, directory)
    for server in servers:
        if server.redirects:
            for host in server.hosts:
                found.setdefault(host, _Host()).requires_tls = True
    for host in sorted(filter(is_here, found)):
        parts = routes.of_virtual_services(found[host].in_order, seen_from, directory, notes)
        if found[host].requires_tls or any(part.routes for part in parts):
            yield _virtual_host(host, number, found[host].requires_tls, parts, directory)


def misdirected(hosts: tuple[str, ...], port: int, directory: Directory) -> VirtualHost:
    """Refuse requests for hosts that other servers of the port have, so that clients ask again on a new connection.

    They come when a client uses a connection for all hosts that its certificate is for. Each host has its own server
    with its own demands on clients, so no other one may answer for it.
    """
    refusal = Route(ANY_REQUEST, Respond(_MISDIRECTED), name="misdirected")
    return directory.cache.intern(VirtualHost(names.virtual_host("misdirected", port), hosts, (refusal,)))


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
        bound = gateways_of(item)
        if not item.spec.http or bound.isdisjoint(server.gateway_name for server in servers):
            continue
        for server in servers:
            if server.gateway_name in bound:
                for host in agreed(server, item, directory.view.domain):
                    entry = found.setdefault(host, _Host())
                    entry.rules[age] = item
                    entry.requires_tls = entry.requires_tls or server.redirects
    return found
