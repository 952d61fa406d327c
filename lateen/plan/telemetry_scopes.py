"""Which Telemetry objects count for a class of proxies: of the mesh, of the namespace and of the workload, one each."""

from collections.abc import Iterator

from lateen.api.objects import ConfigObject
from lateen.api.telemetry.access_logging import AccessLogging
from lateen.api.telemetry.metrics import Metrics
from lateen.api.telemetry.telemetry import Telemetry
from lateen.api.telemetry.tracing import TracingRule
from lateen.model.view import ProxyView
from lateen.plan.diagnostics import Notes
from lateen.plan.types import Origin

Counting = tuple[ConfigObject[Telemetry], ...]
"""The objects that count, the widest scope first."""


def counting(view: ProxyView, notes: Notes) -> Counting:
    """Choose the oldest object of each scope; the others are noted."""
    chosen: dict[int, ConfigObject[Telemetry]] = {}
    for item in view.telemetries:
        scope = _scope(item, view)
        winner = chosen.setdefault(scope, item)
        if winner is not item:
            what = f"{winner.key} is older, and only one counts for {_SCOPES[scope]}"
            notes.add(Origin(item.key), f"has no effect: {what}")
    return tuple(item for _, item in sorted(chosen.items(), key=lambda each: each[0]))


_SCOPES = ("the whole mesh", "a namespace", "a workload")


def _scope(item: ConfigObject[Telemetry], view: ProxyView) -> int:
    if item.spec.selector is not None or item.spec.targets:
        return 2
    return 0 if item.namespace == view.mesh.root_namespace else 1


def metrics_of(items: Counting) -> Iterator[tuple[Metrics, Origin]]:
    """Yield what is said of metrics, with where it is said."""
    for item in items:
        for position, entry in enumerate(item.spec.metrics):
            yield entry, Origin(item.key, f"spec.metrics[{position}]")


def logging_of(items: Counting) -> Iterator[tuple[tuple[AccessLogging, Origin], ...]]:
    """Yield what each object says of access logs, with where it does."""
    for item in items:
        if item.spec.access_logging:
            entries = enumerate(item.spec.access_logging)
            yield tuple((entry, Origin(item.key, f"spec.accessLogging[{at}]")) for at, entry in entries)


def tracing_of(items: Counting) -> Iterator[tuple[TracingRule, Origin]]:
    """Yield what is said of traces, with where it is said."""
    for item in items:
        for position, entry in enumerate(item.spec.tracing):
            yield entry, Origin(item.key, f"spec.tracing[{position}]")
