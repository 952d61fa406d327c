"""A snapshot as analyzers look at it: with indexes, so that no question costs a walk over everything."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple, TypeVar

from lateen import names
from lateen.api.apps.deployment import Deployment
from lateen.api.apps.stateful_set import StatefulSet
from lateen.api.core.namespace import Namespace
from lateen.api.core.pod import Pod, PodSpec
from lateen.api.networking.destination_rule import DestinationRule, Subset
from lateen.api.networking.gateway import Gateway
from lateen.api.networking.virtual_service import VirtualService
from lateen.api.networking.workload_entry import WorkloadEntry
from lateen.api.objects import ConfigObject, ObjectKey
from lateen.api.structs import Struct
from lateen.model.registry import selects
from lateen.model.service import Service
from lateen.model.snapshot import Snapshot, oldest_first
from lateen.model.views import MESH_GATEWAY, gateways_of
from lateen.model.workload import Workload
from lateen.plan.directory import HostIndex
from lateen.plan.types import Origin

Found = Iterator[tuple[Origin, str]]
"""What an analyzer yields: the part of an object that is doubtful, and what to do about it."""

SpecT = TypeVar("SpecT", bound=Struct)
Labels = Mapping[str, str]


class DefinedSubset(NamedTuple):
    """A subset, and the rule that defines it."""

    rule: ConfigObject[DestinationRule]
    subset: Subset


class Template(NamedTuple):
    """Pods that an object wants: their labels, annotations and spec, and where in the object they are written."""

    owner: ConfigObject[Struct]
    labels: Labels
    annotations: Labels
    spec: PodSpec
    path: str


class World:
    """The objects, services and workloads of a mesh by what analyzers ask for."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.config = snapshot.config
        self.mesh = snapshot.mesh

    def all(self, kind: type[SpecT]) -> tuple[ConfigObject[SpecT], ...]:
        """Return the objects of a kind, the oldest first."""
        return tuple(oldest_first(self.config.of(kind)))

    @cached_property
    def virtual_services(self) -> tuple[ConfigObject[VirtualService], ...]:
        """All VirtualServices, the oldest first."""
        return self.all(VirtualService)

    @cached_property
    def mesh_rules(self) -> tuple[ConfigObject[VirtualService], ...]:
        """The VirtualServices that sidecars follow."""
        return tuple(item for item in self.virtual_services if item.spec.hosts and MESH_GATEWAY in gateways_of(item))

    @cached_property
    def gateways(self) -> Mapping[str, ConfigObject[Gateway]]:
        """The Gateways as `namespace/name`."""
        return {f"{item.namespace}/{item.name}": item for item in self.all(Gateway)}

    def service(self, host: str) -> Service | None:
        """Find the service of a full host: its own, else of the narrowest wildcard."""
        return self.snapshot.services.get(host) or next(iter(self._wildcards.find(host)), None)

    @cached_property
    def _wildcards(self) -> HostIndex[Service]:
        index: HostIndex[Service] = HostIndex()
        for host, service in self.snapshot.services.items():
            if host.startswith("*"):
                index.add(host, service)
        return index

    def subsets(self, host: str) -> Mapping[str, DefinedSubset]:
        """Return the subsets that DestinationRules define for a full host."""
        return {found.subset.name: found for found in self._subsets.find(host)}

    @cached_property
    def _subsets(self) -> HostIndex[DefinedSubset]:
        index: HostIndex[DefinedSubset] = HostIndex()
        for rule in self.all(DestinationRule):
            host = names.qualified_host(rule.spec.host, rule.namespace)
            for subset in rule.spec.subsets:
                index.add(host, DefinedSubset(rule, subset))
        return index

    @cached_property
    def namespaces(self) -> Mapping[str, ConfigObject[Namespace]]:
        """The Namespaces that are written, by name."""
        return {item.name: item for item in self.config.of(Namespace)}

    @cached_property
    def inhabited(self) -> frozenset[str]:
        """The namespaces that are written or that something is in."""
        return frozenset({*self.namespaces, *(item.namespace for item in self.config if item.namespace)})

    def namespace_labels(self, namespace: str) -> Labels:
        """Return the labels of a namespace; none where it is not written."""
        home = self.namespaces.get(namespace)
        return home.metadata.labels if home is not None else {}

    def selected(self, namespace: str, labels: Labels) -> Iterator[Workload]:
        """Yield the workloads of a namespace with these labels; without labels all of them."""
        if labels:
            yield from self.snapshot.workloads.selected(namespace, tuple(labels.items()))
        else:
            yield from self.snapshot.workloads.of(namespace).values()

    def selected_everywhere(self, labels: Labels) -> Iterator[Workload]:
        """Yield the workloads of all namespaces with these labels."""
        for namespace in self.snapshot.workloads.by_namespace:
            yield from self.selected(namespace, labels)

    def is_anybody(self, namespace: str, labels: Labels) -> bool:
        """Tell whether a selector picks any workload, or an entry that stands for one."""
        if any(True for _ in self.selected(namespace, labels)):
            return True
        wanted = tuple(labels.items())
        return any(selects(wanted, item.spec.labels) for item in self.config.of(WorkloadEntry, namespace))

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        """The pods that Deployments and StatefulSets want, and those that are written themselves."""
        found: list[Template] = []
        owners: Iterable[ConfigObject[Deployment] | ConfigObject[StatefulSet]] = (
            *self.config.of(Deployment),
            *self.config.of(StatefulSet),
        )
        for item in owners:
            template = item.spec.template
            metadata = template.metadata
            found.append(Template(item, metadata.labels, metadata.annotations, template.spec, "spec.template"))
        pods = self.config.of(Pod)
        return (*found, *(Template(pod, pod.metadata.labels, pod.metadata.annotations, pod.spec, "") for pod in pods))

    @cached_property
    def services_by_namespace(self) -> Mapping[str, tuple[Service, ...]]:
        """The services with a selector by namespace."""
        found: defaultdict[str, list[Service]] = defaultdict(list)
        for service in self.snapshot.services.values():
            if service.selector:
                found[service.namespace].append(service)
        return {namespace: tuple(services) for namespace, services in found.items()}

    @cached_property
    def services_by_label(self) -> Mapping[tuple[str, str, str], tuple[Service, ...]]:
        """The services with a selector by namespace and the first label that they ask for."""
        found: defaultdict[tuple[str, str, str], list[Service]] = defaultdict(list)
        for namespace, services in self.services_by_namespace.items():
            for service in services:
                name, value = service.selector[0]
                found[namespace, name, value].append(service)
        return {place: tuple(services) for place, services in found.items()}

    def services_selecting(self, namespace: str, labels: Labels) -> Iterator[Service]:
        """Yield the services of a namespace that select workloads with these labels."""
        for name, value in labels.items():
            for service in self.services_by_label.get((namespace, name, value), ()):
                if selects(service.selector, labels):
                    yield service


def at(key: ObjectKey, path: str = "") -> Origin:
    """Name a field of an object."""
    return Origin(key, path)


def full(host: str, namespace: str) -> str:
    """Resolve a host as a rule of a namespace writes it."""
    return names.qualified_host(host, namespace)
