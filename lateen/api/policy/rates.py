"""How many requests in how much time, as users write it: `100/minute`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from lateen.api.fields import format_duration, parse_duration

UNITS: Final = MappingProxyType(
    {
        "second": timedelta(seconds=1),
        "minute": timedelta(minutes=1),
        "hour": timedelta(hours=1),
        "day": timedelta(days=1),
    }
)
UNLIMITED: Final = "unlimited"

_SHORTEST: Final = timedelta(milliseconds=100)
_LONGEST: Final = timedelta(days=366)
_MOST: Final = 2**31 - 1
_RATE: Final = re.compile(r"(?P<requests>[0-9]{1,12})/(?P<window>.+)")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `requests` in each `window`."""

    requests: int
    window: timedelta

    def __str__(self) -> str:
        unit = next((name for name, length in UNITS.items() if length == self.window), None)
        return f"{self.requests}/{unit or format_duration(self.window)}"


def parse_rate(text: Any) -> Rate:
    """Return the rate that a text like `100/minute` or `5/10s` says; raises `ValueError` for anything else."""
    if isinstance(text, Rate):
        return text
    found = _RATE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"must be a rate like 100/minute or 5/10s, not {text!r}")
    rate = Rate(int(found["requests"]), _window(found["window"]))
    if not 1 <= rate.requests <= _MOST:
        raise ValueError(f"must let at least 1 request pass, and at most {_MOST}: {text!r}")
    return rate


def parse_exemption(text: Any) -> Rate | None:
    """Return the rate that a text says, or None for `unlimited`."""
    return None if text is None or text == UNLIMITED else parse_rate(text)


def _window(text: str) -> timedelta:
    if text in UNITS:
        return UNITS[text]
    try:
        window = parse_duration(text)
    except ValueError:
        units = ", ".join(UNITS)
        raise ValueError(f"must have one of {units} or a duration like 10s behind the slash, not {text!r}") from None
    if not _SHORTEST <= window <= _LONGEST:
        raise ValueError(f"must have a window between 100ms and 366 days, not {text!r}")
    return window


class _RateText:
    """Tells pydantic how documents write a rate: as text, in both directions."""

    parse: Callable[[Any], Rate | None] = staticmethod(parse_rate)
    pattern = r"^[0-9]+/(second|minute|hour|day|.*[0-9](h|m|s|ms))$"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(
            lambda rate: UNLIMITED if rate is None else str(rate), return_schema=core_schema.str_schema()
        )
        return core_schema.no_info_plain_validator_function(self.parse, serialization=written)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": self.pattern}


class _ExemptionText(_RateText):
    """The same, for where `unlimited` is a rate as well."""

    parse = staticmethod(parse_exemption)
    pattern = rf"^({UNLIMITED}|[0-9]+/.+)$"


RateText = Annotated[Rate, _RateText()]
ExemptionText = Annotated[Rate | None, _ExemptionText()]
