"""How resources stand in a response: bytes that are joined, never built again.

This is the protobuf wire format, as far as it takes to join messages that are serialized already.
"""

import hashlib
from typing import Final

_VERSION_BYTES: Final = 8


def version(body: bytes) -> str:
    """Return the digest of a serialized resource."""
    return hashlib.blake2b(body, digest_size=_VERSION_BYTES).hexdigest()


def frame(name: str, url: str, digest: str, body: bytes) -> bytes:
    """Frame a serialized resource as an entry of `DeltaDiscoveryResponse.resources`."""
    wrapped = field_of(1, url.encode()) + field_of(2, body)
    entry = field_of(1, digest.encode()) + field_of(2, wrapped) + field_of(3, name.encode())
    return field_of(2, entry)


def field_of(number: int, content: bytes) -> bytes:
    """Frame bytes as a field of a message: a submessage, a text or one entry of a repeated one."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Encode a number that is not negative in groups of seven bits, the lowest first."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
