"""The name relay."""

import asyncio
import os
import socket
import time
from pathlib import Path

import pytest

from lateen.platforms.local import resolver
from lateen.platforms.local.resolver import HostResolvers

QUERY = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06lateen\x07example\x00\x00\x01\x00\x01"


class NameServer(asyncio.DatagramProtocol):
    """Repeats the question as its answer, perhaps after a wrong one."""

    def __init__(self, lie: bytes = b"") -> None:
        self.lie = lie

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        if self.lie:
            self.transport.sendto(data.replace(b"lateen", self.lie), client)  # type: ignore[attr-defined]
        self.transport.sendto(data[:2] + b"\x81\x80" + data[4:], client)  # type: ignore[attr-defined]


async def ask(*resolvers: tuple[str, int]) -> bytes:
    inside = socket.socket(type=socket.SOCK_DGRAM)
    inside.bind(("127.0.0.1", 0))
    place = inside.getsockname()
    relay = await resolver.serve_datagrams(inside, HostResolvers(resolvers))
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        await loop.sock_connect(asking, place)
        try:
            await loop.sock_sendall(asking, QUERY)
            return await asyncio.wait_for(loop.sock_recv(asking, 512), 8)
        finally:
            relay.close()


async def name_server(lie: bytes = b"") -> tuple[asyncio.BaseTransport, tuple[str, int]]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(lie), local_addr=("127.0.0.1", 0)
    )
    return transport, transport.get_extra_info("sockname")


async def test_an_answer_comes_back_under_the_id_of_the_query() -> None:
    transport, place = await name_server()
    assert await ask(place) == QUERY[:2] + b"\x81\x80" + QUERY[4:]
    transport.close()


async def test_an_answer_to_another_question_is_not_believed() -> None:
    transport, place = await name_server(lie=b"mallet")
    assert (await ask(place))[2:4] == b"\x81\x80"
    transport.close()


async def test_a_resolver_that_is_not_there_is_passed_over_at_once() -> None:
    transport, place = await name_server()
    with socket.socket(type=socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = closed.getsockname()
    begin = asyncio.get_running_loop().time()
    assert (await ask(nobody, place))[2:4] == b"\x81\x80"
    assert asyncio.get_running_loop().time() - begin < resolver.TRY_SECONDS
    assert (await ask(nobody))[3] & 0x0F == 2, "server failure"
    transport.close()


async def test_queries_over_tcp_are_relayed_too() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"long " + await reader.readexactly(5))
        writer.close()

    upstream = await asyncio.start_server(serve, "127.0.0.1", 0)
    inside = socket.create_server(("127.0.0.1", 0))
    relay = await resolver.serve_streams(inside, HostResolvers([upstream.sockets[0].getsockname()]))
    reader, writer = await asyncio.open_connection(*inside.getsockname())
    writer.write(b"query")
    assert await asyncio.wait_for(reader.read(), 5) == b"long query"
    for each in (writer, relay, upstream):
        each.close()


def test_resolv_conf_is_read_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# ours\nnameserver 192.0.2.1\nsearch a.example\nnameserver fe80::1%eth0\nnameserver nonsense\n")
    resolvers = HostResolvers(file=file)
    assert resolvers.current() == (("192.0.2.1", 53), ("fe80::1", 53))
    file.write_text("nameserver 192.0.2.2\n")
    os.utime(file, (1, 1))
    monkeypatch.setattr(time, "monotonic", lambda: 1e9)
    assert resolvers.current() == (("192.0.2.2", 53),)
