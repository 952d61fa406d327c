"""Services and ServiceEntries: ports that are named badly, or that cannot be told apart."""

from collections import defaultdict
from typing import Final

from lateen.api.core.service import Service, ServiceType, TransportProtocol
from lateen.api.networking.service_entry import EntryProtocol, Resolution, ServiceEntry
from lateen.api.objects import ConfigObject
from lateen.model import services
from lateen.model.protocol import Protocol, parse_protocol
from lateen.plan.analysis.world import Found, World, at

_TCP: Final = (EntryProtocol.TCP, EntryProtocol.UNSET, EntryProtocol.MONGO, EntryProtocol.REDIS, EntryProtocol.MYSQL)


def port_names(world: World) -> Found:
    """Yield ports of Services whose name says no protocol, so that it has to be found out from the first bytes."""
    for item in world.config.of(Service):
        if item.spec.type is ServiceType.EXTERNAL_NAME:
            continue
        for position, port in enumerate(item.spec.ports):
            if port.protocol is TransportProtocol.TCP and not _says_protocol(port.name, port.app_protocol):
                written = f"name {port.name!r}" if port.name else "no name"
                says = f"{written} says no protocol, so that it is detected"
                yield at(item.key, f"spec.ports[{position}]"), f"{says}: name it PROTOCOL-NAME, or set appProtocol"


def alias_ports(world: World) -> Found:
    """Yield ports of ExternalName Services whose name says no protocol."""
    for item in world.config.of(Service):
        if item.spec.type is not ServiceType.EXTERNAL_NAME:
            continue
        for position, port in enumerate(item.spec.ports):
            if not _says_protocol(port.name, port.app_protocol):
                says = "an ExternalName's port must say its protocol, such as tcp-NAME: else it is taken for HTTP"
                yield at(item.key, f"spec.ports[{position}]"), says


def _says_protocol(name: str, app_protocol: str) -> bool:
    if app_protocol:
        return True
    prefix = "grpc-web" if name.lower().startswith("grpc-web") else name.partition("-")[0]
    return parse_protocol(prefix) not in (None, Protocol.AUTO)


def protocol_conflicts(world: World) -> Found:
    """Yield Services that read a workload's port as another protocol than an older Service does."""
    yield from _disagreements(world, protocols=True)


def port_conflicts(world: World) -> Found:
    """Yield Services that offer a workload's port by another number than an older Service does."""
    yield from _disagreements(world, protocols=False)


def _disagreements(world: World, *, protocols: bool) -> Found:
    for namespace in sorted({template.owner.namespace for template in world.templates}):
        seen: set[object] = set()
        for template in world.templates:
            if template.owner.namespace == namespace:
                for origin, says in _of_template(world, namespace, dict(template.labels), protocols):
                    if (origin, says) not in seen:
                        seen.add((origin, says))
                        yield origin, says


def _of_template(world: World, namespace: str, labels: dict[str, str], protocols: bool) -> Found:
    """Compare the Services of one kind of workloads by the port that they send to."""
    first: dict[int | str, tuple[str, Protocol, int]] = {}
    for service in world.services_selecting(namespace, labels):
        for port in service.ports:
            known = first.setdefault(port.target, (service.host, port.protocol, port.number))
            if known[0] == service.host:
                continue
            origin = at(service.origin, "spec.ports")
            if protocols and known[1] is not port.protocol:
                says = f"port {port.target} is {port.protocol.value} here and {known[1].value} by {known[0]}"
                yield origin, f"{says}: make them the same"
            if not protocols and known[2] != port.number:
                says = f"sends to port {port.target} as port {port.number}, and {known[0]} as port {known[2]}"
                yield origin, f"{says}: use one number"


def entries_without_addresses(world: World) -> Found:
    """Yield ServiceEntries for TCP that can be told by their port alone, because they have no address."""
    for item in world.all(ServiceEntry):
        if item.spec.addresses or (services.needs_automatic_addresses(item.spec) and _are_full(item)):
            continue
        for position, port in enumerate(item.spec.ports):
            if port.protocol in _TCP and not _says_protocol(port.name, ""):
                says = (
                    f"every TCP connection to port {port.number} is taken for it: give addresses, or another resolution"
                )
                yield at(item.key, f"spec.ports[{position}]"), says


def _are_full(item: ConfigObject[ServiceEntry]) -> bool:
    return not any(host.startswith("*") for host in item.spec.hosts) and item.spec.resolution is not Resolution.NONE


def hosts_of_others(world: World) -> Found:
    """Yield hosts of ServiceEntries that belong to another object, with which these cannot be put together."""
    for item in world.all(ServiceEntry):
        for position, made in enumerate(services.of_entry(item, world.mesh, {})):
            owner = world.snapshot.declared.get(made.host)
            if owner is None or owner.origin == item.key or services.together(owner, made) is not owner:
                continue
            says = f"has no effect: {made.host} belongs to {owner.origin}"
            why = "only ServiceEntries of one namespace with the same resolution, location and exportTo add up"
            yield at(item.key, f"spec.hosts[{position}]"), f"{says}; {why}"


def entry_conflicts(world: World) -> Found:
    """Yield ServiceEntries that say another protocol for a host's port than an older one."""
    first: defaultdict[tuple[str, int], list[tuple[EntryProtocol, ConfigObject[ServiceEntry]]]] = defaultdict(list)
    for item in world.all(ServiceEntry):
        for position, port in enumerate(item.spec.ports):
            for host in item.spec.hosts:
                known = first[host, port.number]
                if known and known[0][0] is not port.protocol:
                    says = f"{host}:{port.number} is {port.protocol.value or 'detected'} here and "
                    says += f"{known[0][0].value or 'detected'} by {known[0][1].key}, which counts"
                    yield at(item.key, f"spec.ports[{position}].protocol"), says
                known.append((port.protocol, item))
