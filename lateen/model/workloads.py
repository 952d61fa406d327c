"""All workloads of the mesh as one value that is cheap to change."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lateen.model.workload import Workload, WorkloadKey

_NONE: Mapping[WorkloadKey, Workload] = {}


@dataclass(frozen=True, slots=True)
class Workloads:
    """The workloads by namespace. A change copies only the namespaces that it touches."""

    by_namespace: Mapping[str, Mapping[WorkloadKey, Workload]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Workload]:
        for workloads in self.by_namespace.values():
            yield from workloads.values()

    def __len__(self) -> int:
        return sum(map(len, self.by_namespace.values()))

    def get(self, key: WorkloadKey) -> Workload | None:
        """Find a workload by its name and namespace."""
        return self.of(key.namespace).get(key)

    def of(self, namespace: str) -> Mapping[WorkloadKey, Workload]:
        """Return the workloads of a namespace."""
        return self.by_namespace.get(namespace, _NONE)

    def apply(self, upserts: Iterable[Workload], removals: Iterable[WorkloadKey] = ()) -> "Workloads":
        """Return the workloads after some came, changed or went."""
        changed: dict[str, dict[WorkloadKey, Workload]] = {}

        def copy_of(namespace: str) -> dict[WorkloadKey, Workload]:
            return changed.setdefault(namespace, dict(self.of(namespace)))

        for workload in upserts:
            copy_of(workload.key.namespace)[workload.key] = workload
        for key in removals:
            copy_of(key.namespace).pop(key, None)
        if not changed:
            return self
        merged = {**self.by_namespace, **changed}
        return Workloads({namespace: found for namespace, found in merged.items() if found})
