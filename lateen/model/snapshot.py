"""The mesh at one version, and how to get from one version to the next by deriving only what changed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from lateen.api.config_set import ConfigSet
from lateen.api.core.service import Service as ServiceSpec
from lateen.api.discovery.endpoint_slice import EndpointSlice
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.networking.service_entry import ServiceEntry
from lateen.api.networking.workload_entry import WorkloadEntry
from lateen.api.objects import ConfigObject
from lateen.api.structs import Struct
from lateen.model import registry, services
from lateen.model.endpoint import Endpoint
from lateen.model.registry import PortKey, Written
from lateen.model.service import Service
from lateen.model.workload import WorkloadKey
from lateen.model.workloads import Workloads

_Spec = TypeVar("_Spec", bound=Struct)


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that a snapshot is derived from; `addresses` are the virtual addresses given to hosts that wrote none."""

    config: ConfigSet
    workloads: Workloads = field(default_factory=Workloads)
    addresses: Mapping[str, str] = field(default_factory=dict)
    mesh: MeshConfig = field(default_factory=MeshConfig)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The mesh at one version: what was put in, and what follows from it. `services` are sorted by host."""

    inputs: Inputs
    services: Mapping[str, Service] = field(default_factory=dict)
    endpoints: Mapping[PortKey, tuple[Endpoint, ...]] = field(default_factory=dict)
    written: Written = field(default_factory=Written)

    @property
    def config(self) -> ConfigSet:
        """The objects of this version."""
        return self.inputs.config

    @property
    def mesh(self) -> MeshConfig:
        """The mesh-wide settings of this version."""
        return self.inputs.mesh

    @property
    def workloads(self) -> Workloads:
        """The running instances of this version."""
        return self.inputs.workloads


@dataclass(frozen=True, slots=True)
class Difference:
    """What is new in a snapshot: whether views may have changed, and which ports have other endpoints."""

    views: bool
    endpoints: frozenset[PortKey]


def first_snapshot(inputs: Inputs) -> Snapshot:
    """Derive a snapshot from nothing."""
    snapshot, _ = next_snapshot(Snapshot(Inputs(ConfigSet())), inputs)
    return snapshot


def next_snapshot(
    previous: Snapshot, inputs: Inputs, touched: Iterable[WorkloadKey] | None = None
) -> tuple[Snapshot, Difference]:
    """Derive the snapshot of `inputs` from its predecessor; what is equal stays the same object.

    `touched` names the workloads that came, changed or went since; None means that any may have.
    """
    known = _services(previous, inputs)
    written = _written(previous, inputs.config)
    if written is not previous.written or inputs.mesh is not previous.mesh:
        stale = set(known)
    else:
        stale = _stale_hosts(previous, known, inputs.workloads, touched)
    endpoints, changed = _endpoints(previous.endpoints, known, stale, inputs.workloads, written)
    is_config_new = inputs.config is not previous.config or inputs.mesh is not previous.mesh
    is_dns_new = any(host in known and known[host].headless for host, _ in changed)
    difference = Difference(is_config_new or known is not previous.services or is_dns_new, changed)
    return Snapshot(inputs, known, endpoints, written), difference


def _services(previous: Snapshot, inputs: Inputs) -> Mapping[str, Service]:
    """Derive all services, sorted by host; of several objects that claim one host the oldest has it."""
    if _are_same(previous, inputs, ServiceSpec, ServiceEntry) and inputs.addresses == previous.inputs.addresses:
        return previous.services
    found: dict[str, Service] = {}
    for item in oldest_first(inputs.config.of(ServiceSpec)):
        service = services.of_kubernetes(item, inputs.mesh, inputs.addresses)
        found.setdefault(service.host, _kept(previous, service))
    for entry in oldest_first(inputs.config.of(ServiceEntry)):
        for service in services.of_entry(entry, inputs.mesh, inputs.addresses):
            found.setdefault(service.host, _kept(previous, service))
    return {host: found[host] for host in sorted(found)}


def _kept(previous: Snapshot, service: Service) -> Service:
    """Prefer the predecessor's object where it is equal, so that identity tells whether a service changed."""
    before = previous.services.get(service.host)
    return before if before is not None and before == service else service


def _written(previous: Snapshot, config: ConfigSet) -> Written:
    if config.shelves(EndpointSlice) is previous.config.shelves(EndpointSlice) and config.shelves(
        WorkloadEntry
    ) is previous.config.shelves(WorkloadEntry):
        return previous.written
    return registry.written_endpoints(config.of(EndpointSlice), config.of(WorkloadEntry))


def _are_same(previous: Snapshot, inputs: Inputs, *kinds: type[Struct]) -> bool:
    """Tell whether no object of these kinds, and no mesh-wide setting, is new."""
    return inputs.mesh is previous.mesh and all(
        inputs.config.shelves(kind) is previous.config.shelves(kind) for kind in kinds
    )


def _stale_hosts(
    previous: Snapshot,
    known: Mapping[str, Service],
    workloads: Workloads,
    touched: Iterable[WorkloadKey] | None,
) -> set[str]:
    """Find the services whose endpoints may be others than before."""
    stale = {host for host, service in known.items() if previous.services.get(host) is not service}
    stale |= previous.services.keys() - known.keys()
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
    before: Mapping[PortKey, tuple[Endpoint, ...]],
    known: Mapping[str, Service],
    stale: set[str],
    workloads: Workloads,
    written: Written,
) -> tuple[Mapping[PortKey, tuple[Endpoint, ...]], frozenset[PortKey]]:
    """Look the endpoints of stale services up again; return all, and which ports really changed."""
    if not stale:
        return before, frozenset()
    fresh: dict[PortKey, tuple[Endpoint, ...]] = {}
    for host in stale & known.keys():
        fresh.update(registry.endpoints_of(known[host], workloads, written))
    gone = {key for key in before if key.host in stale and key not in fresh}
    changed = {key for key, found in fresh.items() if before.get(key) != found}
    if not gone and not changed:
        return before, frozenset()
    kept = {key: found for key, found in before.items() if key not in gone}
    return {**kept, **{key: fresh[key] for key in changed}}, frozenset(gone | changed)


def oldest_first(items: Iterable[ConfigObject[_Spec]]) -> list[ConfigObject[_Spec]]:
    """Order objects as Istio does where the oldest wins: by creation, then by name and namespace."""
    return sorted(items, key=lambda item: (item.metadata.creation_timestamp, item.name, item.namespace))
