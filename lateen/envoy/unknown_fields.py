"""Fields that the data plane knows and the generated messages do not yet: written as the wire has them."""

from typing import Any


def set_flag(message: Any, number: int) -> None:
    """Set a field of type bool."""
    message.MergeFromString(_varint(number << 3) + b"\x01")


def _varint(value: int) -> bytes:
    """Encode a number as protobuf does: seven bits a byte, the lowest first."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
