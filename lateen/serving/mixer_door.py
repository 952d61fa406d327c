"""The door of the Mixer process: gRPC on a unix socket, for the Envoys of the mesh.

A server of our own, because one call costs the one of `grpc.aio` more time than all that Mixer does for it (decision
17). The protocol is in `http2`; here are the socket, the table of services and the tasks of calls.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from lateen.api.status_codes import StatusCode
from lateen.serving.grpc_services import ClientStream, GrpcRefusal, GrpcService, Unary
from lateen.serving.http2.connection import Cancelled, Connection, Message
from lateen.serving.http2.frames import ConnectionFault

MOST_WAITING: Final = 1000
"""How many messages of a stream may wait for their reader; beyond that the stream is ended."""

_log = logging.getLogger(__name__)
_OWNER_ONLY: Final = 0o600


@dataclass(frozen=True, slots=True)
class Methods:
    """All methods of a door by their paths, like `/envoy.service.auth.v3.Authorization/Check`."""

    unary: Mapping[str, Unary]
    streams: Mapping[str, ClientStream]

    @classmethod
    def of(cls, services: Iterable[GrpcService]) -> "Methods":
        """Collect the methods of some services."""
        services = tuple(services)
        return cls(
            {f"/{each.name}/{name}": method for each in services for name, method in each.unary.items()},
            {f"/{each.name}/{name}": method for each in services for name, method in each.streams.items()},
        )


class MixerDoor:
    """Serves a table of services until closed."""

    def __init__(self, services: Iterable[GrpcService]) -> None:
        self._methods = Methods.of(services)
        self._server: asyncio.Server | None = None
        self._open: set[GrpcConnection] = set()

    async def open(self, socket: Path) -> None:
        """Listen; the socket is for this user only."""
        socket.unlink(missing_ok=True)  # noqa: ASYNC240 - takes no time
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: GrpcConnection(self._methods, self._open), str(socket))
        socket.chmod(_OWNER_ONLY)  # noqa: ASYNC240 - takes no time

    async def close(self) -> None:
        """End all calls."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._open):
            connection.close()


@dataclass(slots=True)
class _Reading:
    """A stream that is being read: what waits for its reader, and whether that is all."""

    waiting: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING + 1))

    async def messages(self) -> AsyncIterator[bytes]:
        while (message := await self.waiting.get()) is not None:
            yield message


class GrpcConnection(asyncio.Protocol):
    """One client's connection: calls what it calls for, and writes what comes of it."""

    def __init__(self, methods: Methods, open_connections: "set[GrpcConnection]") -> None:
        self._methods = methods
        self._open = open_connections
        self._connection = Connection()
        self._transport: asyncio.Transport | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._readings: dict[int, _Reading] = {}
        self._waiting: dict[int, bytes] = {}
        self._will_write = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say the settings first."""
        # uvloop's transports are none of asyncio's classes
        self._transport = cast(asyncio.Transport, transport)
        self._open.add(self)
        self._write()

    def data_received(self, data: bytes) -> None:
        """Take in what came; all that can be answered at once goes out in one piece."""
        self._will_write = True
        try:
            for event in self._connection.receive(data):
                if isinstance(event, Message):
                    self._take_message(event)
                elif isinstance(event, Cancelled):
                    self._cancel(event.stream)
                else:
                    self._take_end(event.stream, event.path)
        except ConnectionFault as fault:
            _log.warning("a client broke the protocol: %s", fault)
            self._write()
            self.close()
        else:
            self._write()

    def connection_lost(self, error: Exception | None) -> None:
        """Stop whatever nobody waits for any more."""
        self._open.discard(self)
        self._transport = None
        for stream in tuple(self._tasks):
            self._cancel(stream)

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def _take_message(self, message: Message) -> None:
        unary = self._methods.unary.get(message.path)
        if unary is None:
            self._take_part(message)
        elif message.is_last:
            self._call(message.stream, unary, message.body)
        else:
            self._waiting[message.stream] = message.body

    def _take_part(self, message: Message) -> None:
        """Give a message to the reader of its stream."""
        reading = self._readings.get(message.stream) or self._begin(message.stream, message.path)
        if reading is None:
            return
        if reading.waiting.qsize() >= MOST_WAITING:
            self._cancel(message.stream)
            self._connection.refuse(message.stream, StatusCode.RESOURCE_EXHAUSTED, "messages come faster than are read")
            return
        reading.waiting.put_nowait(message.body)
        if message.is_last:
            reading.waiting.put_nowait(None)

    def _begin(self, stream: int, path: str) -> _Reading | None:
        method = self._methods.streams.get(path)
        if method is None:
            self._connection.refuse(stream, StatusCode.UNIMPLEMENTED, f"there is no method {path}")
            return None
        reading = self._readings[stream] = _Reading()
        self._run(stream, self._answer_later(stream, path, method(reading.messages())))
        return reading

    def _take_end(self, stream: int, path: str) -> None:
        """Note that a caller has said all, some time after its last message or without any."""
        unary, body = self._methods.unary.get(path), self._waiting.pop(stream, None)
        if unary is not None and body is not None:
            self._call(stream, unary, body)
        elif unary is not None:
            self._connection.refuse(stream, StatusCode.INTERNAL, "a call without a message")
        else:
            reading = self._readings.get(stream) or self._begin(stream, path)
            if reading is not None:
                reading.waiting.put_nowait(None)

    def _call(self, stream: int, method: Unary, body: bytes) -> None:
        """Call a method; one that has to wait goes on in a task."""
        try:
            found = method(body)
        except GrpcRefusal as refusal:
            self._connection.refuse(stream, refusal.status, refusal.message)
        except Exception:
            _log.exception("a call failed")
            self._connection.refuse(stream, StatusCode.INTERNAL, "the server failed at this; see mixer.log")
        else:
            if isinstance(found, bytes):
                self._connection.answer(stream, found)
            else:
                self._run(stream, self._answer_later(stream, "", found))

    async def _answer_later(self, stream: int, path: str, answer: Awaitable[bytes]) -> None:
        try:
            self._connection.answer(stream, await answer)
        except GrpcRefusal as refusal:
            self._connection.refuse(stream, refusal.status, refusal.message)
        except Exception:
            _log.exception("a call failed %s", path)
            self._connection.refuse(stream, StatusCode.INTERNAL, "the server failed at this; see mixer.log")
        self._write_soon()

    def _run(self, stream: int, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks[stream] = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda _: self._forget(stream))

    def _forget(self, stream: int) -> None:
        self._tasks.pop(stream, None)
        self._readings.pop(stream, None)

    def _cancel(self, stream: int) -> None:
        self._waiting.pop(stream, None)
        if (task := self._tasks.get(stream)) is not None:
            task.cancel()

    def _write_soon(self) -> None:
        """Write at the end of this turn of the loop, together with other answers."""
        if not self._will_write:
            self._will_write = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._will_write = False
        data = self._connection.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)
