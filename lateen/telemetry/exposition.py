"""Prometheus' text form: families of samples, read from what proxies and applications answer, and written again.

https://prometheus.io/docs/instrumenting/exposition_formats/. What OpenMetrics adds at the end of lines, exemplars and
timestamps, is left out.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
UNTYPED: Final = "untyped"

_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_QUOTED: Final = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_LABEL: Final = rf"[a-zA-Z_][a-zA-Z0-9_]*={_QUOTED}"
_SAMPLE: Final = re.compile(
    rf"({_NAME})(?:\{{((?:{_LABEL}(?:,[ \t]*{_LABEL})*)?),?[ \t]*\}})?[ \t]+([^\s#]+)(?:[ \t]+-?[0-9.]+)?[ \t]*(?:#.*)?"
)
_LABEL_PARTS: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\]*(?:\\.[^"\\]*)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")
_ESCAPES: Final = {"n": "\n", '"': '"', "\\": "\\"}
_SUFFIXES: Final = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
_ALL_SUFFIXES: Final = ("_bucket", "_sum", "_count")
_KINDS: Final = frozenset({"counter", "gauge", "histogram", "summary", UNTYPED})
_EXACT_BELOW: Final = 1e15

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One number, with its labels sorted by name."""

    name: str
    labels: Labels
    value: float


@dataclass(slots=True)
class Family:
    """A metric: its samples as lines `name{labels} value`, without help and type."""

    name: str
    kind: str = UNTYPED
    help: str = ""
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Exposition:
    """What one answer says: families by name, and how many lines could not be read."""

    families: Mapping[str, Family]
    unreadable: int = 0


def read(text: str) -> Exposition:
    """Read an answer. A line that is none of this form is counted and left out."""
    families: dict[str, Family] = {}
    unreadable = 0
    current = Family("")
    for line in map(str.strip, text.split("\n")):
        if not line:
            continue
        if line.startswith("#"):
            current = _described(line, families, current)
            continue
        found = _SAMPLE.fullmatch(line)
        if found is None or not _is_number(found[3]):
            unreadable += 1
            continue
        current = _family_of(found[1], current, families)
        labels = found[2]
        current.lines.append(f"{found[1]}{{{labels}}} {found[3]}" if labels else f"{found[1]} {found[3]}")
    return Exposition({name: family for name, family in families.items() if family.lines}, unreadable)


def split(text: str) -> dict[str, Family]:
    """Take an answer apart that is known to be well-formed, such as an Envoy's, or what `write` gives.

    This takes a small part of the time that `read` takes.
    """
    families: dict[str, Family] = {}
    current = Family("")
    for line in text.split("\n"):
        if line.startswith("#"):
            current = _described(line, families, current)
        elif line:
            name = line.partition("{")[0].partition(" ")[0]
            if not _belongs(name, current):
                current = _family_of(name, current, families)
            has_none = line.startswith("{}", len(name))
            current.lines.append(f"{name}{line[len(name) + 2 :]}" if has_none else line)
    return {name: family for name, family in families.items() if family.lines}


def write(families: Iterable[Family]) -> str:
    """Write families, each with its help and type."""
    lines: list[str] = []
    for family in families:
        if family.help:
            lines.append(f"# HELP {family.name} {family.help}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines.extend(family.lines)
    return "\n".join(lines) + "\n" if lines else ""


def samples(text: str) -> Iterator[Sample]:
    """Yield the numbers of an answer that is known to be well-formed."""
    for family in split(text).values():
        yield from (sample_of(line) for line in family.lines)


def sample_of(line: str) -> Sample:
    """Read a line of a family."""
    before, _, number = line.rpartition(" ")
    name, _, labels = before.partition("{")
    return Sample(name, tuple(sorted(_labels_in(labels.rstrip("}, ")))), float(number))


def labels_of(line: str) -> Labels:
    """Return the labels of a line of a family, in its order."""
    return tuple((name, _unescaped(text)) for name, text in _LABEL_PARTS.findall(line))


def _labels_in(text: str) -> Labels:
    """Return labels from between braces: quickly where `",` can only stand between two of them."""
    if "\\" in text or '=",' in text or not text:
        return labels_of(text)
    parts = (part.partition('="') for part in text.removesuffix('"').split('",'))
    return tuple((name.strip(), value) for name, _, value in parts)


def labelled(line: str, labels: Mapping[str, str]) -> str:
    """Add labels to a line of a family. What it says itself under such a name becomes `exported_NAME`."""
    added = ",".join(f'{label}="{escaped(value)}"' for label, value in labels.items())
    name, brace, rest = line.partition("{")
    if not brace:
        name, _, number = line.partition(" ")
        return f"{name}{{{added}}} {number}"
    if any(f'{label}="' in rest for label in labels):
        rest = _LABEL_PARTS.sub(lambda found: f"exported_{found[0]}" if found[1] in labels else found[0], rest)
    return f"{name}{{{added},{rest}"


def escaped(text: str) -> str:
    """Write a label's value as it stands between quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def written_number(value: float) -> str:
    """Write a number as short as it can be read again."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT_BELOW else repr(value)


def written_labels(labels: Iterable[tuple[str, str]]) -> str:
    """Write labels with their braces; nothing where there are none."""
    inside = ",".join(f'{name}="{escaped(value)}"' for name, value in labels)
    return f"{{{inside}}}" if inside else ""


def _described(line: str, families: dict[str, Family], current: Family) -> Family:
    """Take in a line of help or type; comments of other kinds change nothing."""
    words = line.split(maxsplit=3)
    if len(words) < 3 or words[0] != "#" or words[1] not in ("HELP", "TYPE"):
        return current
    family = families.setdefault(words[2], Family(words[2]))
    if words[1] == "HELP":
        family.help = words[3] if len(words) > 3 else ""
    elif not family.lines:
        kind = words[3].lower() if len(words) > 3 else UNTYPED
        family.kind = kind if kind in _KINDS else UNTYPED
    return family


def _family_of(name: str, current: Family, families: dict[str, Family]) -> Family:
    """Find the family of a sample; one that nobody has described is of its own."""
    if _belongs(name, current):
        return current
    for suffix in _ALL_SUFFIXES:
        known = families.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
        if known is not None and _belongs(name, known):
            return known
    return families.setdefault(name, Family(name))


def _belongs(name: str, family: Family) -> bool:
    if not name.startswith(family.name):
        return False
    suffix = name[len(family.name) :]
    return not suffix or suffix in _SUFFIXES.get(family.kind, ())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[0]), text)
