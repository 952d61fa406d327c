"""The relay of name queries: from the mesh, where only we hear them, to the host's resolvers, which only we can reach.

Queries are told apart by a transaction id of our own; an answer must come from the resolver that was asked and repeat
the question. A resolver that keeps silent is passed over for the next one.
"""

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import cast

TRY_SECONDS = 2.0
MOST_PENDING = 1024
_HEADER_BYTES = 12
_SERVER_FAILURE = 2
_TCP_SECONDS = 10.0
_RELOAD_SECONDS = 2.0
_CHUNK_BYTES = 65536

Resolver = tuple[str, int]
Client = tuple[str, int]


def resolvers_in(text: str) -> tuple[Resolver, ...]:
    """The name servers that a resolv.conf names, in order."""
    words = (line.split() for line in text.splitlines())
    named = (line[1].partition("%")[0] for line in words if len(line) > 1 and line[0] == "nameserver")
    return tuple((address, 53) for address in named if _is_address(address))


class HostResolvers:
    """The resolvers to ask: those given, or else what /etc/resolv.conf says, read again when it changes."""

    def __init__(self, given: Sequence[Resolver] = (), file: Path = Path("/etc/resolv.conf")) -> None:
        self._resolvers = tuple(given)
        self._file = None if given else file
        self._stamp: tuple[int, int] | None = None
        self._fresh_until = 0.0

    def current(self) -> tuple[Resolver, ...]:
        """The resolvers in order of preference; looks at the file at most every two seconds."""
        if self._file is not None and time.monotonic() >= self._fresh_until:
            self._fresh_until = time.monotonic() + _RELOAD_SECONDS
            with contextlib.suppress(OSError):
                found = self._file.stat()
                if (found.st_mtime_ns, found.st_ino) != self._stamp:
                    self._stamp = (found.st_mtime_ns, found.st_ino)
                    self._resolvers = resolvers_in(self._file.read_text())
        return self._resolvers


@dataclass(slots=True)
class _Pending:
    client: Client
    query: bytes
    left: list[Resolver]
    asked: Resolver
    timer: asyncio.TimerHandle


class DatagramRelay(asyncio.DatagramProtocol):
    """Answers UDP queries of the mesh with what the host's resolvers say; at most 1024 at a time."""

    def __init__(self, resolvers: HostResolvers) -> None:
        self._resolvers = resolvers
        self._pending: dict[int, _Pending] = {}
        self._towards: dict[Resolver, asyncio.DatagramTransport] = {}
        self._opening: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio's protocol."""
        self._mesh = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, client: Client) -> None:
        """A query from the mesh."""
        left = list(self._resolvers.current())
        if len(data) < _HEADER_BYTES or len(self._pending) >= MOST_PENDING:
            return
        if not left:
            self._mesh.sendto(server_failure(data), client)
            return
        self._ask(client, data, left)

    def error_received(self, error: Exception) -> None:
        """A client went away before its answer came; it will not miss it."""

    def answered(self, resolver: Resolver, data: bytes) -> None:
        """A datagram from one of the resolvers."""
        number = int.from_bytes(data[:2], "big")
        pending = self._pending.get(number)
        if pending is None or pending.asked != resolver or not repeats_question(pending.query, data):
            return
        self._forget(number)
        self._mesh.sendto(pending.query[:2] + data[2:], pending.client)

    def refused(self, resolver: Resolver) -> None:
        """Nobody listens there: whoever waits for that resolver goes on to the next at once."""
        for number, pending in tuple(self._pending.items()):
            if pending.asked == resolver:
                self._no_answer(number)

    def close(self) -> None:
        """Stops relaying."""
        for number in tuple(self._pending):
            self._forget(number)
        for transport in (self._mesh, *self._towards.values()):
            transport.close()

    def _ask(self, client: Client, query: bytes, left: list[Resolver]) -> None:
        number = secrets.randbelow(65536)
        while number in self._pending:
            number = secrets.randbelow(65536)
        resolver, rest = left[0], left[1:]
        timer = asyncio.get_running_loop().call_later(TRY_SECONDS, self._no_answer, number)
        self._pending[number] = _Pending(client, query, rest, resolver, timer)
        renumbered = number.to_bytes(2, "big") + query[2:]
        if resolver in self._towards:
            self._towards[resolver].sendto(renumbered)
        else:
            opening = asyncio.ensure_future(self._open_and_send(resolver, renumbered))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    def _no_answer(self, number: int) -> None:
        pending = self._forget(number)
        if pending.left:
            self._ask(pending.client, pending.query, pending.left)
        else:
            self._mesh.sendto(server_failure(pending.query), pending.client)

    def _forget(self, number: int) -> _Pending:
        pending = self._pending.pop(number)
        pending.timer.cancel()
        return pending

    async def _open_and_send(self, resolver: Resolver, data: bytes) -> None:
        # an unreachable resolver is like a silent one: the timer goes on to the next
        with contextlib.suppress(OSError):
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Answers(self, resolver), remote_addr=resolver
            )
            if resolver in self._towards:
                transport.close()
            self._towards.setdefault(resolver, transport).sendto(data)


class _Answers(asyncio.DatagramProtocol):
    """The socket towards one resolver; being connected, it hears nobody else."""

    def __init__(self, relay: DatagramRelay, resolver: Resolver) -> None:
        self._relay = relay
        self._resolver = resolver

    def datagram_received(self, data: bytes, _: Client) -> None:
        self._relay.answered(self._resolver, data)

    def error_received(self, error: Exception) -> None:
        self._relay.refused(self._resolver)


async def serve_datagrams(mesh: socket.socket, resolvers: HostResolvers) -> DatagramRelay:
    """Starts to relay what arrives on a bound UDP socket."""
    mesh.setblocking(False)
    _, relay = await asyncio.get_running_loop().create_datagram_endpoint(lambda: DatagramRelay(resolvers), sock=mesh)
    return relay


async def serve_streams(mesh: socket.socket, resolvers: HostResolvers) -> asyncio.Server:
    """Starts to relay queries over TCP, which come when an answer is too long for a datagram."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TCP_SECONDS):
                await _relay_stream(reader, writer, resolvers.current())
        except (OSError, TimeoutError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(relay, sock=mesh)


def server_failure(query: bytes) -> bytes:
    """The answer to a query for which nobody could be asked."""
    flags = (query[2] | 0x80, 0x80 | _SERVER_FAILURE)
    return query[:2] + bytes(flags) + query[4:6] + bytes(6) + question(query)


def question(message: bytes) -> bytes:
    """The bytes of the first question: its name in labels, its type and class."""
    place = _HEADER_BYTES
    while place < len(message) and message[place]:
        place += message[place] + 1
    return message[_HEADER_BYTES : place + 5]


def repeats_question(query: bytes, answer: bytes) -> bool:
    """Whether an answer belongs to a query; letters may change case, as some resolvers do."""
    return question(answer).lower() == question(query).lower()


async def _relay_stream(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, resolvers: Sequence[Resolver]
) -> None:
    for address, port in resolvers:
        try:
            async with asyncio.timeout(TRY_SECONDS):
                answers, queries = await asyncio.open_connection(address, port)
        except (OSError, TimeoutError):
            continue
        try:
            await asyncio.gather(_copy(reader, queries), _copy(answers, writer))
        finally:
            queries.close()
        return


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while chunk := await source.read(_CHUNK_BYTES):
        target.write(chunk)
        await target.drain()
    with contextlib.suppress(OSError):
        target.write_eof()


def _is_address(text: str) -> bool:
    try:
        return isinstance(ip_address(text), IPv4Address | IPv6Address)
    except ValueError:
        return False
