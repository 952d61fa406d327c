"""What proxies tell of the calls that pass them: metrics, logs and traces, as Telemetry objects and MeshConfig say."""

from lateen.api.telemetry.scopes import WorkloadMode
from lateen.plan import tracing
from lateen.plan.access_logging import access_logs
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory
from lateen.plan.metrics import metrics
from lateen.plan.telemetry_scopes import Counting, counting, logging_of, metrics_of, tracing_of
from lateen.plan.telemetry_types import Reports, Telemetry
from lateen.plan.tracing_types import Tracing


def telemetry(directory: Directory, notes: Notes) -> Telemetry:
    """Settle what the proxies of a view tell."""
    items = counting(directory.view, notes)
    traced = tracing.tracing(tuple(tracing_of(items)), directory, notes)
    return Telemetry(
        _reports(WorkloadMode.CLIENT, items, traced.outbound, directory, notes),
        _reports(WorkloadMode.SERVER, items, traced.inbound, directory, notes),
    )


def _reports(
    mode: WorkloadMode, items: Counting, traced: Tracing | None, directory: Directory, notes: Notes
) -> Reports:
    return Reports(
        metrics(metrics_of(items), directory.view.mesh, mode, notes),
        access_logs(logging_of(items), directory, mode, notes),
        traced,
    )
