"""All that concerns one service or one workload: what `lateen describe` tells."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lateen import names
from lateen.api import kinds
from lateen.api.networking.destination_rule import DestinationRule
from lateen.api.networking.virtual_service import VirtualService
from lateen.api.networking.workload_group import WorkloadGroup
from lateen.api.objects import ConfigObject, ObjectKey
from lateen.api.structs import Struct
from lateen.errors import ConfigRejected
from lateen.model.endpoint import Endpoint
from lateen.model.endpoint import select as select_endpoints
from lateen.model.peers import PeerMode
from lateen.model.registry import PortKey
from lateen.model.service import Service
from lateen.model.snapshot import Snapshot, services_of
from lateen.model.view import ProxyView
from lateen.model.views import MESH_GATEWAY, gateways_of
from lateen.model.visibility import host_matches
from lateen.model.workload import Workload
from lateen.plan.access_check import Place, find_workloads
from lateen.plan.explain import words
from lateen.plan.explain.places import Places
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.telling import service_called
from lateen.plan.types import Diagnostic, Origin, ProxyPlan, Route


@dataclass(frozen=True, slots=True)
class PortTold:
    """A port of a service: where it leads, what it is read as, and how many endpoints take it."""

    number: int
    name: str
    protocol: str
    target: str
    endpoints: int


@dataclass(frozen=True, slots=True)
class SubsetTold:
    """A subset, its labels, and who is in it."""

    name: str
    labels: dict[str, str]
    workloads: tuple[str, ...]
    place: Place | None


@dataclass(frozen=True, slots=True)
class RouteTold:
    """A route to a service for those who call from inside, in the order in which they are asked."""

    port: int
    asked: str
    goes_to: tuple[str, ...]
    place: Place | None


@dataclass(frozen=True, slots=True)
class ServiceTold:
    """What there is to know of a service."""

    name: str
    host: str
    place: Place
    addresses: tuple[str, ...]
    ports: tuple[PortTold, ...]
    workloads: tuple[str, ...]
    modes: tuple[str, ...]
    destination_rules: tuple[Place, ...]
    subsets: tuple[SubsetTold, ...]
    routes: tuple[RouteTold, ...]
    gateways: tuple[Place, ...]
    policies: tuple[Place, ...]
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InboundTold:
    """A port of a workload: as which service's port it is called, and which connections it takes."""

    number: int
    protocol: str
    service: str
    service_port: int
    mode: str


@dataclass(frozen=True, slots=True)
class WorkloadTold:
    """What there is to know of a workload."""

    name: str
    owner: str
    address: str
    role: str
    ready: bool
    identity: str
    labels: dict[str, str]
    locality: str
    group: Place | None
    registration: str
    ports: tuple[InboundTold, ...]
    mode: str
    mode_place: Place | None
    services: tuple[Place, ...]
    gateways: tuple[Place, ...]
    sidecar: Place | None
    policies: tuple[Place, ...]
    findings: tuple[str, ...]


def service(plans: Plans, name: str, namespace: str) -> ServiceTold:
    """Describe a service. Raises `ConfigRejected` when there is none of that name."""
    snapshot, places = plans.snapshot, Places(plans.snapshot)
    found = service_called(snapshot, name, namespace)
    if found is None:
        raise ConfigRejected(
            f"there is no service '{name}' in namespace '{namespace}'; `lateen get services -A` lists them"
        )
    members = sorted(snapshot.workloads.selected(found.namespace, found.selector), key=lambda one: one.key)
    rules = [item for item in snapshot.config.of(DestinationRule) if _is_for(item.spec.host, item, found)]
    routing = [item for item in snapshot.config.of(VirtualService) if _routes(item, found)]
    concerned = {found.origin, *(item.key for item in (*rules, *routing))}
    client = _client(plans, found.namespace)
    return ServiceTold(
        name=f"{found.origin.name}.{found.namespace}",
        host=found.host,
        place=places.of_object(found.origin),
        addresses=found.addresses,
        ports=tuple(_ports(found, snapshot)),
        workloads=tuple(str(one.key) for one in members),
        modes=tuple(dict.fromkeys(_mode(one, snapshot) for one in members)),
        destination_rules=tuple(places.of_object(item.key) for item in rules),
        subsets=tuple(_subsets(rules, found, snapshot, places)),
        routes=tuple(_inside_routes(client, found, places)) if client is not None else (),
        gateways=tuple(_gateways(routing, places)),
        policies=tuple(dict.fromkeys(place for one in members for place in _policies(plans.view(one), places))),
        findings=tuple(_findings(client.diagnostics if client is not None else (), concerned)),
    )


def workload(plans: Plans, name: str, namespace: str) -> WorkloadTold:
    """Describe a workload. Raises `ConfigRejected` when there is none of that name."""
    snapshot, places = plans.snapshot, Places(plans.snapshot)
    found = next(iter(find_workloads(snapshot, name, namespace)), None)
    if found is None:
        raise ConfigRejected(f"there is no workload '{name}' in namespace '{namespace}'; `lateen ps -A` lists them")
    view = plans.view(found)
    selecting = services_of(snapshot.services, found.key.namespace, found.labels)
    deciding = snapshot.peers.deciding(found.key.namespace, found.labels, 0)
    role = "gateway" if plans.is_gateway(found) else "sidecar"
    identity = names.Identity(snapshot.mesh.trust_domain, found.key.namespace, found.service_account)
    return WorkloadTold(
        name=str(found.key),
        owner=found.owner,
        address=found.address,
        role=role if found.proxied else "",
        ready=found.ready,
        identity=str(identity) if found.proxied else "",
        labels=dict(found.labels),
        locality="/".join(filter(None, found.locality)),
        group=_group(found, places),
        registration=_registration(found),
        ports=tuple(_inbound(view)),
        mode=view.peers.mode.value if found.proxied and role == "sidecar" else "",
        mode_place=places.of(Origin(deciding, "spec.mtls.mode")) if deciding is not None else None,
        services=tuple(places.of_object(one.origin) for one in selecting),
        gateways=tuple(places.of_object(item.key) for item in view.gateways),
        sidecar=places.of_object(view.sidecar.key) if view.sidecar is not None else None,
        policies=tuple(_policies(view, places)),
        findings=tuple(str(one) for one in plans.plan(found).diagnostics) if found.proxied else (),
    )


def _group(found: Workload, places: Places) -> Place | None:
    row = kinds.of_spec(WorkloadGroup)
    if found.membership is None:
        return None
    return places.of_object(ObjectKey(row.group, row.kind, found.key.namespace, found.membership.group))


def _registration(found: Workload) -> str:
    """Say how a member of a group stands; nothing of a workload that is none."""
    known = found.membership
    if known is None:
        return ""
    if not known.entry:
        return "not registered"
    why = known.verdict.message if known.verdict is not None else "its probe has not succeeded yet"
    return f"registered as {known.entry}, {'healthy' if known.healthy else f'not healthy: {why}'}"


def _client(plans: Plans, namespace: str) -> ProxyPlan | None:
    """Return the plan of a sidecar that calls: one of the service's own namespace where there is one."""
    proxied = [one for one in plans.snapshot.workloads if one.proxied and not plans.is_gateway(one)]
    found = sorted(proxied, key=lambda one: (one.key.namespace != namespace, one.key))
    return plans.plan(found[0]) if found else None


def _ports(found: Service, snapshot: Snapshot) -> Iterator[PortTold]:
    for port in found.ports:
        count = len(snapshot.endpoints.get(PortKey(found.host, port.number), ()))
        yield PortTold(port.number, port.name, port.protocol.value, str(port.target), count)


def _mode(found: Workload, snapshot: Snapshot) -> str:
    if not found.proxied:
        return "no proxy"
    mode: PeerMode = snapshot.peers.of(found.key.namespace, found.labels).mode
    return mode.value


def _is_for(host: str, item: ConfigObject[DestinationRule], found: Service) -> bool:
    return host_matches(names.qualified_host(host, item.namespace), found.host)


def _routes(item: ConfigObject[VirtualService], found: Service) -> bool:
    """Tell whether a VirtualService is for a service's host, or sends something to it."""
    spec = item.spec
    if MESH_GATEWAY in gateways_of(item) and any(
        host_matches(names.qualified_host(host, item.namespace), found.host) for host in spec.hosts
    ):
        return True
    named = [branch.destination.host for rule in spec.http for branch in rule.route]
    named += [branch.destination.host for tcp in spec.tcp for branch in tcp.route]
    named += [branch.destination.host for tls in spec.tls for branch in tls.route]
    return any(names.qualified_host(host, item.namespace) == found.host for host in named)


def _subsets(
    rules: Iterable[ConfigObject[DestinationRule]], found: Service, snapshot: Snapshot, places: Places
) -> Iterator[SubsetTold]:
    known: dict[str, Endpoint] = {}
    for port in found.ports:
        for endpoint in snapshot.endpoints.get(PortKey(found.host, port.number), ()):
            known.setdefault(endpoint.workload, endpoint)
    for item in rules:
        for position, subset in enumerate(item.spec.subsets):
            members = select_endpoints(tuple(known.values()), dict(subset.labels))
            place = places.of(Origin(item.key, f"spec.subsets[{position}]"))
            yield SubsetTold(subset.name, dict(subset.labels), tuple(sorted(one.workload for one in members)), place)


def _inside_routes(client: ProxyPlan, found: Service, places: Places) -> Iterator[RouteTold]:
    for port in found.ports:
        name = names.virtual_host(found.host, port.number)
        for table in client.route_tables:
            for host in table.virtual_hosts:
                if host.name == name:
                    for route in host.routes:
                        goes = tuple(_goes_to(route))
                        yield RouteTold(port.number, words.condition(route.match), goes, places.of(route.origin))


def _goes_to(route: Route) -> Iterator[str]:
    targets = getattr(route.action, "targets", None)
    if targets is None:
        yield "the proxy answers itself"
        return
    total = sum(target.weight for target in targets)
    for target in targets:
        parsed = names.parse_cluster(target.cluster)
        where = target.cluster
        if parsed is not None:
            where = f"{parsed.host} port {parsed.port}" + (f" subset {parsed.subset}" if parsed.subset else "")
        yield where + (f" {words.percent(100 * target.weight / total)}" if len(targets) > 1 else "")


def _gateways(routing: Iterable[ConfigObject[VirtualService]], places: Places) -> Iterator[Place]:
    """Yield the Gateways behind which VirtualServices lead to the service."""
    for name in dict.fromkeys(name for item in routing for name in gateways_of(item) if name != "mesh"):
        namespace, _, own = name.partition("/")
        yield places.of_object(ObjectKey("networking.istio.io", "Gateway", namespace, own))


def _policies(view: ProxyView, places: Places) -> Iterator[Place]:
    policies: tuple[ConfigObject[Struct], ...] = (*view.authorization, *view.authentication, *view.logins)
    for item in policies:
        yield places.of_object(item.key)


def _inbound(view: ProxyView) -> Iterator[InboundTold]:
    for port in view.own_ports:
        mode = view.peers.of(port.number).value
        yield InboundTold(port.number, port.protocol.value, port.host, port.service_port, mode)
    for number, target in view.gateway_ports:
        yield InboundTold(target, "", "", number, "")


def _findings(found: Iterable[Diagnostic], concerned: set[ObjectKey]) -> Iterator[str]:
    yield from (str(one) for one in found if one.origin.key in concerned)
