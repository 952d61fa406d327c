"""Readings of a mesh: all its numbers at one moment, and what grew between two moments."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lateen.telemetry import exposition
from lateen.telemetry.exposition import Labels, Sample

Series = tuple[str, Labels]
Pod = tuple[str, ...]
_POD = ("namespace", "pod")


@dataclass(frozen=True, slots=True)
class Reading:
    """All numbers at a moment, `at` in seconds; `pods` are those that had any."""

    at: float
    samples: Mapping[Series, float] = field(default_factory=dict)
    by_name: Mapping[str, tuple[Sample, ...]] = field(default_factory=dict)
    pods: frozenset[Pod] = frozenset()

    def named(self, name: str) -> tuple[Sample, ...]:
        """List the samples of a name; of all names where it is empty."""
        if name:
            return self.by_name.get(name, ())
        return tuple(sample for samples in self.by_name.values() for sample in samples)


@dataclass(frozen=True, slots=True)
class Interval:
    """Two readings, the earlier one first."""

    before: Reading
    after: Reading

    @property
    def seconds(self) -> float:
        """How long it was; never nothing."""
        return max(self.after.at - self.before.at, 1e-9)

    def growth(self, sample: Sample) -> float | None:
        """Tell how much a counter of the later reading grew; None where that cannot be known.

        One that became smaller began anew, and so did one whose workload was there before without it.
        """
        earlier = self.before.samples.get((sample.name, sample.labels))
        if earlier is None:
            return sample.value if _pod(sample.labels) in self.before.pods else None
        return sample.value - earlier if sample.value >= earlier else sample.value


def reading(at: float, text: str) -> Reading:
    """Read what the mesh tells."""
    return of_samples(at, exposition.samples(text))


def of_samples(at: float, samples: Iterable[Sample]) -> Reading:
    """Put samples together; of two of one series the last counts."""
    found = {(sample.name, sample.labels): sample for sample in samples}
    by_name: dict[str, list[Sample]] = {}
    for sample in found.values():
        by_name.setdefault(sample.name, []).append(sample)
    values = {series: sample.value for series, sample in found.items()}
    pods = frozenset(_pod(sample.labels) for sample in found.values())
    return Reading(at, values, {name: tuple(each) for name, each in by_name.items()}, pods)


def _pod(labels: Labels) -> Pod:
    return tuple(value for name, value in labels if name in _POD)
