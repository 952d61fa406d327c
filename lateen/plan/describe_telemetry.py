"""What proxies tell, as plain structures that people read. What is as usual is left out."""

from collections.abc import Iterable

from lateen.plan import tracing
from lateen.plan.plain import Plain, filled, plain
from lateen.plan.telemetry_types import AccessLog, Metrics, Reports, TagChange, Telemetry
from lateen.plan.tracing_types import Tracing


def telemetry(described: Telemetry) -> Plain:
    """Describe what is told of calls, by direction."""
    return filled({"outbound": _reports(described.outbound), "inbound": _reports(described.inbound)})


def _reports(described: Reports) -> Plain:
    said = {"metrics": _metrics(described.metrics), "logs": [_log(log) for log in described.logs]}
    return filled({**said, "tracing": _tracing(described.tracing)})


def _metrics(described: Metrics | None) -> Plain:
    if described is None:
        return "off"
    return filled(
        {
            "without": [measure.value for measure in described.disabled],
            "changed": {measure.value: _tags(tags) for measure, tags in described.changes},
            "own": {metric.name: _tags(metric.tags) for metric in described.custom},
        }
    )


def _tags(changes: Iterable[TagChange]) -> Plain:
    return {change.name: change.value or "removed" for change in changes}


def _log(described: AccessLog) -> Plain:
    return filled({**plain(described.sink), "when": described.when})


def _tracing(described: Tracing | None) -> Plain:
    if described is None:
        return "off"
    if described == tracing.USUAL:
        return None
    usual = {tag.name: tag for tag in tracing.MESH_TAGS}
    tags = {tag.name: f"{tag.source.value} {tag.value}" for tag in described.tags if usual.get(tag.name) != tag}
    missing = [name for name in usual if name not in {tag.name for tag in described.tags}]
    collector = described.collector
    return filled(
        {
            "percent": described.sampling_percent,
            "to": "" if collector == tracing.OWN_COLLECTOR else collector.cluster,
            "by": "" if collector == tracing.OWN_COLLECTOR else type(collector).__name__,
            "tags": tags,
            "without": missing,
            "longest path": described.longest_path,
            "by request id": None if described.by_request_id else "no",
            "propagates": None if described.propagates else "no",
        }
    )
