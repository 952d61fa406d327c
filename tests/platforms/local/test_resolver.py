"""The name relay."""

import asyncio
import os
import socket
import time
from pathlib import Path

import pytest

from lateen.platforms.local import resolver
from lateen.platforms.local.name_table import NameTable, read_question
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


async def ask(*resolvers: tuple[str, int], query: bytes = QUERY, names: NameTable | None = None) -> bytes:
    inside = socket.socket(type=socket.SOCK_DGRAM)
    inside.bind(("127.0.0.1", 0))
    place = inside.getsockname()
    relay = await resolver.serve_datagrams(inside, HostResolvers(resolvers), names or NameTable())
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        await loop.sock_connect(asking, place)
        try:
            await loop.sock_sendall(asking, query)
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


async def test_a_name_of_the_mesh_is_answered_without_asking_anybody() -> None:
    names = NameTable()
    names.replace("mesh.test", {"lateen.example": ("10.96.0.5",)})
    answer = await ask(names=names)
    assert answer[:4] == b"\x12\x34\x85\x80"
    assert answer.endswith(b"\x0a\x60\x00\x05")


async def test_an_alias_is_asked_under_its_other_name_and_answered_under_its_own() -> None:
    transport, place = await name_server()
    names = NameTable()
    names.replace("mesh.test", {}, {"store.mesh.test": "lateen.example"})
    query = QUERY[:12] + b"\x05store\x04mesh\x04test\x00\x00\x01\x00\x01"
    answer = await ask(place, query=query, names=names)
    assert answer[:2] == b"\x12\x34"
    asked = read_question(query)
    assert asked is not None
    assert answer[12:] == query[12 : asked.end]
    transport.close()


async def test_queries_over_tcp_are_answered_or_relayed_too() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        await reader.readexactly(size)
        writer.write(b"\x00\x10" + QUERY[:2] + b"from elsewhere")
        writer.close()

    names = NameTable()
    names.replace("mesh.test", {"many.mesh.test": [f"10.244.1.{number}" for number in range(100)]})
    upstream = await asyncio.start_server(serve, "127.0.0.1", 0)
    inside = socket.create_server(("127.0.0.1", 0))
    relay = await resolver.serve_streams(inside, HostResolvers([upstream.sockets[0].getsockname()]), names)
    reader, writer = await asyncio.open_connection(*inside.getsockname())
    own = QUERY[:12] + b"\x04many\x04mesh\x04test\x00\x00\x01\x00\x01"
    for query in (QUERY, own):
        writer.write(len(query).to_bytes(2, "big") + query)
    assert await asyncio.wait_for(reader.readexactly(18), 5) == b"\x00\x10" + QUERY[:2] + b"from elsewhere"
    size = int.from_bytes(await asyncio.wait_for(reader.readexactly(2), 5), "big")
    assert size == len(own) + 100 * 16
    writer.write(b"\x00\x03???")
    await reader.readexactly(size)
    assert await asyncio.wait_for(reader.read(), 5) == b""
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
