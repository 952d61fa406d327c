"""The ways between the host's network and the mesh's, through real Envoys."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lateen.platforms.local import edge, procfs
from lateen.platforms.local.edge_config import edge_resources, node_resources
from lateen.platforms.local.protocol import PublishedPort, Refused

from .live_mesh import LiveMesh, address, live_mesh, until

ANSWER = """
import socket, sys
listening = socket.create_server(("", 9080))
print("listening", flush=True)
while True:
    connection, _ = listening.accept()
    connection.sendall(sys.argv[1].encode())
    connection.close()
"""


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


async def host_call(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return (await asyncio.wait_for(reader.read(100), 5)).decode()
    except ConnectionError:
        return "reset"
    finally:
        writer.close()


@asynccontextmanager
async def host_server(answer: bytes) -> AsyncIterator[int]:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "0.0.0.0", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def serve_in(mesh: LiveMesh, number: int) -> str:
    sandbox = await mesh.sandbox(number)
    server = await mesh.start(sandbox, mesh.python, "-c", ANSWER, sandbox)
    await until(lambda: "listening" in Path(server.log).read_text(), 10)
    return sandbox


def own_address() -> str:
    with socket.socket(type=socket.SOCK_DGRAM) as looking:
        looking.connect(("192.0.2.1", 9))
        return str(looking.getsockname()[0])


def test_inside_comes_before_outside_and_names_follow_the_port() -> None:
    ports = (PublishedPort(host_port=8080, targets=("10.244.1.1:80", "10.244.1.2:80")),)
    directory = Path("/run/lateen/m/edge")
    assert list(node_resources(ports, directory)) == [
        "node-endpoints-127.0.0.1-8080.json",
        "node-clusters.json",
        "node-listeners.json",
    ]
    (listener,) = edge_resources(ports, directory)["edge-listeners.json"]["resources"]
    assert listener["name"] == "127.0.0.1-8080"
    assert listener["address"] == {"socket_address": {"address": "127.0.0.1", "port_value": 8080}}


def test_ports_and_targets_that_make_no_sense_are_refused() -> None:
    port = PublishedPort(host_port=8080, targets=("10.244.1.1:80",))
    edge.check([port, PublishedPort(host_port=8081, targets=())])
    with pytest.raises(Refused, match=r"127\.0\.0\.1:8080 is asked for twice"):
        edge.check([port, port])
    with pytest.raises(Refused, match="target 'reviews:80' of 127"):
        edge.check([PublishedPort(host_port=8080, targets=("reviews:80",))])


@pytest.mark.live
async def test_published_ports_lead_to_their_targets_and_change_live(mesh: LiveMesh) -> None:
    for number in (1, 2):
        await serve_in(mesh, number)
    port = free_port()
    targets = tuple(f"{address(number)}:9080" for number in (1, 2))
    (outcome,) = await mesh.client.set_published_ports([PublishedPort(host_port=port, targets=targets)])
    assert outcome.failure is None
    assert {await host_call(port) for _ in range(10)} == {"w1", "w2"}

    other = PublishedPort(host_port=free_port(), targets=targets[:1])
    await mesh.client.set_published_ports([PublishedPort(host_port=port, targets=targets[1:]), other])
    await asyncio.sleep(0.3)
    assert {await host_call(port) for _ in range(6)} == {"w2"}
    assert {await host_call(other.host_port) for _ in range(6)} == {"w1"}

    await mesh.client.set_published_ports([])
    await asyncio.sleep(0.3)
    with pytest.raises(ConnectionRefusedError):
        await host_call(port)


@pytest.mark.live
async def test_both_ways_come_back_after_their_proxies_were_killed(mesh: LiveMesh) -> None:
    sandbox = await serve_in(mesh, 1)
    port = free_port()
    await mesh.client.set_published_ports([PublishedPort(host_port=port, targets=(f"{address(1)}:9080",))])
    assert await host_call(port) == "w1"
    killed = [pid for pid in procfs.pids() if str(mesh.directory / "edge") in procfs.command(pid)]
    assert len(killed) == 2
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    async with host_server(b"from outside") as outside:
        for _ in range(100):
            with contextlib.suppress(OSError):
                if (await host_call(port), await mesh.call(sandbox, own_address(), outside)) == ("w1", "from outside"):
                    return
            await asyncio.sleep(0.05)
    raise AssertionError("the way in or out did not come back")


@pytest.mark.live
async def test_a_port_that_is_taken_is_named_with_its_holder_and_others_open(mesh: LiveMesh) -> None:
    async with host_server(b"mine") as taken:
        ports = [PublishedPort(host_port=port, targets=()) for port in (taken, free_port())]
        refused, opened = await mesh.client.set_published_ports(ports)
    assert opened.failure is None
    assert refused.failure is not None
    assert refused.failure.code == "address_in_use"
    assert refused.failure.message.startswith(f"127.0.0.1:{taken} is in use")


@pytest.mark.live
async def test_a_port_of_udp_that_is_taken_is_named_and_one_of_its_own_is_opened_again(mesh: LiveMesh) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        number = free_port()
        taken.bind(("127.0.0.1", number))
        (refused,) = await mesh.client.set_published_ports([PublishedPort(host_port=number, targets=(), also_udp=True)])
    assert refused.failure is not None
    assert (refused.failure.code, refused.failure.message.split(":")[1].split(" is")[0]) == (
        "address_in_use",
        f"{number} of UDP",
    )
    for also_udp in (True, False, True):
        (opened,) = await mesh.client.set_published_ports(
            [PublishedPort(host_port=number, targets=(), also_udp=also_udp)]
        )
        assert opened.failure is None


@pytest.mark.live
async def test_workloads_reach_the_outside_and_the_hosts_own_loopback(mesh: LiveMesh) -> None:
    sandbox = await mesh.sandbox(1)
    async with host_server(b"from outside") as port:
        for _ in range(100):
            if await mesh.call(sandbox, own_address(), port) == "from outside":
                break
            # the node's proxies are not yet up
            await asyncio.sleep(0.05)
        assert await mesh.call("mesh", own_address(), port) == "from outside"
        assert await mesh.call(sandbox, "host.lateen.internal", port) == "from outside"
    assert await mesh.call(sandbox, "10.96.7.7", 80) == "ConnectionRefusedError"


class Responder(asyncio.DatagramProtocol):
    """A name server that knows one address for every name."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        self.transport.sendto(answer_to(data), client)  # type: ignore[attr-defined]


def answer_to(query: bytes) -> bytes:
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x0a\0\4" + socket.inet_aton("192.0.2.7")
    question = query[12 : query.index(b"\0", 12) + 5]
    asks_ipv4 = question[-4:-2] == b"\0\1"
    counts = b"\0\1" + (b"\0\1" if asks_ipv4 else b"\0\0") + bytes(4)
    return query[:2] + b"\x81\x80" + counts + question + (record if asks_ipv4 else b"")


@pytest.mark.live
async def test_names_are_asked_of_the_hosts_resolvers(user: str) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Responder, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    # the first resolver does not answer
    async with live_mesh(user, "--resolver", "127.0.0.1:9", "--resolver", f"127.0.0.1:{port}") as mesh:
        sandbox = await mesh.sandbox(1)
        assert (await mesh.inside(sandbox, "getent", "ahostsv4", "lateen.example")).startswith("192.0.2.7 ")
    transport.close()
