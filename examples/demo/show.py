"""The whole show: brings the mesh up, has the steps walked, stays if somebody watches, and clears everything away."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import mesh
import screen
from mesh import Folder, Mesh, TourFailed
from rich.console import Console
from screen import Numbers, Outcome, Screen
from steps import TOUR
from traffic import Traffic
from walk import Walk
from ways import Window

from lateen.cli import meshes

_WATCHED_RATE: Final = 40.0
_LOOK_AGAIN_SECONDS: Final = 1.0
_WINDOW_SECONDS: Final = 5.0
_FIRST_PAGE_SECONDS: Final = 20.0
_FAILED: Final = 1
_INTERRUPTED: Final = 130


@dataclass(slots=True)
class Report:
    """What there is to tell in the end; `logs` is where those of a mesh that failed are kept."""

    outcomes: list[Outcome] = field(default_factory=list)
    failure: TourFailed | None = None
    logs: Path | None = None

    @property
    def has_problems(self) -> bool:
        """Whether traffic did anything but what the steps promise."""
        return any(outcome.problems for outcome in self.outcomes)


async def run(console: Console, name: str) -> int:
    """Bring the mesh up, walk, stay if somebody watches, and take it down whatever happens; the exit status."""
    _let_signals_cancel(asyncio.current_task())
    report = Report()
    try:
        with screen.on(console) as shown:
            await mesh.remove_leftovers(name)
            async with _own_mesh(name, shown) as (demo, folder):
                await _tour(demo, folder, shown, report)
    except TourFailed as failure:
        report.failure = failure
    except asyncio.CancelledError:
        # The user's Ctrl-C, which is how a demo in a terminal ends.
        pass
    return _conclude(console, report)


async def _tour(demo: Mesh, folder: Folder, shown: Screen, report: Report) -> None:
    """Do all that needs the mesh; raises `TourFailed`."""
    try:
        url = await _bring_up(demo, shown)
        async with (
            Traffic(url, _WATCHED_RATE if shown.is_watched else None) as traffic,
            _fresh_numbers(demo, traffic, shown),
        ):
            await _await_first_page(url, traffic)
            shown.begin(url)
            await Walk(demo, folder, traffic, shown).take_all(report.outcomes)
            if report.has_problems:
                report.logs = demo.keep_logs()
            if shown.is_watched:
                shown.stay(_hints(demo, folder.path))
                await asyncio.Event().wait()
    except (TourFailed, TimeoutError) as failure:
        report.logs = demo.keep_logs()
        raise failure if isinstance(failure, TourFailed) else TourFailed("traffic came to a standstill") from None


async def _bring_up(demo: Mesh, shown: Screen) -> str:
    """Start the mesh; return where its gateway is."""
    shown.say(f"starting Bookinfo as the mesh '{demo.name}'")
    began = time.monotonic()
    await demo.up()
    url = await demo.url()
    shown.say(f"the mesh is up after {time.monotonic() - began:.1f} s; Ctrl-C ends it and leaves nothing behind")
    return url


async def _await_first_page(url: str, traffic: Traffic) -> None:
    answer = await traffic.first_good_answer(_FIRST_PAGE_SECONDS)
    if not answer.is_good:
        status = f"status {answer.status}" if answer.status else "no answer"
        raise TourFailed(f"{url}/productpage did not come within {_FIRST_PAGE_SECONDS:g} s: {status}")


@contextlib.asynccontextmanager
async def _own_mesh(name: str, shown: Screen) -> AsyncIterator[tuple[Mesh, Folder]]:
    """Lend a mesh that is not up yet, and its folder; in the end nothing is left of either."""
    folder = Folder(name)
    demo = Mesh(name, folder.path)
    try:
        yield demo, folder
    finally:
        shown.say("ending the mesh")
        if not await demo.down():
            raise TourFailed(f"the mesh '{name}' is not gone: `{_command()} down --name {name}` shows why")
        folder.remove()


@contextlib.asynccontextmanager
async def _fresh_numbers(demo: Mesh, traffic: Traffic, shown: Screen) -> AsyncIterator[None]:
    """Keep the numbers on the screen fresh, where somebody watches."""
    if not shown.is_watched:
        yield
        return
    looking = asyncio.create_task(_look(demo, traffic, shown))
    try:
        yield
    finally:
        looking.cancel()


async def _look(demo: Mesh, traffic: Traffic, shown: Screen) -> None:
    window = Window(_WINDOW_SECONDS)
    while True:
        # The control plane may be away for a moment, also because the user wants to see what happens then.
        with contextlib.suppress(TourFailed):
            rows = window.add(await demo.metrics())
            shown.update(Numbers(rows, traffic.sent, traffic.failed, await demo.refusals()))
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def _hints(demo: Mesh, folder: Path) -> list[tuple[str, str]]:
    lateen, name = _command(), f" --name {demo.name}" if len(meshes.running()) > 1 else ""
    return [
        ("edit", f"{folder}/reviews.yaml   (mistakes are told here)"),
        ("look", f"{lateen} ps{name}"),
        ("", f"{lateen} top{name}"),
        ("ask", f"{lateen} exec{name} deploy/productpage-v1 -- curl -s reviews:9080/reviews/0"),
        ("", f"{lateen} explain{name} --from productpage --to http://ratings:9080/"),
        (
            "break",
            f"kill -9 $(pgrep -f 'lateen.app --name {demo.name} ')   (the control plane; traffic goes on)",
        ),
    ]


def _command() -> str:
    """The command as it is typed from here."""
    lateen = Path(sys.executable).with_name("lateen")
    return min(str(lateen), os.path.relpath(lateen), key=len)


def _conclude(console: Console, report: Report) -> int:
    """Print what there is to tell; the exit status."""
    if report.outcomes:
        console.print(screen.summary(report.outcomes))
    for line in screen.problem_lines(report.outcomes):
        console.print(line, style="red", markup=False)
    if report.failure is not None:
        console.print(f"✗ {report.failure}\n{report.failure.details}".rstrip(), style="red", markup=False)
    if report.logs is not None:
        console.print(f"the logs are kept in {report.logs}", markup=False)
    if report.failure is not None or report.has_problems:
        return _FAILED
    if len(report.outcomes) < len(TOUR):
        console.print("interrupted; nothing of the demo is left")
        return _INTERRUPTED
    console.print(f"all {len(TOUR)} steps did what they promise; nothing of the demo is left")
    return 0


def _let_signals_cancel(task: "asyncio.Task[Any] | None") -> None:
    """Have the first signal end the task in order; those that follow change nothing, for it is ending."""
    assert task is not None
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def end() -> None:
        for each in signals:
            loop.add_signal_handler(each, lambda: None)
        task.cancel()

    for each in signals:
        loop.add_signal_handler(each, end)
