"""Who a reference means."""

import pytest

from lateen.platforms.local.report import WorkloadRow, find


def row(name: str, owner: str, namespace: str = "default", ready: bool = True) -> WorkloadRow:
    return WorkloadRow(
        namespace=namespace,
        name=name,
        app="",
        version="",
        address="",
        ready="1/1",
        is_ready=ready,
        status="Running",
        reason="",
        restarts=0,
        created=0.0,
        owner=owner,
        role="sidecar",
    )


ROWS = (
    row("sleep-h-a", "Deployment/sleep", ready=False),
    row("sleep-h-b", "Deployment/sleep"),
    row("sleep-h-c", "Deployment/sleep", namespace="other"),
    row("db-0", "StatefulSet/db"),
    row("sleep", "Pod/sleep", namespace="pods"),
    row("a.b", "Pod/a.b"),
)


@pytest.mark.parametrize(
    ("reference", "namespace", "names"),
    [
        ("sleep-h-a", "", ["sleep-h-a"]),
        ("sleep-h-a.default", "", ["sleep-h-a"]),
        ("deploy/sleep", "", ["sleep-h-b", "sleep-h-c", "sleep-h-a"]),
        ("deploy/sleep", "other", ["sleep-h-c"]),
        ("deployment/sleep.default", "", ["sleep-h-b", "sleep-h-a"]),
        ("sleep", "default", ["sleep-h-b", "sleep-h-a"]),
        ("sleep", "", ["sleep"]),
        ("sts/db", "", ["db-0"]),
        ("pod/sleep", "", ["sleep"]),
        ("pod/sleep-h-a", "", ["sleep-h-a"]),
        ("a.b", "", ["a.b"]),
        ("nobody", "", []),
        ("sts/sleep", "", []),
    ],
)
def test_references(reference: str, namespace: str, names: list[str]) -> None:
    assert [found.name for found in find(ROWS, reference, namespace)] == names
