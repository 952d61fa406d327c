"""What of a plan matters to one request: then the rest of a large mesh need not be planned to explain it.

A plan in focus says of its request, and of nothing else, what the whole plan says. What depends on the request's port
and authority alone is left out of tables and listeners; clusters are those that are led to.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from lateen import names
from lateen.model import visibility
from lateen.model.service import Service
from lateen.plan import virtual_hosts
from lateen.plan.directory import Directory, tcp_ports
from lateen.plan.types import (
    Chain,
    Forward,
    GatewayListener,
    HttpChain,
    OutboundListener,
    RouteTable,
    SniffedChain,
    TcpChain,
)

_PORT: Final = re.compile(r":\d+$")


@dataclass(frozen=True, slots=True)
class Focus:
    """The request that a plan is made for: its port as the proxy sees it, and its authority."""

    port: int
    authority: str

    @property
    def host(self) -> str:
        """The authority as virtual hosts are compared with it."""
        return _PORT.sub("", self.authority.lower())

    def is_meant(self, domain: str) -> bool:
        """Tell whether a domain of a virtual host covers the request's authority."""
        return visibility.host_matches(domain.lower(), self.host)


def services(focus: Focus, directory: Directory) -> Iterator[Service]:
    """Yield the services that can be found by the request, in order.

    These are the ones with its port that do not tell requests apart by authority, or whose names cover it; and one
    more, because of which the port has a listener at all.
    """
    has_listener = False
    for service in directory.view.services:
        ports = [one for one in tcp_ports(directory.stands_for(service).ports) if one.number == focus.port]
        by_authority = all(one.protocol.is_http for one in ports)
        if not ports or (by_authority and has_listener and not _is_called(service, focus, directory)):
            continue
        has_listener = has_listener or by_authority
        yield service


def led_to(tables: Iterable[RouteTable], listeners: Iterable[OutboundListener | GatewayListener]) -> dict[str, None]:
    """Name the clusters to which anything leads."""
    found: dict[str, None] = {}
    for table in tables:
        for host in table.virtual_hosts:
            for route in host.routes:
                if isinstance(route.action, Forward):
                    found.update(dict.fromkeys(target.cluster for target in route.action.targets))
                    found.update(dict.fromkeys(mirror.cluster for mirror in route.action.mirrors))
    for listener in listeners:
        chains = (listener.chain, *(one.chain for one in listener.named), *_fallbacks(listener))
        found.update(dict.fromkeys(target for chain in chains for target in _targets(chain)))
    return found


def services_led_to(clusters: Iterable[str], directory: Directory) -> Iterator[Service]:
    """Yield the services that clusters are of, each once."""
    parsed = (names.parse_cluster(name) for name in clusters)
    for host in dict.fromkeys(one.host for one in parsed if one is not None):
        if (service := directory.services.get(host)) is not None:
            yield service


def _is_called(service: Service, focus: Focus, directory: Directory) -> bool:
    view = directory.view
    domains = virtual_hosts.of_service(service, focus.port, view.namespace, view.domain, ()).domains
    return any(map(focus.is_meant, domains))


def _fallbacks(listener: OutboundListener | GatewayListener) -> Iterator[Chain | None]:
    if isinstance(listener, OutboundListener):
        yield listener.fallback


def _targets(chain: Chain | None) -> Iterator[str]:
    match chain:
        case TcpChain(targets=targets):
            yield from (target.cluster for target in targets)
        case SniffedChain(tcp=tcp):
            yield from _targets(tcp)
        case HttpChain() | None:
            return
