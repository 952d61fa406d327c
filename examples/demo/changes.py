"""Shows an edit of a file in two lines. Pure."""

import difflib
from typing import NamedTuple


class Change(NamedTuple):
    """What an edit took away and what it brought, each in one line; empty where it did nothing of the kind."""

    file: str
    removed: str
    added: str


def change(file: str, before: str, after: str) -> Change:
    """Compare two texts of a YAML file, comments aside."""
    lines = list(difflib.ndiff(_lines(before), _lines(after)))
    return Change(file, _joined(lines, "- "), _joined(lines, "+ "))


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


def _joined(lines: list[str], sign: str) -> str:
    return " ".join(line[2:].strip().removeprefix("- ") for line in lines if line.startswith(sign))
