"""Merging: what a patch says is laid over what is there, also inside wrapped messages."""

from typing import Any, Final

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from lateen.envoy.patches.values import message_class
from lateen.envoy.values import typed

_WHOLE: Final = frozenset(
    {
        "google.protobuf.Duration",
        "google.protobuf.Timestamp",
        "google.protobuf.BoolValue",
        "google.protobuf.UInt32Value",
        "google.protobuf.UInt64Value",
        "google.protobuf.Int32Value",
        "google.protobuf.Int64Value",
        "google.protobuf.DoubleValue",
        "google.protobuf.FloatValue",
        "google.protobuf.StringValue",
        "google.protobuf.BytesValue",
    }
)
"""Messages that are one value: a part of them means nothing."""


def merge(into: Message, patch: Message, *, replaces_lists: bool = False) -> None:
    """Lay the fields that a patch sets over a message of the same type.

    Lists grow, or are replaced; maps get entries. A wrapped message is merged where both have the same type, and
    replaced where they have not.
    """
    for field, value in patch.ListFields():
        if _is_map(field):
            _merge_map(getattr(into, field.name), value, replaces_lists)
        elif field.is_repeated:
            if replaces_lists:
                into.ClearField(field.name)
            getattr(into, field.name).MergeFrom(value)
        elif field.message_type is None:
            setattr(into, field.name, value)
        else:
            _merge_message(into, field.name, value, replaces_lists)


def _merge_message(into: Message, name: str, patch: Message, replaces_lists: bool) -> None:
    there = getattr(into, name)
    if isinstance(patch, AnyMessage):
        _merge_wrapped(there, patch, replaces_lists)
    elif patch.DESCRIPTOR.full_name in _WHOLE:
        there.CopyFrom(patch)
    else:
        there.SetInParent()
        merge(there, patch, replaces_lists=replaces_lists)


def _merge_wrapped(there: Any, patch: AnyMessage, replaces_lists: bool) -> None:
    if there.type_url != patch.type_url:
        there.CopyFrom(patch)
        return
    kind = message_class(patch.type_url.rpartition("/")[2])
    inner = kind.FromString(there.value)
    merge(inner, kind.FromString(patch.value), replaces_lists=replaces_lists)
    there.CopyFrom(typed(inner))


def _merge_map(there: Any, patch: Any, replaces_lists: bool) -> None:
    for key in patch:
        value = patch[key]
        if isinstance(value, AnyMessage):
            _merge_wrapped(there[key], value, replaces_lists)
        elif isinstance(value, Message):
            merge(there[key], value, replaces_lists=replaces_lists)
        else:
            there[key] = value


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
