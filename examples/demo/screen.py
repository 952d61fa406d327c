"""What people see of the tour: a live board in a terminal, plain lines elsewhere."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from changes import Change
from checks import Problem
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text
from steps import TOUR, Step
from ways import Row, shown

_REFRESHES_PER_SECOND = 4
_STEP_WIDTH = 18
_NAME_WIDTH = 10
_BAR_WIDTH = 10
# Those of their stars.
_COLOURS = {"v1": "white", "v2": "bright_black", "v3": "red"}
# As requests travel; what is not named here comes last.
_ORDER = ("productpage", "details", "reviews", "ratings")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step went. `live_seconds` is the time from the edit until all proxies had it, None without an edit.

    `facts` are what was found out beside the traffic, a line each.
    """

    step: Step
    observed: str
    problems: tuple[Problem, ...]
    requests: int
    live_seconds: float | None
    facts: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """✓ or ✗."""
        return "✗" if self.problems else "✓"

    @property
    def live(self) -> str:
        """The time to live, for people."""
        return "" if self.live_seconds is None else f"{self.live_seconds * 1000:.0f} ms"


@dataclass(frozen=True, slots=True)
class Numbers:
    """How the mesh does at the moment: who calls whom, the requests through its gateway, and what it refused."""

    rows: Sequence[Row] = ()
    sent: int = 0
    failed: int = 0
    refusals: Sequence[str] = ()


class Screen(Protocol):
    """Shows how the tour goes."""

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees it as it happens."""

    def say(self, text: str) -> None:
        """Tell what is going on."""

    def begin(self, url: str) -> None:
        """Show where the mesh is reached."""

    def enter(self, step: Step, change: Change | None) -> None:
        """Show the step that begins, and what was edited for it."""

    def leave(self, outcome: Outcome) -> None:
        """Show how a step went."""

    def update(self, numbers: Numbers) -> None:
        """Show the newest numbers."""

    def stay(self, hints: Sequence[tuple[str, str]]) -> None:
        """Show that the tour is over, and what one can try."""


class PlainScreen:
    """A line a step, and nothing that changes."""

    is_watched = False

    def say(self, text: str) -> None:
        """Print it; that nobody reads it any more is no reason to end in disorder."""
        with contextlib.suppress(BrokenPipeError):
            print(text, flush=True)

    def begin(self, url: str) -> None:
        """Print where the page is."""
        self.say(f"the page: {url}/productpage")

    def enter(self, step: Step, change: Change | None) -> None:
        """Wait: the line of the step comes at its end."""

    def leave(self, outcome: Outcome) -> None:
        """Print how it went."""
        self.say(f"{outcome.mark} {outcome.step.title}")
        for fact in outcome.facts:
            self.say(f"    {fact}")

    def update(self, numbers: Numbers) -> None:
        """Show nothing: nobody watches."""

    def stay(self, hints: Sequence[tuple[str, str]]) -> None:
        """Show nothing: nobody stays."""


@dataclass(slots=True)
class _Board:
    """All that the live board shows."""

    url: str = ""
    status: str = ""
    step: Step | None = None
    change: Change | None = None
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    numbers: Numbers = field(default_factory=Numbers)
    hints: Sequence[tuple[str, str]] = ()


class LiveScreen:
    """A board that is drawn again a few times a second."""

    is_watched = True

    def __init__(self) -> None:
        self._board = _Board()

    def __rich__(self) -> RenderableType:
        """The board as it is now."""
        return _drawn(self._board)

    def say(self, text: str) -> None:
        """Show it below the board."""
        self._board.status = text

    def begin(self, url: str) -> None:
        """Show where the page is, from now on."""
        self._board.url = f"{url}/productpage"

    def enter(self, step: Step, change: Change | None) -> None:
        """Show the step's change, and what is expected of it."""
        self._board.step, self._board.change = step, change

    def leave(self, outcome: Outcome) -> None:
        """Show how it went, until the end."""
        self._board.outcomes[outcome.step.title] = outcome

    def update(self, numbers: Numbers) -> None:
        """Show the newest numbers."""
        self._board.numbers = numbers

    def stay(self, hints: Sequence[tuple[str, str]]) -> None:
        """Show hints instead of a step."""
        self._board.step, self._board.hints = None, hints


@contextlib.contextmanager
def on(console: Console) -> Iterator[Screen]:
    """Lend the screen that suits the console; the live board is gone in the end."""
    if not console.is_terminal or console.is_dumb_terminal or not sys.stdin.isatty():
        yield PlainScreen()
        return
    board = LiveScreen()
    with Live(board, console=console, refresh_per_second=_REFRESHES_PER_SECOND, transient=True):
        yield board


def summary(outcomes: Sequence[Outcome]) -> Table:
    """All steps in one table."""
    table = Table("", "step", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("live after", justify="right")
    table.add_column("requests", justify="right")
    table.add_column("what traffic did")
    for each in outcomes:
        style = "red" if each.problems else "green"
        table.add_row(Text(each.mark, style), each.step.title, each.live, str(each.requests), each.observed)
    return table


def problem_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Everything that was not as promised: what was expected, what was seen."""
    lines: list[str] = []
    for outcome in outcomes:
        for problem in outcome.problems:
            lines += [
                f"✗ {outcome.step.title}",
                f"    expected: {problem.expected}",
                f"    seen:     {problem.seen}",
            ]
    return lines


def _drawn(board: _Board) -> RenderableType:
    parts: list[RenderableType] = []
    if board.url:
        parts.append(Text.assemble(("Bookinfo on Lateen", "bold"), "   ", (board.url, "cyan underline")))
        parts.append(_steps_in_a_line(board) if board.hints else _tour(board))
        parts += [_live_table(board.numbers.rows), _clients(board.numbers)]
        parts += [Text(f"refused: {refusal}", "red") for refusal in board.numbers.refusals]
    if board.hints:
        parts += [Text(), _pairs(board.hints)]
    if board.status:
        parts.append(Text(board.status, "dim", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def _tour(board: _Board) -> Table:
    """The steps on the left, what is going on in the present one on the right."""
    grid = Table.grid(padding=(0, 3), expand=True)
    grid.add_column(width=_STEP_WIDTH, no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_row(Text("\n").join(_step_line(board, step) for step in TOUR), _present(board))
    return grid


def _steps_in_a_line(board: _Board) -> Text:
    return Text("  ").join(_step_line(board, step) for step in TOUR)


def _step_line(board: _Board, step: Step) -> Text:
    outcome = board.outcomes.get(step.title)
    if outcome is not None:
        return Text.assemble((outcome.mark, "bold red" if outcome.problems else "green"), f" {step.title}")
    return Text(f"▸ {step.title}", "bold") if step is board.step else Text(f"  {step.title}", "dim")


def _present(board: _Board) -> RenderableType:
    if board.step is None:
        return Text("waiting for the first page", "dim")
    outcome = board.outcomes.get(board.step.title)
    lines = [*_change_lines(board.change), ("expected", Text(board.step.expected))]
    if outcome is None:
        lines.append(("observed", Text("counting …", "dim")))
    else:
        lines.append(("observed", Text(outcome.observed, "red" if outcome.problems else "green")))
        if outcome.facts:
            lines += [("" if place else "found", _one_line(fact)) for place, fact in enumerate(outcome.facts)]
        else:
            lines.append(("live after", Text(outcome.live or "—")))
        lines += [("but", Text(f"{each.expected}; seen {each.seen}", "red")) for each in outcome.problems]
    return _pairs(lines)


def _change_lines(change: Change | None) -> list[tuple[str, Text]]:
    if change is None:
        return [("changed", Text("nothing", "dim"))]
    removed = [("", _one_line(f"- {change.removed}", "red"))] if change.removed else []
    added = [("", _one_line(f"+ {change.added}", "green"))] if change.added else []
    return [("changed", Text(change.file)), *removed, *added]


def _one_line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _pairs(lines: Sequence[tuple[str, Text | str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", width=_NAME_WIDTH)
    grid.add_column(overflow="fold")
    for name, text in lines:
        grid.add_row(name, text)
    return grid


def _live_table(rows: Sequence[Row]) -> Table:
    """What `lateen top` shows of the last seconds, and how calls spread over versions."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("from", min_width=20, no_wrap=True)
    table.add_column("to", min_width=11, no_wrap=True)
    for title in ("req/s", "errors", "p50", "p99"):
        table.add_column(title, justify="right", min_width=6, no_wrap=True)
    table.add_column("mTLS", min_width=4, no_wrap=True)
    table.add_column("versions", no_wrap=True, overflow="crop")
    for row in sorted(rows, key=_place):
        table.add_row(*_cells(row))
    return table


def _place(row: Row) -> tuple[int, str, str]:
    caller, service = shown(row.edge.source), shown(row.edge.destination)
    return (_ORDER.index(service) if service in _ORDER else len(_ORDER)), service, caller


def _cells(row: Row) -> tuple[str | Text, ...]:
    figures, mtls = row.edge.figures, row.edge.mtls
    return (
        shown(row.edge.source),
        shown(row.edge.destination),
        f"{figures.requests:.1f}",
        Text(f"{figures.error_share:.1%}", "red" if figures.errors else ""),
        _milliseconds(figures.p50),
        _milliseconds(figures.p99),
        Text(mtls, "green" if mtls == "yes" else "yellow"),
        _versions(row.shares),
    )


def _versions(shares: Mapping[str, float]) -> Text:
    """A short bar for each version, all together as long as one."""
    return Text(" ").join(
        Text.assemble((f"{version} ", "dim"), ("█" * max(1, round(share * _BAR_WIDTH)), _COLOURS.get(version, "cyan")))
        for version, share in shares.items()
    )


def _milliseconds(duration: float | None) -> str:
    if duration is None:
        return ""
    return f"{duration:.0f} ms" if duration >= 1 else "< 1 ms"


def _clients(numbers: Numbers) -> Text:
    failed = Text(f"{numbers.failed} failed", "red" if numbers.failed else "green")
    return Text.assemble((f"{numbers.sent} requests through the gateway, ", "dim"), failed)
