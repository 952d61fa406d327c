"""One word and one reason for how a pod is, from how its containers are. Pure."""

from collections.abc import Sequence

from lateen.platforms.local.report import ContainerRow

_UNREMARKABLE = ("", "ContainerCreating")


def pod_status(containers: Sequence[ContainerRow], *, stopping: bool, problem: str) -> tuple[str, str]:
    """Give the word that `ps` shows, and the first thing that keeps the pod from being as it should."""
    if stopping:
        return "Stopping", ""
    if problem:
        return "Pending", problem
    for row in containers:
        if row.state == "waiting" and row.reason not in _UNREMARKABLE:
            word = row.reason.partition(":")[0]
            return word if " " not in word else "Error", f"{row.name}: {row.reason}"
    return _phase(containers), ""


def _phase(containers: Sequence[ContainerRow]) -> str:
    apps = [row for row in containers if row.kind == "app"]
    if not apps:
        return "Running" if all(row.ready for row in containers) else "Pending"
    if all(row.state == "exited" for row in apps):
        return "Completed" if all(row.reason == "Completed" for row in apps) else "Error"
    if any(row.state == "running" for row in apps):
        return "Running"
    return "Init" if any(row.kind == "init" and row.state == "running" for row in containers) else "Pending"
