"""What is done for hosts that have rules but are no service."""

from collections.abc import Iterable, Iterator
from typing import Final

from lateen.model import visibility
from lateen.model.protocol import Protocol
from lateen.model.service import Service, ServicePort
from lateen.plan import connections, routes, virtual_hosts
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory, hosts_of
from lateen.plan.types import NamedChain, VirtualHost

DEFAULT_HTTP_PORT: Final = 80
DEFAULT_TLS_PORT: Final = 443


def virtual_hosts_of(directory: Directory, notes: Notes) -> Iterator[tuple[int, VirtualHost]]:
    """Yield virtual hosts for the hosts that have rules but are no service.

    They are reached on the HTTP ports of the services that the same rules are for, or on port 80 when there are none.
    """
    for host, ports in _strangers(directory).items():
        rules = directory.virtual_services.find(host)
        for port in ports:
            found = routes.of_virtual_services(rules, routes.mesh_vantage(directory, port), directory, notes)
            if any(part.routes for part in found):
                yield port, _stranger(host, port, found, directory)


def named_chains_of(directory: Directory, notes: Notes) -> Iterator[tuple[int, NamedChain]]:
    """Yield what tls rules do with the server names of hosts that are no service.

    They count on the ports that the rules name, or on port 443.
    """
    for item in directory.view.virtual_services:
        if item.spec.tls and any(host not in directory.services for host in hosts_of(item, directory.view.domain)):
            asked = (condition.port or DEFAULT_TLS_PORT for rule in item.spec.tls for condition in rule.match)
            for port in dict.fromkeys(asked):
                vantage = routes.mesh_vantage(directory, port)
                for chain in connections.named_chains((item,), vantage, directory, notes):
                    yield port, chain


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
