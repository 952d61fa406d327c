"""How commands print: tables for people (in colour on a terminal), JSON for programs, ages and durations in short."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click

_COLOURS: Final = {
    "synced": "green",
    "ready": "green",
    "true": "green",
    "yes": "green",
    "created": "green",
    "configured": "green",
    "stale": "yellow",
    "waiting": "yellow",
    "starting": "yellow",
    "no": "yellow",
    "error": "red",
    "failed": "red",
    "refused": "red",
    "rejected": "red",
}
_HEADING: Final = {"bold": True}
_STEPS: Final = ((86400 * 2, 86400, "d", 3600, "h"), (3600 * 2, 3600, "h", 60, "m"), (120, 60, "m", 1, "s"))


def print_json(value: object) -> None:
    """Print a value as JSON, two blanks a level."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table as wide as it needs to be: nothing is cut, words for states are coloured on a terminal."""
    lines = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *lines, strict=True)]
    coloured = has_colour()
    click.echo(_line(columns, widths, [_HEADING] * len(columns) if coloured else []))
    for line in lines:
        click.echo(_line(line, widths, [_style(cell) for cell in line] if coloured else []))


def has_colour() -> bool:
    """Tell whether standard output is a terminal whose user has not declined colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def is_terminal() -> bool:
    """Tell whether standard output is a terminal, of which a program can clear the screen."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def short_age(seconds: float | None) -> str:
    """Say how long ago something was, in at most two units: `45s`, `3m10s`, `5h2m`, `3d4h`."""
    if seconds is None:
        return ""
    whole = max(0, int(seconds))
    for least, large, large_unit, small, small_unit in _STEPS:
        if whole >= least:
            rest = whole % large // small
            return f"{whole // large}{large_unit}" + (f"{rest}{small_unit}" if rest else "")
    return f"{whole}s"


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return "" if cell is None else str(cell)


def _line(cells: Sequence[str], widths: Sequence[int], styles: Sequence[dict[str, Any]]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    padded[-1] = padded[-1].rstrip()
    if styles:
        padded = [click.style(cell, **style) if style else cell for cell, style in zip(padded, styles, strict=True)]
    return "   ".join(padded).rstrip()


def _style(cell: str) -> dict[str, Any]:
    word = cell.partition(" ")[0].partition(":")[0].lower()
    return {"fg": _COLOURS[word]} if word in _COLOURS else {}
