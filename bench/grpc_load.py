"""Load on a gRPC server at a unix socket: the same call again and again, written ahead of time, as cheap as can be."""

import asyncio
import struct
import time
from pathlib import Path
from typing import Final

import hpack

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_WIDEST_WINDOW: Final = 2**31 - 1 - 65_535
_HEADERS, _SETTINGS, _WINDOW_UPDATE, _DATA = 1, 4, 8, 0
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1


NUMBER: Final = b"00000000"
"""Where this stands in a message, each call has a number of its own."""


async def calls_per_second(socket: Path, path: str, message: bytes, *, seconds: float, at_once: int) -> float:
    """Keep so many calls under way for some seconds; returns how many were answered in each."""
    loop = asyncio.get_running_loop()
    _, caller = await loop.create_unix_connection(lambda: _Caller(path, message, at_once), str(socket))
    began = time.monotonic()
    await asyncio.sleep(seconds)
    answered, took = caller.answered, time.monotonic() - began
    caller.close()
    return answered / took


class _Caller(asyncio.Protocol):
    """Makes a call for each that was answered."""

    def __init__(self, path: str, message: bytes, at_once: int) -> None:
        fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "mixer", "te": "trailers"}
        named = [*fields.items(), ("content-type", "application/grpc")]
        encoder = hpack.Encoder()
        self.answered = 0
        self._first = encoder.encode(named)
        self._again = encoder.encode(named)
        self._body = b"\x00" + struct.pack(">I", len(message)) + message
        self._varies = NUMBER in message
        self._at_once = at_once
        self._stream = 1
        self._unread = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        widened = _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WIDEST_WINDOW))
        self._send(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + widened + self._calls(self._at_once))

    def data_received(self, data: bytes) -> None:
        """Count the ends of streams, and call as often again."""
        unread, at, ended = self._unread + data, 0, 0
        while len(unread) - at >= 9:
            length = int.from_bytes(unread[at : at + 3], "big")
            if len(unread) - at - 9 < length:
                break
            kind, flags = unread[at + 3], unread[at + 4]
            if kind == _SETTINGS and not flags & _ACK:
                self._send(_frame(_SETTINGS, _ACK, 0, b""))
            ended += kind == _HEADERS and flags & _END_STREAM
            at += 9 + length
        self._unread = unread[at:]
        self.answered += ended
        if ended:
            self._send(self._calls(ended))

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _calls(self, count: int) -> bytes:
        made = []
        for _ in range(count):
            block = self._first if self._stream == 1 else self._again
            made.append(_frame(_HEADERS, _END_HEADERS, self._stream, block))
            body = self._body.replace(NUMBER, b"%08d" % self._stream) if self._varies else self._body
            made.append(_frame(_DATA, _END_STREAM, self._stream, body))
            self._stream += 2
        return b"".join(made)

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload
