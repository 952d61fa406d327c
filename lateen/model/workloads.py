"""All workloads of the mesh as one value that is cheap to change and quick to select from."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lateen.model.workload import Workload, WorkloadKey

Members = Mapping[WorkloadKey, Workload]
Label = tuple[str, str]

_NONE: Members = {}
_NO_LABELS: Mapping[Label, Members] = {}


@dataclass(frozen=True, slots=True)
class Workloads:
    """The workloads by namespace, and in each namespace by label. A change copies only what it touches."""

    by_namespace: Mapping[str, Members] = field(default_factory=dict)
    by_label: Mapping[str, Mapping[Label, Members]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Workload]:
        for workloads in self.by_namespace.values():
            yield from workloads.values()

    def __len__(self) -> int:
        return sum(map(len, self.by_namespace.values()))

    def get(self, key: WorkloadKey) -> Workload | None:
        """Find a workload by its name and namespace."""
        return self.of(key.namespace).get(key)

    def of(self, namespace: str) -> Members:
        """Return the workloads of a namespace."""
        return self.by_namespace.get(namespace, _NONE)

    def selected(self, namespace: str, selector: tuple[Label, ...]) -> Iterator[Workload]:
        """Yield the workloads of a namespace that carry all labels of a selector; an empty one selects nothing."""
        labelled = self.by_label.get(namespace, _NO_LABELS)
        found = [labelled.get(label, _NONE) for label in selector]
        if found:
            fewest = min(found, key=len)
            yield from (fewest[key] for key in fewest if all(key in members for members in found))

    def apply(self, upserts: Iterable[Workload], removals: Iterable[WorkloadKey] = ()) -> "Workloads":
        """Return the workloads after some came, changed or went."""
        edit = _Edit(self)
        for workload in upserts:
            edit.put(workload)
        for key in removals:
            edit.take(key)
        return edit.result()


class _Edit:
    """A copy in the making, in which only the parts that were touched are new."""

    def __init__(self, start: Workloads) -> None:
        self._start = start
        self._members: dict[str, dict[WorkloadKey, Workload]] = {}
        self._labels: dict[str, dict[Label, Members]] = {}
        self._buckets: dict[tuple[str, Label], dict[WorkloadKey, Workload]] = {}

    def put(self, workload: Workload) -> None:
        self.take(workload.key)
        self._namespace(workload.key.namespace)[workload.key] = workload
        for label in workload.labels.items():
            self._bucket(workload.key.namespace, label)[workload.key] = workload

    def take(self, key: WorkloadKey) -> None:
        before = self._namespace(key.namespace).pop(key, None)
        if before is not None:
            for label in before.labels.items():
                self._bucket(key.namespace, label).pop(key, None)

    def result(self) -> Workloads:
        if not self._members:
            return self._start
        for (namespace, label), members in self._buckets.items():
            if members:
                self._labels[namespace][label] = members
            else:
                self._labels[namespace].pop(label, None)
        members_now = {**self._start.by_namespace, **self._members}
        labels_now = {**self._start.by_label, **self._labels}
        return Workloads(
            {namespace: members for namespace, members in members_now.items() if members},
            {namespace: labels for namespace, labels in labels_now.items() if labels},
        )

    def _namespace(self, namespace: str) -> dict[WorkloadKey, Workload]:
        if namespace not in self._members:
            self._members[namespace] = dict(self._start.of(namespace))
            self._labels[namespace] = dict(self._start.by_label.get(namespace, _NO_LABELS))
        return self._members[namespace]

    def _bucket(self, namespace: str, label: Label) -> dict[WorkloadKey, Workload]:
        place = (namespace, label)
        if place not in self._buckets:
            self._buckets[place] = dict(self._labels[namespace].get(label, _NONE))
        return self._buckets[place]
