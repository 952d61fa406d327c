"""Values of attributes as the fields of protobuf messages, by whatever descriptors a template has."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from lateen.adapters.remote.known_templates import POLICY
from lateen.api.expressions.types import ValueType
from lateen.mixer.ports import Field

Types = Mapping[tuple[str, ...], ValueType]
"""The types of an instance's fields by where they are; what is not there is of the type that its value tells."""

VALUE: Final = f"{POLICY}.Value"
_WRAPPERS: Final = frozenset(
    f"{POLICY}.{name}" for name in ("IPAddress", "Duration", "TimeStamp", "DNSName", "EmailAddress", "Uri", "StringMap")
)
_TEXTS: Final = {
    ValueType.EMAIL_ADDRESS: "email_address_value",
    ValueType.DNS_NAME: "dns_name_value",
    ValueType.URI: "uri_value",
}


def fill(message: Any, fields: Mapping[str, Field], types: Types, at: tuple[str, ...] = ()) -> None:
    """Write fields into a message. Raises `ValueError` for a field that the message does not have."""
    known = {plain_name(field.name): field for field in message.DESCRIPTOR.fields}
    for name, value in fields.items():
        field = known.get(plain_name(name))
        if field is None:
            raise ValueError(f"{message.DESCRIPTOR.full_name} has no field {name}")
        _write(message, field, value, types, (*at, name))


def _write(message: Any, field: FieldDescriptor, value: Field, types: Types, at: tuple[str, ...]) -> None:
    if field.message_type is None:
        setattr(message, field.name, _scalar(field, value))
    elif field.message_type.GetOptions().map_entry:
        _write_map(getattr(message, field.name), field.message_type.fields_by_name["value"], value, types, at)
    else:
        _write_message(getattr(message, field.name), value, types, at)


def _write_map(target: Any, field: FieldDescriptor, value: Field, types: Types, at: tuple[str, ...]) -> None:
    assert isinstance(value, Mapping)
    for key, item in value.items():
        if field.message_type is None:
            target[key] = _scalar(field, item)
        else:
            _write_message(target[key], item, types, (*at, key))


def _write_message(target: Any, value: Field, types: Types, at: tuple[str, ...]) -> None:
    name = target.DESCRIPTOR.full_name
    if name == VALUE:
        _write_value(target, value, types.get(at))
    elif name in _WRAPPERS:
        _wrap(target, value)
    elif isinstance(value, Mapping):
        target.SetInParent()
        fill(target, value, types, at)
    else:
        raise ValueError(f"{'.'.join(at)} is {value!r}, which is no {name}")


def _write_value(target: Any, value: Field, kind: ValueType | None) -> None:
    """Write a value of any type under the name of its type."""
    match value:
        case bool():
            target.bool_value = value
        case int():
            target.int64_value = value
        case float():
            target.double_value = value
        case str() if kind in _TEXTS:
            _wrap(getattr(target, _TEXTS[kind]), value)
        case str():
            target.string_value = value
        case IPv4Address() | IPv6Address():
            _wrap(target.ip_address_value, value)
        case datetime():
            _wrap(target.timestamp_value, value)
        case timedelta():
            _wrap(target.duration_value, value)
        case Mapping():
            _wrap(target.string_map_value, value)


def _wrap(target: Any, value: Field) -> None:
    target.SetInParent()
    match value:
        case datetime():
            target.value.FromDatetime(value)
        case timedelta():
            target.value.FromTimedelta(value)
        case IPv4Address() | IPv6Address():
            target.value = value.packed
        case Mapping():
            target.value.update(value)
        case _:
            target.value = str(value)


def _scalar(field: FieldDescriptor, value: Field) -> Any:
    if field.enum_type is not None and isinstance(value, str):
        found = field.enum_type.values_by_name.get(value)
        if found is None:
            raise ValueError(f"{value!r} is no {field.enum_type.full_name}")
        return found.number
    if field.type == FieldDescriptor.TYPE_STRING:
        return value if isinstance(value, str) else str(value)
    if field.type == FieldDescriptor.TYPE_BYTES and isinstance(value, IPv4Address | IPv6Address):
        return value.packed
    return value


def plain_name(name: str) -> str:
    """Return a field's name so that camelCase and snake_case are the same."""
    return name.replace("_", "").lower()
