"""Frames of HTTP/2: how they are told apart on the wire, and how ours are written (RFC 9113 §4, §6)."""

import struct
from enum import IntEnum
from typing import Final, NamedTuple

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_BYTES: Final = 9
MOST_FRAME_BYTES: Final = 16_384
LARGEST_WINDOW: Final = 2**31 - 1
INITIAL_WINDOW: Final = 65_535

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITY: Final = 0x20

_HEADER: Final = struct.Struct(">HBBBI")
_SETTING: Final = struct.Struct(">HI")
_NUMBER: Final = struct.Struct(">I")
_TWO_NUMBERS: Final = struct.Struct(">II")


class Type(IntEnum):
    """Types of frames; others are passed over."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Code(IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class ConnectionFault(Exception):
    """The peer broke the rules of the protocol: the connection must end once what is to be sent has gone."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


class Setting(IntEnum):
    """The settings that this side reads or says."""

    HEADER_TABLE_SIZE = 1
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class FrameHeader(NamedTuple):
    """The nine bytes before a frame's payload."""

    length: int
    type: int
    flags: int
    stream: int


def read_header(data: bytes | bytearray, at: int) -> FrameHeader:
    """Read the header of the frame at a position."""
    high, low, kind, flags, stream = _HEADER.unpack_from(data, at)
    return FrameHeader(high << 8 | low, kind, flags, stream & LARGEST_WINDOW)


def unpadded(header: FrameHeader, payload: bytes) -> bytes:
    """Return a payload without its padding. Raises `ConnectionFault` where there is more padding than payload."""
    if not header.flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(Code.PROTOCOL_ERROR, "a frame that is padding only")
    return payload[1 : len(payload) - payload[0]]


def header(length: int, kind: int, flags: int, stream: int) -> bytes:
    """Write the nine bytes before a payload."""
    return _HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream)


def settings(**values: int) -> bytes:
    """Write a SETTINGS frame; names as in `Setting`, in lower case."""
    payload = b"".join(_SETTING.pack(Setting[name.upper()], value) for name, value in values.items())
    return header(len(payload), Type.SETTINGS, 0, 0) + payload


def window_update(stream: int, increment: int) -> bytes:
    """Write a WINDOW_UPDATE frame."""
    return header(4, Type.WINDOW_UPDATE, 0, stream) + _NUMBER.pack(increment)


def rst_stream(stream: int, code: Code) -> bytes:
    """Write a RST_STREAM frame."""
    return header(4, Type.RST_STREAM, 0, stream) + _NUMBER.pack(code)


def goaway(last_stream: int, code: Code) -> bytes:
    """Write a GOAWAY frame."""
    return header(8, Type.GOAWAY, 0, 0) + _TWO_NUMBERS.pack(last_stream, code)


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Read the pairs of a SETTINGS frame, whose length must be a multiple of six."""
    return list(_SETTING.iter_unpack(payload))


def read_number(payload: bytes) -> int:
    """Read the 31 bits of a WINDOW_UPDATE or a RST_STREAM frame."""
    number: int = _NUMBER.unpack(payload)[0]
    return number & LARGEST_WINDOW


SETTINGS_ACK: Final = header(0, Type.SETTINGS, ACK, 0)
