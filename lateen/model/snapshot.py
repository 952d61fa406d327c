"""The mesh at one version, and how to get from one version to the next by deriving only what changed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from lateen.api.config_set import ConfigSet
from lateen.api.core.service import Service as ServiceSpec
from lateen.api.discovery.endpoint_slice import EndpointSlice
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.networking.service_entry import ServiceEntry
from lateen.api.networking.workload_entry import WorkloadEntry
from lateen.api.objects import ConfigObject
from lateen.api.security.peer_authentication import PeerAuthentication
from lateen.api.structs import Struct
from lateen.model import discovery, registry, services
from lateen.model.callers import Caller, callers
from lateen.model.endpoint import Endpoint
from lateen.model.key_sets import KeySet
from lateen.model.mixer_objects import NO_OBJECTS, MixerObjects, mixer_objects
from lateen.model.peers import PeerPolicies, peer_policies
from lateen.model.registry import Backing, PortKey, Sources, Written
from lateen.model.service import Service
from lateen.model.workload import WorkloadKey
from lateen.model.workloads import Workloads

_Spec = TypeVar("_Spec", bound=Struct)


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that a snapshot is derived from; `addresses` are the virtual addresses given to hosts that wrote none.

    `key_sets` are the keys that were fetched, by URL. From `session_key` those of gateways' logins are derived.
    """

    config: ConfigSet
    workloads: Workloads = field(default_factory=Workloads)
    addresses: Mapping[str, str] = field(default_factory=dict)
    mesh: MeshConfig = field(default_factory=MeshConfig)
    key_sets: Mapping[str, KeySet] = field(default_factory=dict)
    session_key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The mesh at one version: what was put in, and what follows from it. `services` are sorted by host.

    `declared` are the services as objects describe them, before it is known what is behind them. `config` has only
    what proxies know of (see `discovery`); all objects are in the inputs.
    """

    inputs: Inputs
    config: ConfigSet
    services: Mapping[str, Service] = field(default_factory=dict)
    endpoints: Mapping[PortKey, tuple[Endpoint, ...]] = field(default_factory=dict)
    declared: Mapping[str, Service] = field(default_factory=dict)
    written: Written = field(default_factory=Written)
    peers: PeerPolicies = field(default_factory=PeerPolicies)
    mixer: MixerObjects = NO_OBJECTS
    callers: tuple[Caller, ...] = ()

    @property
    def mesh(self) -> MeshConfig:
        """The mesh-wide settings of this version."""
        return self.inputs.mesh

    @property
    def workloads(self) -> Workloads:
        """The running instances of this version."""
        return self.inputs.workloads


EMPTY: Final = Snapshot(Inputs(ConfigSet()), ConfigSet())
"""The mesh before anything is known."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What is new in a snapshot: whether views may have changed, and which ports have other endpoints."""

    views: bool
    endpoints: frozenset[PortKey]


def first_snapshot(inputs: Inputs) -> Snapshot:
    """Derive a snapshot from nothing."""
    snapshot, _ = next_snapshot(EMPTY, inputs)
    return snapshot


def whole(snapshot: Snapshot, before: Snapshot = EMPTY) -> Snapshot:
    """Return the mesh with all namespaces, as whoever has no sidecar knows it; `before` is what it was before."""
    if not snapshot.mesh.discovery_selectors:
        return snapshot
    mesh = snapshot.mesh.model_copy(update={"discovery_selectors": ()})
    inputs = replace(snapshot.inputs, mesh=before.mesh if mesh == before.mesh else mesh)
    return next_snapshot(before, inputs)[0]


def next_snapshot(
    previous: Snapshot, inputs: Inputs, touched: Iterable[WorkloadKey] | None = None
) -> tuple[Snapshot, Difference]:
    """Derive the snapshot of `inputs` from its predecessor; what is equal stays the same object.

    `touched` names the workloads that came, changed or went since; None means that any may have.
    """
    config = discovery.discovered(inputs.config, inputs.mesh, previous.config)
    declared = _declared(previous, inputs, config)
    written = _written(previous, config)
    peers = _peers(previous, inputs.mesh, config)
    if written is not previous.written or inputs.mesh is not previous.mesh:
        stale = set(declared)
    else:
        stale = _stale_hosts(previous, declared, inputs.workloads, touched)
        stale |= _hosts_with_other_peers(previous, declared, peers)
    sources = Sources(inputs.workloads, written, peers, (inputs.mesh.trust_domain, *inputs.mesh.trust_domain_aliases))
    fresh = {host: registry.backing_of(declared[host], sources) for host in stale & declared.keys()}
    known = _services(previous, declared, fresh)
    endpoints, changed = _endpoints(previous.endpoints, stale, fresh)
    is_config_new = inputs.config is not previous.inputs.config or inputs.mesh is not previous.mesh
    are_keys_new = inputs.key_sets is not previous.inputs.key_sets and inputs.key_sets != previous.inputs.key_sets
    is_dns_new = any(host in known and known[host].headless for host, _ in changed)
    mixer = mixer_objects(config, previous.mixer)
    calling = _callers(previous, inputs, mixer)
    are_callers_new = calling is not previous.callers
    is_view_new = is_config_new or are_keys_new or known is not previous.services or is_dns_new or are_callers_new
    snapshot = Snapshot(inputs, config, known, endpoints, declared, written, peers, mixer, calling)
    return snapshot, Difference(is_view_new, changed)


def _callers(previous: Snapshot, inputs: Inputs, mixer: MixerObjects) -> tuple[Caller, ...]:
    """List the callers whose labels rules ask for; the same value as before where nothing of it is new."""
    if mixer is previous.mixer and inputs.workloads is previous.inputs.workloads:
        return previous.callers
    found = callers(inputs.workloads, mixer.asked.caller_labels)
    return previous.callers if found == previous.callers else found


def _services(
    previous: Snapshot, declared: Mapping[str, Service], fresh: Mapping[str, Backing]
) -> Mapping[str, Service]:
    """Complete the services by who is behind them, which is looked up anew only for the fresh ones."""
    before = previous.services
    completed = {
        host: _kept(before, replace(declared[host], accounts=found.accounts, tls_ports=found.tls_ports))
        for host, found in fresh.items()
    }
    if declared is previous.declared:
        changed = {host: service for host, service in completed.items() if service is not before[host]}
        return {**before, **changed} if changed else before
    return {host: completed.get(host) or before[host] for host in declared}


def _declared(previous: Snapshot, inputs: Inputs, config: ConfigSet) -> Mapping[str, Service]:
    """Derive all services, sorted by host; of several objects that claim one host the oldest has it.

    ServiceEntries of one namespace that say the same of a host, but its ports and endpoints, are one service.
    """
    are_same = _are_same(previous, inputs.mesh, config, ServiceSpec, ServiceEntry)
    if are_same and inputs.addresses == previous.inputs.addresses:
        return previous.declared
    found: dict[str, Service] = {}
    for item in oldest_first(config.of(ServiceSpec)):
        service = services.of_kubernetes(item, inputs.mesh, inputs.addresses)
        found.setdefault(service.host, service)
    for entry in oldest_first(config.of(ServiceEntry)):
        for service in services.of_entry(entry, inputs.mesh, inputs.addresses):
            known = found.setdefault(service.host, service)
            if known is not service:
                found[service.host] = services.together(known, service)
    return {host: _kept(previous.declared, found[host]) for host in sorted(found)}


def _kept(before: Mapping[str, Service], service: Service) -> Service:
    """Prefer the predecessor's object where it is equal, so that identity tells whether a service changed."""
    same = before.get(service.host)
    return same if same is not None and same == service else service


def _peers(previous: Snapshot, mesh: MeshConfig, config: ConfigSet) -> PeerPolicies:
    if _are_same(previous, mesh, config, PeerAuthentication):
        return previous.peers
    return peer_policies(oldest_first(config.of(PeerAuthentication)), mesh.root_namespace)


def _hosts_with_other_peers(previous: Snapshot, declared: Mapping[str, Service], peers: PeerPolicies) -> set[str]:
    """Find the services of the namespaces for which other PeerAuthentications are written than before."""
    if peers is previous.peers:
        return set()
    namespaces = {service.namespace for service in declared.values()}
    touched = {name for name in namespaces if not peers.same_in(name, previous.peers)}
    return {host for host, service in declared.items() if service.namespace in touched}


def _written(previous: Snapshot, config: ConfigSet) -> Written:
    if config.shelves(EndpointSlice) is previous.config.shelves(EndpointSlice) and config.shelves(
        WorkloadEntry
    ) is previous.config.shelves(WorkloadEntry):
        return previous.written
    return registry.written_endpoints(config.of(EndpointSlice), config.of(WorkloadEntry))


def _are_same(previous: Snapshot, mesh: MeshConfig, config: ConfigSet, *kinds: type[Struct]) -> bool:
    """Tell whether no object of these kinds, and no mesh-wide setting, is new."""
    return mesh is previous.mesh and all(config.shelves(kind) is previous.config.shelves(kind) for kind in kinds)


def _stale_hosts(
    previous: Snapshot,
    known: Mapping[str, Service],
    workloads: Workloads,
    touched: Iterable[WorkloadKey] | None,
) -> set[str]:
    """Find the services whose endpoints may be others than before."""
    stale = {host for host, service in known.items() if previous.declared.get(host) is not service}
    stale |= previous.declared.keys() - known.keys()
    if touched is None:
        before = previous.workloads.by_namespace
        namespaces = {
            name
            for name in before.keys() | workloads.by_namespace.keys()
            if before.get(name) is not workloads.by_namespace.get(name)
        }
        return stale | {host for host, service in known.items() if service.namespace in namespaces}
    for key in touched:
        for workload in (previous.workloads.get(key), workloads.get(key)):
            if workload is not None:
                stale.update(service.host for service in services_of(known, key.namespace, workload.labels))
    return stale


def services_of(known: Mapping[str, Service], namespace: str, labels: Mapping[str, str]) -> Iterator[Service]:
    """Yield the services of a namespace that select workloads with these labels."""
    for service in known.values():
        if service.namespace == namespace and registry.selects(service.selector, labels):
            yield service


def _endpoints(
    before: Mapping[PortKey, tuple[Endpoint, ...]], stale: set[str], backings: Mapping[str, Backing]
) -> tuple[Mapping[PortKey, tuple[Endpoint, ...]], frozenset[PortKey]]:
    """Put the endpoints of stale services in place; return all, and which ports really changed."""
    if not stale:
        return before, frozenset()
    fresh = {key: found for backing in backings.values() for key, found in backing.endpoints.items()}
    gone = {key for key in before if key.host in stale and key not in fresh}
    changed = {key for key, found in fresh.items() if before.get(key) != found}
    if not gone and not changed:
        return before, frozenset()
    kept = {key: found for key, found in before.items() if key not in gone}
    return {**kept, **{key: fresh[key] for key in changed}}, frozenset(gone | changed)


def oldest_first(items: Iterable[ConfigObject[_Spec]]) -> list[ConfigObject[_Spec]]:
    """Order objects as Istio does where the oldest wins: by creation, then by name and namespace."""
    return sorted(items, key=lambda item: (item.metadata.creation_timestamp, item.name, item.namespace))
