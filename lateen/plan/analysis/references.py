"""References to what does not exist: hosts, subsets, ports, gateways, selectors, namespaces, Secrets."""

from collections.abc import Iterator
from typing import NamedTuple, cast

from lateen import names
from lateen.api import kinds
from lateen.api.core.secret import Secret
from lateen.api.networking.destination_rule import DestinationRule
from lateen.api.networking.envoy_filter import EnvoyFilter
from lateen.api.networking.gateway import Gateway
from lateen.api.networking.service_entry import ServiceEntry
from lateen.api.networking.sidecar import Sidecar
from lateen.api.networking.virtual_service import Destination, VirtualService
from lateen.api.objects import ConfigObject
from lateen.api.security.attachment import Attached
from lateen.api.security.authorization_policy import AuthorizationPolicy
from lateen.api.security.peer_authentication import PeerAuthentication
from lateen.api.structs import Struct
from lateen.model.service import Service
from lateen.plan.analysis import groups
from lateen.plan.analysis.world import Found, Labels, World, at, full
from lateen.plan.directory import tcp_ports
from lateen.plan.matches import gateway_name


class Reference(NamedTuple):
    """A destination of a rule, and the field that names it."""

    item: ConfigObject[VirtualService]
    path: str
    destination: Destination

    @property
    def host(self) -> str:
        """The full host that is meant."""
        return full(self.destination.host, self.item.namespace)


def destinations(item: ConfigObject[VirtualService]) -> Iterator[Reference]:
    """Yield every destination of a VirtualService."""
    for position, rule in enumerate(item.spec.http):
        at_rule = f"spec.http[{position}]"
        for place, branch in enumerate(rule.route):
            yield Reference(item, f"{at_rule}.route[{place}].destination", branch.destination)
        if rule.mirror is not None:
            yield Reference(item, f"{at_rule}.mirror", rule.mirror)
        for place, mirror in enumerate(rule.mirrors):
            yield Reference(item, f"{at_rule}.mirrors[{place}].destination", mirror.destination)
    for position, tcp in enumerate(item.spec.tcp):
        for place, part in enumerate(tcp.route):
            yield Reference(item, f"spec.tcp[{position}].route[{place}].destination", part.destination)
    for position, tls in enumerate(item.spec.tls):
        for place, part in enumerate(tls.route):
            yield Reference(item, f"spec.tls[{position}].route[{place}].destination", part.destination)


def missing(world: World) -> Found:
    """Yield what is named and not there."""
    for item in world.virtual_services:
        for reference in destinations(item):
            yield from _missing_destination(world, reference)
        yield from _missing_gateways(world, item)
        yield from _missing_delegates(world, item)
    yield from _missing_gateway_workloads(world)
    yield from _missing_credentials(world)
    yield from _missing_namespaces(world)
    yield from groups.missing(world)


def _missing_destination(world: World, reference: Reference) -> Found:
    host, destination = reference.host, reference.destination
    service = world.service(host)
    origin = at(reference.item.key, reference.path)
    if service is None:
        yield origin, f"host {host} is no service of the mesh: name a Service, or write a ServiceEntry for it"
        return
    numbers = [port.number for port in tcp_ports(service.ports)]
    if destination.port is not None and destination.port.number not in numbers:
        known = ", ".join(map(str, numbers)) or "none"
        yield origin, f"{host} has no port {destination.port.number}: it has {known}"
    if destination.subset and destination.subset not in world.subsets(host):
        yield origin, f"no DestinationRule for {host} defines subset {destination.subset}: define it, or leave it out"


def _missing_gateways(world: World, item: ConfigObject[VirtualService]) -> Found:
    for position, written in enumerate(item.spec.gateways):
        name = gateway_name(written, item.namespace)
        if name != "mesh" and name not in world.gateways:
            yield at(item.key, f"spec.gateways[{position}]"), f"there is no Gateway {name}: the rules act nowhere by it"


def _missing_delegates(world: World, item: ConfigObject[VirtualService]) -> Found:
    for position, rule in enumerate(item.spec.http):
        if rule.delegate is not None:
            home = rule.delegate.namespace or item.namespace
            found = world.config.shelf(VirtualService, home).get(rule.delegate.name)
            if found is None:
                origin = at(item.key, f"spec.http[{position}].delegate")
                yield origin, f"there is no VirtualService {home}/{rule.delegate.name} to hand over to"


def _missing_gateway_workloads(world: World) -> Found:
    for item in world.gateways.values():
        if not any(True for _ in world.selected_everywhere(item.spec.selector)):
            labels = _written(item.spec.selector)
            yield at(item.key, "spec.selector"), f"no workload has the labels {labels}: the Gateway opens no port"


def _missing_credentials(world: World) -> Found:
    for item, path, credential in credentials(world):
        homes = gateway_homes(world, item)
        name = names.secret_of_credential(credential)
        if homes and not any(name in world.config.shelf(Secret, home) for home in homes):
            where = " or ".join(sorted(homes))
            yield at(item.key, path), f"there is no Secret {name} in namespace {where}, where the gateway runs"


def credentials(world: World) -> Iterator[tuple[ConfigObject[Gateway], str, str]]:
    """Yield each Secret that a Gateway's servers name, with the field that does."""
    for item in world.gateways.values():
        for position, server in enumerate(item.spec.servers):
            if server.tls is None:
                continue
            for credential in server.tls.credentials:
                field = "credentialName" if server.tls.credential_name else "credentialNames"
                yield item, f"spec.servers[{position}].tls.{field}", credential


def gateway_homes(world: World, item: ConfigObject[Gateway]) -> frozenset[str]:
    """Return the namespaces in which workloads run that a Gateway selects."""
    return frozenset(one.key.namespace for one in world.selected_everywhere(item.spec.selector))


def _missing_namespaces(world: World) -> Found:
    for item in world.all(AuthorizationPolicy):
        for position, rule in enumerate(item.spec.rules):
            for place, source in enumerate(rule.from_):
                for index, name in enumerate(source.source.namespaces):
                    if "*" not in name and name not in world.inhabited:
                        path = f"spec.rules[{position}].from[{place}].source.namespaces[{index}]"
                        yield at(item.key, path), f"there is no namespace {name}: nobody calls from it"


def ports_left_out(world: World) -> Found:
    """Yield destinations that name no port although the service has several."""
    for item in world.virtual_services:
        for reference in destinations(item):
            service = world.service(reference.host)
            if service is None or reference.destination.port is not None:
                continue
            ports = tcp_ports(service.ports)
            if len(ports) > 1:
                known = ", ".join(str(port.number) for port in ports)
                yield at(item.key, reference.path), f"{reference.host} has several ports ({known}): name one"


def unknown_rule_hosts(world: World) -> Found:
    """Yield DestinationRules for hosts that are no service."""
    for item in world.all(DestinationRule):
        host = full(item.spec.host, item.namespace)
        if not _services(world, host):
            yield at(item.key, "spec.host"), f"host {host} is no service of the mesh: the rule has no effect"


def empty_subsets(world: World) -> Found:
    """Yield subsets whose labels pick nobody behind their service."""
    for item in world.all(DestinationRule):
        services = _services(world, full(item.spec.host, item.namespace))
        for position, subset in enumerate(item.spec.subsets):
            known = [service for service in services if service.selector]
            if known and subset.labels and not any(_is_filled(world, one, subset.labels) for one in known):
                labels = _written(subset.labels)
                says = f"subset {subset.name} is empty: no workload of {known[0].host} has the labels {labels}"
                yield at(item.key, f"spec.subsets[{position}]"), f"{says}; what is sent there is answered with 503"


def _services(world: World, host: str) -> list[Service]:
    """Return the services that a DestinationRule's host means, for a wildcard a few of them are enough."""
    if not host.startswith("*"):
        found = world.service(host)
        return [found] if found is not None else []
    return [service for name, service in world.snapshot.services.items() if name.endswith(host[1:])]


def _is_filled(world: World, service: Service, labels: Labels) -> bool:
    return world.is_anybody(service.namespace, {**dict(service.selector), **labels})


def unmatched_selectors(world: World) -> Found:
    """Yield selectors that pick no workload."""
    for policy in _attached(world):
        if policy.spec.selector is not None:
            yield from _unmatched(world, policy, policy.spec.selector.match_labels, "spec.selector")
    for peers in world.all(PeerAuthentication):
        if peers.spec.selector is not None:
            yield from _unmatched(world, peers, peers.spec.selector.match_labels, "spec.selector")
    others: tuple[ConfigObject[Sidecar] | ConfigObject[EnvoyFilter] | ConfigObject[ServiceEntry], ...] = (
        *world.all(Sidecar),
        *world.all(EnvoyFilter),
        *world.all(ServiceEntry),
    )
    for item in others:
        if item.spec.workload_selector is not None:
            yield from _unmatched(world, item, item.spec.workload_selector.labels, "spec.workloadSelector")


def _attached(world: World) -> Iterator[ConfigObject[Attached]]:
    """Yield the objects of all kinds that are attached to workloads by a selector."""
    for row in kinds.KINDS:
        if issubclass(row.spec, Attached):
            yield from cast(tuple[ConfigObject[Attached], ...], world.config.of(row))


def _unmatched(world: World, item: ConfigObject[Struct], labels: Labels, path: str) -> Found:
    if not labels:
        return
    reaches_all = item.namespace == world.mesh.root_namespace and not isinstance(item.spec, ServiceEntry)
    found = (
        any(True for _ in world.selected_everywhere(labels))
        if reaches_all
        else world.is_anybody(item.namespace, labels)
    )
    if not found:
        where = "the mesh" if reaches_all else f"namespace {item.namespace}"
        yield at(item.key, path), f"no workload of {where} has the labels {_written(labels)}: it concerns nobody"


def _written(labels: Labels) -> str:
    return ",".join(f"{name}={value}" for name, value in labels.items()) or "(none)"
