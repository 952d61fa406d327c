"""The node's resolver: it answers the mesh's own names, and relays all other queries to the host's resolvers.

Only we hear the mesh, and only we can reach the host's resolvers. Queries that are relayed are told apart by a
transaction id of our own; an answer must come from the resolver that was asked and repeat the question. A resolver
that keeps silent is passed over for the next one.
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

from lateen.platforms.local import name_table
from lateen.platforms.local.name_table import NameTable

TRY_SECONDS = 2.0
MOST_PENDING = 1024
_HEADER_BYTES = 12
_SERVER_FAILURE = 2
_TCP_SECONDS = 10.0
_RELOAD_SECONDS = 2.0

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
    sent: bytes
    left: list[Resolver]
    asked: Resolver
    timer: asyncio.TimerHandle


class DatagramRelay(asyncio.DatagramProtocol):
    """Answers UDP queries of the mesh, at most 1024 at a time of those for which the host's resolvers are asked."""

    def __init__(self, resolvers: HostResolvers, names: NameTable) -> None:
        self._resolvers = resolvers
        self._names = names
        self._pending: dict[int, _Pending] = {}
        self._towards: dict[Resolver, asyncio.DatagramTransport] = {}
        self._opening: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio's protocol."""
        self._mesh = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, client: Client) -> None:
        """A query from the mesh."""
        known = self._names.answer(data)
        if known is not None:
            self._mesh.sendto(known, client)
            return
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
        if pending is None or pending.asked != resolver or not repeats_question(pending.sent, data):
            return
        self._forget(number)
        self._mesh.sendto(answer_to(pending.query, pending.sent, data), pending.client)

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
        sent = number.to_bytes(2, "big") + self._names.query_for(query)[2:]
        self._pending[number] = _Pending(client, query, sent, rest, resolver, timer)
        if resolver in self._towards:
            self._towards[resolver].sendto(sent)
        else:
            opening = asyncio.ensure_future(self._open_and_send(resolver, sent))
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


async def serve_datagrams(mesh: socket.socket, resolvers: HostResolvers, names: NameTable) -> DatagramRelay:
    """Starts to answer what arrives on a bound UDP socket."""
    mesh.setblocking(False)
    _, relay = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: DatagramRelay(resolvers, names), sock=mesh
    )
    return relay


async def serve_streams(mesh: socket.socket, resolvers: HostResolvers, names: NameTable) -> asyncio.Server:
    """Starts to answer queries over TCP, which come when an answer is too long for a datagram."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TCP_SECONDS):
                while query := await _read_message(reader):
                    known = names.answer(query, name_table.STREAM_BYTES)
                    _write_message(writer, known or await _relayed(query, names, resolvers.current()))
                    await writer.drain()
        except (OSError, TimeoutError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(converse, sock=mesh)


def answer_to(query: bytes, sent: bytes, answer: bytes, most_bytes: int = name_table.DATAGRAM_BYTES) -> bytes:
    """What a resolver's answer to `sent` means for the query that it was sent for."""
    if repeats_question(query, sent):
        return query[:2] + answer[2:]
    return name_table.restated(query, answer, most_bytes) or server_failure(query)


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


async def _relayed(query: bytes, names: NameTable, resolvers: Sequence[Resolver]) -> bytes:
    """What the first resolver that can be reached says to a query over TCP."""
    sent = names.query_for(query)
    for address, port in resolvers:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(TRY_SECONDS):
                answer = await _asked(sent, address, port)
            if answer:
                return answer_to(query, sent, answer, name_table.STREAM_BYTES)
    return server_failure(query)


async def _asked(query: bytes, address: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        _write_message(writer, query)
        return await _read_message(reader)
    finally:
        writer.close()


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    """The next message of a stream; empty where there is none, or none that is whole and has a header."""
    try:
        size = int.from_bytes(await reader.readexactly(2), "big")
        message = await reader.readexactly(size)
    except asyncio.IncompleteReadError:
        return b""
    return message if size >= _HEADER_BYTES else b""


def _write_message(writer: asyncio.StreamWriter, message: bytes) -> None:
    writer.write(len(message).to_bytes(2, "big") + message)


def _is_address(text: str) -> bool:
    try:
        return isinstance(ip_address(text), IPv4Address | IPv6Address)
    except ValueError:
        return False
