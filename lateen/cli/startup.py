"""Watches a detached mesh come up: progress while it does, then its URLs, or why it did not."""

import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import click

from lateen.api.apps.deployment import Deployment
from lateen.api.apps.stateful_set import StatefulSet
from lateen.api.core.pod import Pod
from lateen.api.objects import ConfigObject
from lateen.api.structs import Struct
from lateen.cli import output
from lateen.cli.client import ApiClient
from lateen.cli.failures import BadInput, Failed, NotRunning
from lateen.cli.meshes import Mesh

_LOOK_AGAIN_SECONDS: Final = 0.1
_LONGEST_SETTLING_SECONDS: Final = 15.0
_ANSWER_SECONDS: Final = 5.0
_LOG_LINES: Final = 5
_LOG_BYTES: Final = 8192
_REFUSED_BY_MACHINE: Final = 2
# A crash or two at the beginning is ordinary (a database that is not there yet); one that goes on is a failure.
_PATIENCE_RESTARTS: Final = 3
_HOPELESS: Final = frozenset({"Error", "ImageNotMapped", "CreateContainerConfigError"})

Row = Mapping[str, Any]


class Wanted(NamedTuple):
    """An owner of workloads, as `Deployment/reviews-v1` in a namespace, and how many instances it wants."""

    namespace: str
    owner: str
    replicas: int


class Started(NamedTuple):
    """A supervisor that was started, and the file that holds what it said on its way."""

    process: "subprocess.Popen[bytes]"
    said: IO[bytes]


class Tally(NamedTuple):
    """How far a mesh has come: how many workloads it should have, how many are ready, and which have failed."""

    expected: int
    ready: int
    failed: tuple[Row, ...]

    @property
    def is_over(self) -> bool:
        """Tell whether nothing is left to wait for."""
        return self.ready + len(self.failed) >= self.expected


def wanted(objects: Iterable[ConfigObject[Struct]]) -> frozenset[Wanted]:
    """List what wants workloads to run."""
    return frozenset(
        Wanted(item.namespace, f"{item.key.kind}/{item.name}", _replicas(item.spec))
        for item in objects
        if isinstance(item.spec, Deployment | StatefulSet | Pod)
    )


def tally(owners: Iterable[Wanted], rows: Sequence[Row]) -> Tally:
    """Count what is ready and what has failed of what is wanted."""
    ready = Counter((row["namespace"], row["owner"]) for row in rows if row["is_ready"])
    failed = tuple(row for row in rows if not row["is_ready"] and _has_failed(row))
    expected = [owner for owner in owners if owner.replicas]
    return Tally(
        sum(owner.replicas for owner in expected),
        sum(min(owner.replicas, ready[owner.namespace, owner.owner]) for owner in expected),
        failed,
    )


def watch(mesh: Mesh, started: Started, owners: frozenset[Wanted], timeout_seconds: float) -> None:
    """Show progress until every workload is ready or has failed; raises `Failed` with the reasons.

    Whoever interrupts it wants no mesh: what was started is ended.
    """
    try:
        _watch(mesh, started, owners, timeout_seconds)
    except KeyboardInterrupt:
        click.echo(f"stopping mesh '{mesh.name}'", err=True)
        started.process.terminate()
        started.process.wait()
        raise


def _watch(mesh: Mesh, started: Started, owners: frozenset[Wanted], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    api = ApiClient(mesh, patience_seconds=0)
    with _progress() as progress:
        while True:
            _check_alive(started)
            rows = _rows(api)
            found = tally(owners, rows)
            progress.show(found)
            if found.is_over and rows is not _UNKNOWN:
                break
            if time.monotonic() > deadline:
                break
            time.sleep(_LOOK_AGAIN_SECONDS)
        _wait_until_live(api, deadline - time.monotonic())
    _report(mesh, api, found, rows)


def _wait_until_live(api: ApiClient, seconds: float) -> None:
    """Wait until every proxy works by the files; say which ones do not when the time is over."""
    patience = min(max(seconds, 0.0), _LONGEST_SETTLING_SECONDS)
    answer = api.get("v1", "wait", timeout=patience, timeout_seconds=patience + _ANSWER_SECONDS)
    if late := [proxy["proxy"] for proxy in answer["unsettled"]]:
        click.echo(f"not all of the files are live yet at {', '.join(late)}: see `lateen proxy-status`", err=True)


_UNKNOWN: Final[Sequence[Row]] = ()


def _rows(api: ApiClient) -> Sequence[Row]:
    """Ask for all workloads; `_UNKNOWN` while the control plane does not answer yet."""
    try:
        rows: Sequence[Row] = api.get("v1", "workloads", timeout_seconds=5.0)["workloads"]
    except NotRunning:
        return _UNKNOWN
    return list(rows)


def _replicas(spec: Struct) -> int:
    return spec.replicas if isinstance(spec, Deployment | StatefulSet) else 1


def _has_failed(row: Row) -> bool:
    return row["status"] in _HOPELESS or (row["status"] == "CrashLoopBackOff" and row["restarts"] >= _PATIENCE_RESTARTS)


def _check_alive(started: Started) -> None:
    code = started.process.poll()
    if code is None:
        return
    started.said.seek(0)
    lines = started.said.read().decode(errors="replace").splitlines()
    kind = BadInput if code == _REFUSED_BY_MACHINE else Failed
    raise kind(f"the mesh ended while it started (exit code {code})", lines[-20:])


def _report(mesh: Mesh, api: ApiClient, found: Tally, rows: Sequence[Row]) -> None:
    if found.ready < found.expected:
        missing = [row for row in rows if not row["is_ready"]]
        details = [line for row in missing for line in _why(row)]
        details.append("the mesh stays up: look with `lateen ps -o wide` and `lateen logs`, stop it with `lateen down`")
        raise Failed(f"{found.ready} of {found.expected} workloads are ready in mesh '{mesh.name}'", details)
    click.echo(f"mesh '{mesh.name}' is up: {found.ready} workloads")
    for port in api.get("v1", "ports")["ports"]:
        where = f"{port['service']}.{port['namespace']} port {port['port']}"
        click.echo(f"{port['url']}   {where}" if not port["error"] else f"not published: {where}: {port['error']}")


def _why(row: Row) -> list[str]:
    reason = f": {row['reason']}" if row["reason"] else ""
    lines = [f"{row['name']}.{row['namespace']}: {row['status']}{reason}"]
    for container in row["containers"]:
        if not container["ready"] and container["log"]:
            lines += [f"  {container['name']} | {line}" for line in _last_lines(Path(container["log"]))]
    return lines


def _last_lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes()[-_LOG_BYTES:].decode(errors="replace")
    except OSError:
        return []
    return text.splitlines()[-_LOG_LINES:]


class _Lines:
    """Progress without a terminal: a line whenever the number of ready workloads changes."""

    def __init__(self) -> None:
        self._last = -1

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, found: Tally) -> None:
        """Print where things stand, if that is news."""
        if found.ready != self._last:
            self._last = found.ready
            click.echo(f"{found.ready} of {found.expected} workloads ready")


class _Bar:
    """Progress on a terminal: a bar that goes away at the end."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            transient=True,
        )
        self._task = self._progress.add_task("workloads ready", total=None)

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, found: Tally) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=found.ready, total=found.expected)


def _progress() -> _Lines | _Bar:
    return _Bar() if output.has_colour() else _Lines()
