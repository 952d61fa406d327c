"""Plain structures: mappings, lists, texts and numbers, as YAML and JSON know them; what is as usual is left out."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from lateen.api.structs import Struct
from lateen.plan.types import Comparison, MatchKind, NamedMatch, Origin, Pattern, TextMatch

Plain = Any


def text_match(described: TextMatch) -> str:
    """Describe a comparison in words: `prefix /api`, `not exact jason (any case)`, `present`."""
    words = ["not"] if described.inverted else []
    words.append(described.kind.value)
    if described.kind is not MatchKind.PRESENT:
        words.append(described.value)
    if described.ignore_case:
        words.append("(any case)")
    return " ".join(words)


def pattern(described: Pattern) -> str:
    """Describe a pattern as users write it."""
    forms = {Comparison.PREFIX: "{}*", Comparison.SUFFIX: "*{}", Comparison.PRESENT: "*"}
    return forms.get(described.comparison, "{}").format(described.value)


def duration(described: timedelta) -> str:
    """Describe a duration in seconds, or milliseconds when it is below one."""
    seconds = described.total_seconds()
    return f"{seconds:g}s" if seconds >= 1 or not seconds else f"{seconds * 1000:g}ms"


def distinct(asked: tuple[NamedMatch, ...]) -> tuple[NamedMatch, ...]:
    """Keep several conditions on one header apart by numbering them."""
    seen: dict[str, int] = {}
    found = []
    for one in asked:
        seen[one.name] = seen.get(one.name, 0) + 1
        found.append(one if seen[one.name] == 1 else NamedMatch(f"{one.name} ({seen[one.name]})", one.match))
    return tuple(found)


def filled(entries: Mapping[str, Plain]) -> dict[str, Plain]:
    """Leave out what is empty, false or None."""
    return {name: value for name, value in entries.items() if value not in (None, "", False, [], {}, ())}


def plain(value: Any) -> Plain:
    """Turn any part of a plan into plain structures, without the fields that have their usual values."""
    if isinstance(value, Origin):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {
            one.name.replace("_", " "): plain(getattr(value, one.name))
            for one in fields(value)
            if not _is_usual(getattr(value, one.name), one.default, one.default_factory)
        }
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Struct):
        return value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    return value


def _is_usual(value: Any, default: Any, factory: Any) -> bool:
    if default is not MISSING:
        return bool(value == default)
    return factory is not MISSING and bool(value == factory())
