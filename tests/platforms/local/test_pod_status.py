"""The one word that `ps` shows."""

import pytest

from lateen.platforms.local.pod_status import pod_status
from lateen.platforms.local.report import ContainerKind, ContainerRow, ContainerState


def row(state: ContainerState, reason: str = "", kind: ContainerKind = "app", ready: bool = False) -> ContainerRow:
    return ContainerRow(name="c", kind=kind, state=state, reason=reason, ready=ready)


PROXY = row("running", kind="proxy", ready=True)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("waiting", "ContainerCreating"), PROXY], ("Pending", "")),
        ([row("running", kind="init"), row("waiting", "ContainerCreating"), PROXY], ("Init", "")),
        ([row("exited", "Completed", kind="init"), row("running"), PROXY], ("Running", "")),
        ([row("waiting", "CrashLoopBackOff"), PROXY], ("CrashLoopBackOff", "c: CrashLoopBackOff")),
        ([row("waiting", "ImageNotMapped: no command"), PROXY], ("ImageNotMapped", "c: ImageNotMapped: no command")),
        ([row("waiting", "exit code 3"), PROXY], ("Error", "c: exit code 3")),
        ([row("exited", "Completed"), PROXY], ("Completed", "")),
        ([row("exited", "Completed"), row("exited", "exit code 1"), PROXY], ("Error", "")),
        ([PROXY], ("Running", "")),
        ([row("running", kind="proxy")], ("Pending", "")),
    ],
)
def test_status(rows: list[ContainerRow], expected: tuple[str, str]) -> None:
    assert pod_status(rows, stopping=False, problem="") == expected


def test_an_end_or_a_problem_of_the_pod_itself_comes_first() -> None:
    assert pod_status([row("waiting", "CrashLoopBackOff")], stopping=True, problem="") == ("Stopping", "")
    assert pod_status([PROXY], stopping=False, problem="no namespace") == ("Pending", "no namespace")
