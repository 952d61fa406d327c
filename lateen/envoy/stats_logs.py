"""Metrics of calls: counters and histograms that the proxy itself keeps, made when a call ends.

A connection's bytes are counted when it is closed: no format says how many there were since the last time, and what is
counted twice is worth less than what is counted late. Messages of gRPC are not counted at all: Envoy knows their
number, but has no format that says it as one.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.extensions.access_loggers.stats.v3 import stats_pb2

from lateen.envoy import log_filters, newer_fields
from lateen.envoy.formats import expression_format
from lateen.envoy.standard_tags import (
    GRPC,
    GRPC_CONTENT,
    HTTP,
    TagText,
    Vantage,
    compact_connection_tag,
    compact_request_tag,
    connection_tags,
    request_tags,
)
from lateen.envoy.values import typed
from lateen.names import UNKNOWN
from lateen.plan.telemetry_types import Measure, Metric, MetricKind, Metrics, TagChange, Unit

NAME: Final = "envoy.access_loggers.stats"
_UNITS: Final = {
    Unit.NONE: stats_pb2.Config.Histogram.Unspecified,
    Unit.MILLISECONDS: stats_pb2.Config.Histogram.Milliseconds,
    Unit.BYTES: stats_pb2.Config.Histogram.Bytes,
}


class Reading(NamedTuple):
    """How a standard metric is read off a call; a counter of calls has no format."""

    name: str
    kind: MetricKind = MetricKind.COUNTER
    format: str = ""
    unit: Unit = Unit.NONE


REQUESTS: Final = (
    Reading(Measure.REQUESTS),
    Reading(Measure.REQUEST_DURATION, MetricKind.HISTOGRAM, "%DURATION%", Unit.MILLISECONDS),
    Reading(Measure.REQUEST_BYTES, MetricKind.HISTOGRAM, "%DOWNSTREAM_WIRE_BYTES_RECEIVED%", Unit.BYTES),
    Reading(Measure.RESPONSE_BYTES, MetricKind.HISTOGRAM, "%DOWNSTREAM_WIRE_BYTES_SENT%", Unit.BYTES),
)
OPENED: Final = (Reading(Measure.CONNECTIONS_OPENED),)
CLOSED: Final = (
    Reading(Measure.CONNECTIONS_CLOSED),
    Reading(Measure.SENT_BYTES, format="%DOWNSTREAM_WIRE_BYTES_SENT%"),
    Reading(Measure.RECEIVED_BYTES, format="%DOWNSTREAM_WIRE_BYTES_RECEIVED%"),
)
_GRPC_HEADER: Final = ("content-type", GRPC_CONTENT)
_NEVER_REACHED: Final = "!has(upstream.local_address)"


def request_metrics(plan: Metrics | None, vantage: Vantage) -> list[Any]:
    """Say the metrics of requests."""
    if plan is None:
        return []
    tags = request_tags(vantage)
    protocols = ((HTTP, log_filters.without_header), (GRPC, log_filters.with_header))
    made = (
        (compact_request_tag(vantage, name), log_filters.all_of(log_filters.at_end(), fits(*_GRPC_HEADER)))
        for name, fits in protocols
    )
    own = [metric for metric in plan.custom if metric.of_requests]
    return [
        *_whole(plan, REQUESTS, tags, log_filters.at_end()),
        *(log for compact, when in made for log in _compact(plan, REQUESTS, compact, when)),
        *_custom(own, tags),
    ]


def connection_metrics(plan: Metrics | None, vantage: Vantage) -> list[Any]:
    """Say the metrics of connections; one that never reached a server is opened and closed at once."""
    if plan is None:
        return []
    tags, compact = connection_tags(vantage), compact_connection_tag(vantage)
    never = log_filters.all_of(log_filters.at_end(), log_filters.cel(_NEVER_REACHED))
    made = ((OPENED, log_filters.at_open()), (OPENED, never), (CLOSED, log_filters.at_end()))
    own = [metric for metric in plan.custom if metric.of_connections]
    return [
        *(log for readings, when in made for log in _whole(plan, readings, tags, when)),
        *(log for readings, when in made for log in _compact(plan, readings, compact, when)),
        *_custom(own, tags),
    ]


def stats_logger(config: Any, when: Any) -> Any:
    """Say an access logger that makes metrics of the calls that a filter picks."""
    newer_fields.forget_idle(config)
    return accesslog_pb2.AccessLog(name=NAME, filter=when, typed_config=typed(config))


def _compact(plan: Metrics, readings: Iterable[Reading], tag: TagText, when: Any) -> Iterator[Any]:
    """Say the metrics that are on and whose labels are kept in one."""
    return _logger(((one, (tag,)) for one in readings if _is_compact(plan, one)), when)


def _whole(plan: Metrics, readings: Iterable[Reading], tags: Sequence[TagText], when: Any) -> Iterator[Any]:
    """Say the metrics that are on and whose labels stand each by itself."""
    changes: dict[str, tuple[TagChange, ...]] = dict(plan.changes)
    others = (one for one in readings if one.name not in plan.disabled and not _is_compact(plan, one))
    return _logger(((one, _changed(tags, changes.get(one.name, ()))) for one in others), when)


def _is_compact(plan: Metrics, reading: Reading) -> bool:
    """Tell whether a metric has its labels in one: where nobody changes any of them."""
    return plan.is_compact and reading.name not in {*plan.disabled, *(name for name, _ in plan.changes)}


def _logger(readings: Iterable[tuple[Reading, Iterable[TagText]]], when: Any) -> Iterator[Any]:
    """Say some metrics with their labels; nothing where there are none."""
    config = stats_pb2.Config()
    for reading, tags in readings:
        _add(config, reading, tags)
    if config.counters or config.histograms:
        yield stats_logger(config, when)


def _custom(metrics: Iterable[Metric], standard: Sequence[TagText]) -> Iterator[Any]:
    """Say the user's own metrics, each by itself: one that cannot be read must not disturb the others."""
    for metric in metrics:
        config = stats_pb2.Config()
        tags = _changed(standard if metric.is_standard else (), metric.tags)
        counts = metric.kind is MetricKind.COUNTER and metric.value.isdecimal()
        value = "" if counts else expression_format(metric.value)
        _add(config, Reading(metric.name, metric.kind, value, metric.unit), tags, int(metric.value) if counts else 1)
        filters = (log_filters.at_end(), *((log_filters.cel(metric.when),) if metric.when else ()))
        yield stats_logger(config, log_filters.all_of(*filters))


def _add(config: Any, reading: Reading, tags: Iterable[TagText], step: int = 1) -> None:
    if reading.kind is MetricKind.HISTOGRAM:
        message = config.histograms.add(unit=_UNITS[reading.unit], value_format=reading.format)
    elif reading.format:
        message = config.counters.add(value_format=reading.format)
    else:
        message = config.counters.add()
        message.value_fixed.value = step
    message.stat.name = reading.name
    for tag in tags:
        _tag(message.stat.tags.add(), tag)


def _tag(message: Any, tag: TagText) -> None:
    message.name, message.value_format = tag.name, tag.format
    if tag.prefix:
        newer_fields.tell_apart(message, tag.prefix, tag.then, tag.empty)
    elif tag.empty:
        newer_fields.replace_empty(message, tag.empty)


def _changed(tags: Sequence[TagText], changes: Iterable[TagChange]) -> tuple[TagText, ...]:
    """Lay the user's labels over the usual ones."""
    by_name = {tag.name: tag for tag in tags}
    for change in changes:
        if change.value is None:
            by_name.pop(change.name, None)
        else:
            by_name[change.name] = TagText(change.name, expression_format(change.value), UNKNOWN)
    return tuple(by_name.values())
