"""What an adapter is told of the types of an instance before any instance comes: its template's message `Type`.

That has the numbers of the instance's fields, with a type in place of each value of any type. Others are left out.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from lateen.adapters.remote.encoding import VALUE, Types, plain_name
from lateen.api.expressions.types import ValueType

_NUMBERS: Final[Mapping[ValueType, int]] = MappingProxyType(
    {
        ValueType.STRING: 1,
        ValueType.INT64: 2,
        ValueType.DOUBLE: 3,
        ValueType.BOOL: 4,
        ValueType.TIMESTAMP: 5,
        ValueType.IP_ADDRESS: 6,
        ValueType.EMAIL_ADDRESS: 7,
        ValueType.URI: 8,
        ValueType.DNS_NAME: 9,
        ValueType.DURATION: 10,
        ValueType.STRING_MAP: 11,
    }
)


def inferred(descriptor: Any, types: Types) -> bytes:
    """Write the types of an instance whose message has this descriptor."""
    fields = {plain_name(field.name): field for field in descriptor.fields}
    return b"".join(
        written
        for name in dict.fromkeys(at[0] for at in types)
        if (field := fields.get(plain_name(name))) is not None and field.message_type is not None
        for written in _field(field, _below(types, name))
    )


def _field(field: Any, types: Types) -> Iterator[bytes]:
    message = field.message_type
    if message.full_name == VALUE:
        yield _varint(field.number << 3) + _varint(_NUMBERS[types[()]])
    elif message.GetOptions().map_entry:
        value = message.fields_by_name["value"].message_type
        if value is not None and value.full_name == VALUE:
            for (key,), kind in types.items():
                yield _delimited(field.number, _delimited(1, key.encode()) + _varint(2 << 3) + _varint(_NUMBERS[kind]))
    elif () not in types and (below := inferred(message, types)):
        yield _delimited(field.number, below)


def _below(types: Types, name: str) -> Types:
    return {at[1:]: kind for at, kind in types.items() if at[0] == name}


def _delimited(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
