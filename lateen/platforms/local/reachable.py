"""What a workload reaches without a sidecar, as in a cluster without a mesh: services by address and by name. Pure.

No rule of the mesh counts here, neither routing nor visibility. An automatic address of a ServiceEntry is named only
where it leads to workloads: for every other host the world's DNS knows better.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from lateen import names
from lateen.model.headless import headless_names
from lateen.model.protocol import Protocol
from lateen.model.registry import PortKey
from lateen.model.service import Service, ServicePort
from lateen.model.snapshot import Snapshot
from lateen.platforms.local import links
from lateen.platforms.local.protocol import MeshNames, ServiceRoute, Transport

TRANSPORTS: Final[tuple[Transport, ...]] = ("tcp", "udp")


def service_routes(snapshot: Snapshot, transports: Iterable[Transport] = TRANSPORTS) -> tuple[ServiceRoute, ...]:
    """List where the virtual addresses of services lead, ordered by host; headless services need no route."""
    wanted = frozenset(transports)
    return tuple(
        route for service in snapshot.services.values() for route in _routes(service, snapshot, wanted) if route.targets
    )


def mesh_names(snapshot: Snapshot) -> MeshNames:
    """List the addresses of all services, of headless services' pods, and what names outside others stand for."""
    addresses = {}
    aliases = {}
    for service in snapshot.services.values():
        target = _target_of_alias(service, snapshot)
        if service.alias_of and target is None:
            aliases[service.host] = service.alias_of
        elif found := _addresses(target or service, snapshot):
            addresses[service.host] = found
    for host, found in headless_names(snapshot, snapshot.services.values()):
        addresses.setdefault(host, found)
    return MeshNames(domain=names.DEFAULT_DOMAIN, addresses=addresses, aliases=aliases)


def _routes(service: Service, snapshot: Snapshot, transports: frozenset[Transport]) -> Iterator[ServiceRoute]:
    for port in service.ports:
        transport: Transport = "udp" if port.protocol is Protocol.UDP else "tcp"
        if transport in transports:
            targets = _targets(service, port, snapshot)
            for address in _single_addresses(service):
                yield ServiceRoute(address=address, port=port.number, transport=transport, targets=targets)


def _targets(service: Service, port: ServicePort, snapshot: Snapshot) -> tuple[str, ...]:
    """List the endpoints of a port that are workloads here; others are not on the mesh's own network."""
    endpoints = snapshot.endpoints.get(PortKey(service.host, port.number), ())
    return tuple(f"{each.address}:{each.port}" for each in endpoints if links.is_for_sandboxes(each.address))


def _addresses(service: Service, snapshot: Snapshot) -> tuple[str, ...]:
    if service.host.startswith("*"):
        return ()
    return tuple(
        address
        for address in _single_addresses(service)
        if not links.is_automatic(address) or any(_targets(service, port, snapshot) for port in service.ports)
    )


def _single_addresses(service: Service) -> tuple[str, ...]:
    return tuple(address for address in service.addresses if "/" not in address and ":" not in address)


def _target_of_alias(service: Service, snapshot: Snapshot) -> Service | None:
    """Find the service of the mesh that an ExternalName Service stands for."""
    if not service.alias_of:
        return None
    return snapshot.services.get(names.qualified_host(service.alias_of, service.namespace))
