"""Messages of gRPC in a stream of bytes: a byte tells whether one is compressed, four say its length, then it comes."""

import zlib
from typing import Final

from lateen.api.status_codes import StatusCode
from lateen.serving.grpc_services import MOST_MESSAGE_BYTES, GrpcRefusal

_PREFIX_BYTES: Final = 5
_COMPRESSIONS: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


def framed(message: bytes) -> bytes:
    """Write a message as it is."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def cut(incoming: bytearray, encoding: str) -> list[tuple[bytes, bool]]:
    """Take the messages that are complete off what has come; each with whether nothing stands behind it.

    Raises `GrpcRefusal` for one that is too large, or not compressed as the caller has said.
    """
    if len(incoming) < _PREFIX_BYTES + _size(incoming, 0):
        return []
    data, at = bytes(incoming), 0
    found: list[tuple[bytes, bool]] = []
    while len(data) - at >= _PREFIX_BYTES:
        end = at + _PREFIX_BYTES + _size(data, at)
        if len(data) < end:
            break
        body = data[at + _PREFIX_BYTES : end]
        found.append((_plain(body, encoding) if data[at] else body, end == len(data)))
        at = end
    del incoming[:at]
    return found


def _size(data: bytes | bytearray, at: int) -> int:
    """Read the length of the message that begins there, as far as it has come."""
    size = int.from_bytes(data[at + 1 : at + _PREFIX_BYTES], "big") if len(data) - at >= _PREFIX_BYTES else 0
    if size > MOST_MESSAGE_BYTES:
        raise GrpcRefusal(StatusCode.RESOURCE_EXHAUSTED, f"a message is over {MOST_MESSAGE_BYTES} bytes")
    return size


def _plain(body: bytes, encoding: str) -> bytes:
    """Return a message as it was before compression, however large it claims to become."""
    if encoding == "identity":
        return body
    inflating = zlib.decompressobj(_COMPRESSIONS[encoding]) if encoding in _COMPRESSIONS else None
    try:
        found = inflating.decompress(body, MOST_MESSAGE_BYTES) if inflating is not None else b""
    except zlib.error:
        inflating = None
    if inflating is None or not inflating.eof:
        raise GrpcRefusal(StatusCode.INTERNAL, f"a message is not compressed as {encoding}")
    return found
