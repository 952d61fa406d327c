"""Keeps metrics for Prometheus, which fetches them from the Mixer process."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from lateen.adapters import shown
from lateen.adapters.surroundings import Surroundings
from lateen.api.mixer.reports import Buckets, MetricKind, PrometheusMetric, PrometheusParams
from lateen.mixer.ports import MadeInstance
from lateen.telemetry.exposition import Family, written_labels, written_number

_DEFAULT_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_KINDS: Final = {MetricKind.COUNTER: "counter", MetricKind.GAUGE: "gauge", MetricKind.DISTRIBUTION: "histogram"}


@dataclass(slots=True)
class _Series:
    """One combination of labels: its value or its distribution, and when it last changed."""

    value: float = 0.0
    counts: list[int] = field(default_factory=list)
    changed_at: float = 0.0


class Prometheus:
    """A handler of the adapter prometheus."""

    def __init__(self, params: PrometheusParams, surroundings: Surroundings) -> None:
        self._metrics = params.metrics
        policy = params.metrics_expiration_policy
        self._lifetime = policy.metrics_expiry_duration.total_seconds() if policy is not None else None
        self._clock: Callable[[], float] = surroundings.clock
        self._series: dict[tuple[str, str], dict[tuple[str, ...], _Series]] = {}

    def report(self, instances: Sequence[MadeInstance]) -> None:
        """Count the metrics that the settings name."""
        for instance in instances:
            for metric in self._metrics:
                if shown.is_called(instance.name, metric.instance_name):
                    self._count(metric, instance)

    async def close(self) -> None:
        """Hold nothing but memory."""

    def families(self) -> Iterator[Family]:
        """Yield the metrics as Prometheus reads them; series that are too old are dropped."""
        for metric in self._metrics:
            series = self._series.get((metric.namespace, metric.name), {})
            self._expire(series)
            if series:
                name = f"{metric.namespace}_{metric.name}"
                lines = [line for labels, one in series.items() for line in _lines(name, metric, labels, one)]
                yield Family(name, _KINDS[metric.kind], metric.description, lines)

    def _count(self, metric: PrometheusMetric, instance: MadeInstance) -> None:
        dimensions = shown.entries(instance.fields.get("dimensions"))
        labels = tuple(str(shown.plain(dimensions.get(name, ""))) for name in metric.label_names)
        series = self._series.setdefault((metric.namespace, metric.name), {})
        one = series.setdefault(labels, _Series())
        value = shown.number(instance.fields.get("value"))
        one.changed_at = self._clock()
        if metric.kind is MetricKind.GAUGE:
            one.value = value
            return
        one.value += value
        if metric.kind is MetricKind.DISTRIBUTION:
            bounds = bounds_of(metric.buckets)
            one.counts = one.counts or [0] * (len(bounds) + 1)
            one.counts[bisect_left(bounds, value)] += 1

    def _expire(self, series: dict[tuple[str, ...], _Series]) -> None:
        if self._lifetime is not None:
            oldest = self._clock() - self._lifetime
            for labels in [labels for labels, one in series.items() if one.changed_at < oldest]:
                del series[labels]


def bounds_of(buckets: Buckets | None) -> tuple[float, ...]:
    """Return the upper bounds of buckets, in order."""
    if buckets is None:
        return _DEFAULT_BOUNDS
    if (linear := buckets.linear_buckets) is not None:
        return tuple(linear.offset + linear.width * step for step in range(linear.num_finite_buckets + 1))
    if (exponential := buckets.exponential_buckets) is not None:
        steps = range(exponential.num_finite_buckets + 1)
        return tuple(exponential.scale * exponential.growth_factor**step for step in steps)
    return buckets.explicit_buckets.bounds if buckets.explicit_buckets is not None else _DEFAULT_BOUNDS


def _lines(name: str, metric: PrometheusMetric, values: tuple[str, ...], one: _Series) -> Iterator[str]:
    labels = tuple(zip(metric.label_names, values, strict=True))
    if metric.kind is not MetricKind.DISTRIBUTION:
        yield f"{name}{written_labels(labels)} {written_number(one.value)}"
        return
    total = 0
    for bound, count in zip((*bounds_of(metric.buckets), float("inf")), one.counts, strict=True):
        total += count
        yield f"{name}_bucket{written_labels((*labels, ('le', written_number(bound))))} {total}"
    yield f"{name}_sum{written_labels(labels)} {written_number(one.value)}"
    yield f"{name}_count{written_labels(labels)} {total}"
