"""Which metrics are made of calls: the standard ones, as Telemetry objects change them.

As in Istio, an entry changes what the wider scopes say, metric by metric and label by label. The metrics are the
proxy's own and are read from its port 15090 and 15020: the provider `prometheus` stands for that.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.telemetry.metrics import Metrics as MetricsEntry
from lateen.api.telemetry.metrics import MetricsOverride, StandardMetric, TagOperation, TagOverride
from lateen.api.telemetry.scopes import WorkloadMode
from lateen.plan.diagnostics import Notes, below
from lateen.plan.telemetry_types import Measure, Metric, Metrics, TagChange
from lateen.plan.types import Origin

PROMETHEUS: Final = "prometheus"
"""The provider that every mesh has: whoever reads the metrics of its proxies."""

_MEASURES: Final[Mapping[StandardMetric | None, Measure]] = MappingProxyType(
    {
        StandardMetric.REQUEST_COUNT: Measure.REQUESTS,
        StandardMetric.REQUEST_DURATION: Measure.REQUEST_DURATION,
        StandardMetric.REQUEST_SIZE: Measure.REQUEST_BYTES,
        StandardMetric.RESPONSE_SIZE: Measure.RESPONSE_BYTES,
        StandardMetric.TCP_OPENED_CONNECTIONS: Measure.CONNECTIONS_OPENED,
        StandardMetric.TCP_CLOSED_CONNECTIONS: Measure.CONNECTIONS_CLOSED,
        StandardMetric.TCP_SENT_BYTES: Measure.SENT_BYTES,
        StandardMetric.TCP_RECEIVED_BYTES: Measure.RECEIVED_BYTES,
    }
)
_UNCOUNTED: Final = (StandardMetric.GRPC_REQUEST_MESSAGES, StandardMetric.GRPC_RESPONSE_MESSAGES)
Entry = tuple[MetricsEntry, Origin]


@dataclass(slots=True)
class _Change:
    """What is said of one metric so far."""

    disabled: bool = False
    tags: dict[str, TagOverride] = field(default_factory=dict)


@dataclass(slots=True)
class _Said:
    """What is said of the metrics of one direction so far; `all_disabled` until one is spoken of again."""

    all_disabled: bool = False
    by_measure: dict[Measure, _Change] = field(default_factory=dict)
    custom: dict[str, _Change] = field(default_factory=dict)


def metrics(entries: Iterable[Entry], mesh: MeshConfig, mode: WorkloadMode, notes: Notes) -> Metrics | None:
    """Settle the metrics of one direction; None where there are none. `entries` come with the widest scope first."""
    written = tuple(entries)
    if not _is_wanted(written, mesh, notes):
        return None
    said = _Said()
    for entry, origin in written:
        if entry.reporting_interval is not None and mode is WorkloadMode.CLIENT:
            notes.add(below(origin, "reportingInterval"), "has no effect: connections are counted when they close")
        for position, override in enumerate(entry.overrides):
            if override.selector.metric in _UNCOUNTED:
                at = below(origin, f"overrides[{position}].match.metric")
                notes.add(at, "messages of gRPC are not counted: see docs/telemetry.md")
            if _means(override, mode):
                _lay_over(said, override)
    if said.all_disabled:
        return None
    return Metrics(
        tuple(measure for measure in Measure if (change := said.by_measure.get(measure)) and change.disabled),
        tuple(_changes(said)),
        tuple(_custom(said)),
        is_compact=not _is_sent_away(mesh),
    )


def _is_wanted(entries: Iterable[Entry], mesh: MeshConfig, notes: Notes) -> bool:
    """Tell whether the metrics have a reader: the providers that the narrowest scope names, else the mesh's."""
    chosen, origin = mesh.default_providers.metrics or (PROMETHEUS,), None
    for entry, at in entries:
        if entry.providers:
            chosen, origin = tuple(provider.name for provider in entry.providers), at
    readable = {PROMETHEUS, *(one.name for one in mesh.extension_providers if one.has_metrics)}
    for name in chosen:
        if name not in readable and origin is not None:
            known = ", ".join(sorted(readable))
            notes.add(below(origin, "providers"), f"{name!r} takes no metrics here; those that do: {known}")
    return not readable.isdisjoint(chosen)


def _is_sent_away(mesh: MeshConfig) -> bool:
    """Tell whether proxies send their metrics to servers, which have to get the labels as they are."""
    senders = {one.name for one in mesh.extension_providers if one.has_metrics and one.prometheus is None}
    return bool(mesh.default_config.statsd_udp_address) or not senders.isdisjoint(mesh.default_providers.metrics)


def _means(override: MetricsOverride, mode: WorkloadMode) -> bool:
    asked = override.selector.mode
    return asked.has_client if mode is WorkloadMode.CLIENT else asked.has_server


def _lay_over(said: _Said, override: MetricsOverride) -> None:
    selector = override.selector
    is_all = selector.metric in (None, StandardMetric.ALL_METRICS) and selector.custom_metric is None
    if is_all and override.disabled:
        said.all_disabled = True
        return
    said.all_disabled = False
    for change in _meant(said, override):
        if override.disabled is not None:
            change.disabled = override.disabled
        change.tags.update(override.tag_overrides)


def _meant(said: _Said, override: MetricsOverride) -> Iterator[_Change]:
    """Yield what has been said of the metrics that an override is about."""
    selector = override.selector
    if selector.custom_metric is not None:
        yield said.custom.setdefault(selector.custom_metric.removeprefix("istio_"), _Change())
        return
    is_all = selector.metric in (None, StandardMetric.ALL_METRICS)
    for measure in Measure:
        if is_all or _MEASURES.get(selector.metric) is measure:
            yield said.by_measure.setdefault(measure, _Change())


def _changes(said: _Said) -> Iterator[tuple[Measure, tuple[TagChange, ...]]]:
    for measure in Measure:
        change = said.by_measure.get(measure)
        if change is not None and change.tags and not change.disabled:
            yield measure, _tags(change)


def _custom(said: _Said) -> Iterator[Metric]:
    """Yield counters of calls for the names that are none of Istio's."""
    for name, change in sorted(said.custom.items()):
        if not change.disabled:
            yield Metric(f"istio_{name}", tags=_tags(change), is_standard=True, of_connections=True)


def _tags(change: _Change) -> tuple[TagChange, ...]:
    return tuple(
        TagChange(name, None if override.operation is TagOperation.REMOVE else override.value)
        for name, override in sorted(change.tags.items())
    )
