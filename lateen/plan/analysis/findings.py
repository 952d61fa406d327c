"""A finding as it is told: code, level, message, the object that is meant, and where that is written.

Imports nothing heavy: the command that shows a running mesh's findings starts quickly.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

SUPPRESS: Final = "galley.istio.io/analyze-suppress"
_ALL: Final = "*"


class Level(StrEnum):
    """How much a finding matters: an ERROR does not do what it says, an INFO is only worth knowing."""

    ERROR = "Error"
    WARNING = "Warning"
    INFO = "Info"


_ORDER: Final = (Level.ERROR, Level.WARNING, Level.INFO)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong or doubtful. `source` is `file:line`, empty for what came by the API."""

    code: str
    level: Level
    message: str
    kind: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    source: str = ""

    @property
    def subject(self) -> str:
        """The object that is meant, as `VirtualService default/reviews`; empty where it is not known."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}".strip()

    def reaches(self, threshold: Level) -> bool:
        """Tell whether it matters at least as much as a level."""
        return _ORDER.index(self.level) <= _ORDER.index(threshold)


def is_suppressed(annotation: str, code: str) -> bool:
    """Tell whether an annotation, codes joined by commas or `*`, suppresses a code."""
    words = [word.strip() for word in annotation.split(",")]
    return code in words or _ALL in words


def without(found: Iterable[Finding], suppressed: Iterable[str]) -> Iterator[Finding]:
    """Leave out findings by `CODE`, or by `CODE=Kind name.namespace`, in which `*` stands for anything."""
    patterns = tuple(suppressed)
    for one in found:
        where = f"{one.code}={one.kind} {one.name}" + (f".{one.namespace}" if one.namespace else "")
        if not any(fnmatchcase(where, pattern if "=" in pattern else f"{pattern}=*") for pattern in patterns):
            yield one


def in_order(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings: what matters most first, then by object and field; each once."""
    return tuple(sorted(dict.fromkeys(found), key=_rank))


def _rank(one: Finding) -> tuple[int, str, str, str, str, str, str]:
    return _ORDER.index(one.level), one.code, one.kind, one.namespace, one.name, one.path, one.message
