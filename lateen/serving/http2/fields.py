"""Header fields: a caller's are decoded, ours are a handful of constant blocks (HPACK, RFC 7541).

Callers are told to keep no table of fields (`TABLE_BYTES`). Proxies send names of their own with each call, such as
those of traces: what is in no table can be passed over, and most of a call's fields are nobody's business here.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote

import hpack
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

MOST_HEADER_BYTES: Final = 64 * 1024
TABLE_BYTES: Final = 0
_FIRST_TABLE_BYTES: Final = 4096
_MOST_MESSAGE: Final = 1024
_PRINTABLE: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
_STATIC: Final = tuple((name.decode(), value.decode()) for name, value in HeaderTable.STATIC_TABLE)
_LONGEST_NUMBER: Final = 5


class Malformed(Exception):
    """A block of fields that cannot be decoded, after which nothing on the connection can be."""


class Request(NamedTuple):
    """What of a request's fields a gRPC server looks at; `encoding` says how messages may be compressed."""

    method: str
    path: str
    content_type: str
    encoding: str


class Decoder:
    """Decodes the blocks of one connection, in order.

    A caller may use the table that it has at first until it hears that there is none: until then, a complete decoder
    is needed.
    """

    def __init__(self) -> None:
        self._first = hpack.Decoder(max_header_list_size=MOST_HEADER_BYTES)
        self._first.max_allowed_table_size = _FIRST_TABLE_BYTES
        self._has_table = True

    def decode(self, block: bytes) -> Request:
        """Return the request that a block says. Raises `Malformed`."""
        if not self._has_table:
            return _request(wanted_fields(block))
        try:
            found = {str(name): str(value) for name, value in self._first.decode(block)}
        except (hpack.HPACKError, UnicodeDecodeError) as error:
            raise Malformed(str(error)) from None
        self._has_table = self._first.header_table.maxsize > TABLE_BYTES
        return _request(found)


def wanted_fields(block: bytes) -> dict[str, str]:
    """Return the fields of a block that a server looks at, where no field is in a table but the one that all know."""
    found: dict[str, str] = {}
    at, end = 0, len(block)
    try:
        while at < end:
            first = block[at]
            if first & 0x80:
                number, at = _number(block, at, 0x7F)
                name, value = _known(number)
                if name in _WANTED:
                    found[name] = value
                continue
            if first & 0xE0 == 0x20:
                size, at = _number(block, at, 0x1F)
                if size > TABLE_BYTES:
                    raise Malformed("a table of fields is larger than allowed")
                continue
            number, at = _number(block, at, 0x3F if first & 0x40 else 0x0F)
            if number:
                name = _known(number)[0]
            else:
                raw, is_huffman, at = _string(block, at)
                name = _text(raw, is_huffman)
            raw, is_huffman, at = _string(block, at)
            if name in _WANTED:
                found[name] = _text(raw, is_huffman)
    except IndexError:
        raise Malformed("a block of fields ends too early") from None
    return found


_WANTED: Final = frozenset((":method", ":path", "content-type", "grpc-encoding"))


def _request(fields: Mapping[str, str]) -> Request:
    return Request(
        fields.get(":method", ""),
        fields.get(":path", ""),
        fields.get("content-type", ""),
        fields.get("grpc-encoding", "identity"),
    )


def _known(number: int) -> tuple[str, str]:
    if not 0 < number <= len(_STATIC):
        raise Malformed(f"there is no field {number}")
    return _STATIC[number - 1]


def _number(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """Read a number whose first bits share a byte with something else; returns it, and where it ends."""
    number = block[at] & mask
    at += 1
    if number < mask:
        return number, at
    for shift in range(0, 7 * _LONGEST_NUMBER, 7):
        byte = block[at]
        at += 1
        number += (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise Malformed("a number is too long")


def _string(block: bytes, at: int) -> tuple[bytes, bool, int]:
    """Read a string as it is on the wire; returns it, whether it is compressed, and where it ends."""
    is_huffman = bool(block[at] & 0x80)
    length, at = _number(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise Malformed("a string ends after its block")
    return block[at:end], is_huffman, end


@lru_cache(maxsize=1024)
def _text(raw: bytes, is_huffman: bool) -> str:
    """Return a string as text; the same few come again and again."""
    try:
        return str(decode_huffman(raw).decode() if is_huffman else raw.decode())
    except (hpack.HPACKError, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from None


def _literal(name: str, value: str) -> bytes:
    """Write a field that neither side shall remember."""
    encoded = value.encode("ascii")
    return b"\x00" + _length(len(name)) + name.encode("ascii") + _length(len(encoded)) + encoded


def _length(number: int) -> bytes:
    """Write the length of a string that is not compressed."""
    if number < 127:
        return bytes((number,))
    number -= 127
    written = bytearray((127,))
    while number >= 128:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


_STATUS_200: Final = b"\x88"
RESPONSE: Final = _STATUS_200 + _literal("content-type", "application/grpc")
"""The fields before an answer."""

NOT_GRPC: Final = b"\x08\x03415"
"""The only field of the answer to what is no gRPC: the status 415, by the name of the eighth field that all know."""


@lru_cache(maxsize=256)
def trailers(status: int, message: str = "") -> bytes:
    """Write the fields after an answer, or instead of one."""
    quoted = quote(message[:_MOST_MESSAGE], safe=_PRINTABLE)
    return _literal("grpc-status", str(status)) + (_literal("grpc-message", quoted) if quoted else b"")


OK: Final = trailers(0)
