"""What counts and measures inside the control plane: counters, gauges and histograms, and a registry that lists them.

Not for several threads at once. Values of labels are given in the order of the label names.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from lateen.telemetry.exposition import Family, written_labels, written_number

SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0)


class Instrument(Protocol):
    """Something that has a current reading."""

    def family(self) -> Family:
        """Return it as a metric."""
        ...


class Counter:
    """A number that only grows, for each combination of label values."""

    def __init__(self, name: str, help: str, *labels: str) -> None:
        self._name, self._help, self._labels = name, help, labels
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, amount: float = 1, *values: str) -> None:
        """Count so much more."""
        self._values[values] = self._values.get(values, 0.0) + amount

    def value(self, *values: str) -> float:
        """Return what has been counted."""
        return self._values.get(values, 0.0)

    def family(self) -> Family:
        """Return it as a metric."""
        return Family(self._name, "counter", self._help, _lines(self._name, self._labels, self._values))


class Histogram:
    """How many observations were at most how large, for each combination of label values."""

    def __init__(self, name: str, help: str, *labels: str, bounds: tuple[float, ...] = SECONDS) -> None:
        self._name, self._help, self._labels, self._bounds = name, help, labels, bounds
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, *values: str) -> None:
        """Take in an observation."""
        counts = self._counts.setdefault(values, [0] * (len(self._bounds) + 1))
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[values] = self._sums.get(values, 0.0) + value

    def family(self) -> Family:
        """Return it as a metric."""
        return Family(self._name, "histogram", self._help, [line for each in self._counts for line in self._of(each)])

    def _of(self, values: tuple[str, ...]) -> list[str]:
        labels = tuple(zip(self._labels, values, strict=True))
        lines, total = [], 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts[values], strict=True):
            total += count
            inside = written_labels((*labels, ("le", written_number(bound))))
            lines.append(f"{self._name}_bucket{inside} {total}")
        written = written_labels(labels)
        return [*lines, f"{self._name}_sum{written} {self._sums[values]!r}", f"{self._name}_count{written} {total}"]


class Gauge:
    """Numbers that are looked up when somebody asks: by label values, or one number.

    `is_total` says that they only grow, so that they are shown as a counter.
    """

    def __init__(
        self,
        name: str,
        help: str,
        *labels: str,
        read: Callable[[], float | Mapping[tuple[str, ...], float]],
        is_total: bool = False,
    ) -> None:
        self._name, self._help, self._labels, self._read = name, help, labels, read
        self._kind = "counter" if is_total else "gauge"

    def family(self) -> Family:
        """Return it as a metric."""
        found = self._read()
        values: Mapping[tuple[str, ...], float] = found if isinstance(found, Mapping) else {(): float(found)}
        return Family(self._name, self._kind, self._help, _lines(self._name, self._labels, values))


class Registry:
    """The instruments of a process, in the order in which they were added."""

    def __init__(self) -> None:
        self._instruments: list[Instrument] = []

    def add(self, *instruments: Instrument) -> None:
        """Take in instruments."""
        self._instruments += instruments

    def families(self) -> tuple[Family, ...]:
        """Return the current readings; metrics without any are left out."""
        return tuple(family for each in self._instruments if (family := each.family()).lines)


def _lines(name: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]) -> list[str]:
    return [
        f"{name}{written_labels(zip(labels, each, strict=True))} {written_number(float(value))}"
        for each, value in values.items()
    ]
