"""Plain values to spec types, with every fault said in the user's words."""

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lateen.api.objects import joined_path
from lateen.api.structs import Problems, Struct, alias

S = TypeVar("S", bound=Struct)
Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at a path of a document."""

    path: str
    message: str


def parse(spec: type[S], content: Mapping[str, Any], path: str = "") -> S | tuple[Fault, ...]:
    """Return the content as a spec, or everything that is wrong with it; `path` is where the content is in its
    document.

    As in Kubernetes, a field that is null is a field that is not there.
    """
    while True:
        try:
            return spec.model_validate(content, by_alias=True, by_name=False)
        except ValidationError as error:
            details = error.errors(include_url=False)
        if not (nulls := [detail["loc"] for detail in details if _is_null_field(detail)]):
            real = (detail for detail in details if not _counts_only_valid_items(detail))
            return tuple(fault for detail in real for fault in _faults(spec, detail, path))
        content = _without(content, nulls)


def _is_null_field(detail: ErrorDetails) -> bool:
    return (
        detail["input"] is None
        and detail["type"] not in ("extra_forbidden", "missing")
        and bool(detail["loc"])
        and isinstance(detail["loc"][-1], str)
    )


def _counts_only_valid_items(detail: ErrorDetails) -> bool:
    """Tell whether a list is called too short only because of the items that have faults of their own."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def _without(content: Mapping[str, Any], locations: list[Location]) -> Mapping[str, Any]:
    """Return a copy of the content that lacks the fields at these locations."""
    copy = json.loads(json.dumps(content))
    for location in locations:
        inside = copy
        for step in location[:-1]:
            inside = inside[step]
        inside.pop(location[-1], None)
    return copy  # type: ignore[no-any-return]


def _faults(spec: type[Struct], detail: ErrorDetails, prefix: str) -> Iterator[Fault]:
    location = tuple(step for step in detail["loc"] if step != "[key]")
    path = prefix
    for step in location:
        path = joined_path(path, step)
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, Problems):
        for problem in cause.problems:
            yield Fault(f"{path}.{problem.field}".strip(".") if problem.field else path, problem.message)
    else:
        yield Fault(path, _message(spec, location, detail))


def _message(spec: type[Struct], location: Location, detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return _unknown_field(_struct_at(spec, location[:-1]), str(location[-1]))
    wording = _WORDINGS.get(detail["type"])
    return wording(detail.get("ctx", {}), detail["input"]) if wording else detail["msg"][:1].lower() + detail["msg"][1:]


def _unknown_field(struct: type[Struct], name: str) -> str:
    return f"unknown field{near(name, [alias(field) for field in struct.model_fields])}"


def near(word: str, known: list[str], listed: int = 6) -> str:
    """Return what a user may have meant, as the end of a message: the nearest of the known words, or all when they
    are few.
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    if close := difflib.get_close_matches(word.lower().replace("_", ""), by_lower, n=1, cutoff=0.6):
        return f"; did you mean {by_lower[close[0]]}?"
    return f"; known here: {', '.join(known)}" if 0 < len(known) <= listed else ""


def _struct_at(spec: type[Struct], location: Location) -> type[Struct]:
    """Return the struct type that the last steps of a location are fields of."""
    struct = spec
    for step in location:
        field = next((field for name, field in struct.model_fields.items() if step in (alias(name), name)), None)
        struct = (field and _struct_in(field.annotation)) or struct
    return struct


def _struct_in(annotation: Any) -> type[Struct] | None:
    """Return the struct type that an annotation like `tuple[HttpRoute, ...] | None` is about."""
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation if issubclass(annotation, Struct) else None
    return next(filter(None, map(_struct_in, get_args(annotation))), None)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _text(_: Mapping[str, Any], value: Any) -> str:
    quotes = f': write "{_shown(value)}" in quotes' if isinstance(value, bool | int | float) else ""
    return f"must be text, not {_shown(value)}{quotes}"


def _choice(context: Mapping[str, Any], value: Any) -> str:
    return f"must be one of {context['expected'].replace(chr(39), '').replace(' or ', ', ')}, not {_shown(value)}"


def _items(context: Mapping[str, Any], bound: str, number: str) -> str:
    count = context[number]
    return f"must have {bound} {count} {'entry' if count == 1 else 'entries'}"


_WORDINGS: Final[Mapping[str, Callable[[Mapping[str, Any], Any], str]]] = MappingProxyType(
    {
        "missing": lambda _, __: "must be set",
        "string_type": _text,
        "string_unicode": lambda _, __: "must be Unicode text",
        "int_type": lambda _, value: f"must be a whole number, not {_shown(value)}",
        "float_type": lambda _, value: f"must be a number, not {_shown(value)}",
        "finite_number": lambda _, value: f"must be a finite number, not {_shown(value)}",
        "bool_type": lambda _, value: f"must be true or false, not {_shown(value)}",
        "tuple_type": lambda _, value: f"must be a list, not {_shown(value)}",
        "dict_type": lambda _, value: f"must be a mapping, not {_shown(value)}",
        "model_type": lambda _, value: f"must be a mapping, not {_shown(value)}",
        "model_attributes_type": lambda _, value: f"must be a mapping, not {_shown(value)}",
        "enum": _choice,
        "greater_than_equal": lambda context, value: f"must be at least {context['ge']:g}, not {_shown(value)}",
        "less_than_equal": lambda context, value: f"must be at most {context['le']}, not {_shown(value)}",
        "too_short": lambda context, _: _items(context, "at least", "min_length"),
        "too_long": lambda context, _: _items(context, "at most", "max_length"),
        "string_too_short": lambda _, __: "must not be empty",
        "string_too_long": lambda context, _: f"must have at most {context['max_length']} characters",
        "string_pattern_mismatch": lambda context, value: f"must match {context['pattern']}, not {_shown(value)}",
        "value_error": lambda context, _: str(context["error"]),
    }
)
