"""What a template that is not built in is for, read from its descriptor.

Only two options of the file are looked at, so the few rules of protobuf's wire format that this takes are here.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lateen.api.mixer.templates import Variety

_FILES: Final = 1
_OPTIONS: Final = 8
_VARIETY: Final = 72295727
_NAME: Final = 72295888
_VARIETIES: Final = MappingProxyType(
    {
        0: Variety.CHECK,
        1: Variety.REPORT,
        2: Variety.QUOTA,
        3: Variety.ATTRIBUTE_GENERATOR,
        4: Variety.CHECK,
    }
)


@dataclass(frozen=True, slots=True)
class TemplateOptions:
    """What a descriptor says of its template; the name is empty where it says none."""

    variety: Variety
    name: str = ""


def template_options(descriptor: str) -> TemplateOptions:
    """Return the options of a template's descriptor, a file or a set of files in base64; raises `ValueError`.

    In a set the last file that says a variety counts: it is the template itself, what it imports comes before it.
    """
    try:
        content = base64.b64decode(descriptor)
    except binascii.Error:
        raise ValueError("must be a descriptor in base64") from None
    found = [options for file in (content, *_nested(content, _FILES)) for options in _nested(file, _OPTIONS)]
    said = [fields for fields in map(_scalars, found) if _VARIETY in fields or _NAME in fields]
    if not said:
        raise ValueError("must be the descriptor of a template: it has no option template_variety")
    variety = _VARIETIES.get(_number(said[-1].get(_VARIETY, 0)))
    if variety is None:
        raise ValueError("must have a template_variety that is known")
    name = said[-1].get(_NAME, b"")
    return TemplateOptions(variety, name.decode(errors="replace") if isinstance(name, bytes) else "")


def _number(value: int | bytes) -> int:
    return value if isinstance(value, int) else -1


def _scalars(message: bytes) -> dict[int, int | bytes]:
    return dict(_fields(message))


def _nested(message: bytes, number: int) -> list[bytes]:
    """Return the parts of a message with this number; none of what is no message."""
    try:
        return [value for at, value in _fields(message) if at == number and isinstance(value, bytes)]
    except ValueError:
        return []


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message; raises `ValueError` for what is none."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire_type == 2:
            size, at = _varint(message, at)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            raise ValueError("must be a message of protobuf")
        if at + size > len(message):
            raise ValueError("must not end in the middle of a field")
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("must not end in the middle of a number")
