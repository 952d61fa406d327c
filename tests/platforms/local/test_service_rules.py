"""Service addresses without a sidecar: the words of the rules, and what they do to real connections."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from lateen.platforms.local.protocol import Interception, MeshNames, ProcessState, Refused, ServiceRoute
from lateen.platforms.local.service_rules import MOST_ELEMENTS, service_rules

from .live_mesh import LiveMesh, address, until
from .test_supervisor import resident_megabytes

VIP = "10.96.0.5"

WHO = """
import socket, sys, threading
name, port = sys.argv[1], int(sys.argv[2])
def tcp():
    listening = socket.create_server(("0.0.0.0", port))
    while True:
        connection, peer = listening.accept()
        connection.sendall(f"{name} {peer[0]}".encode())
        connection.close()
def udp():
    listening = socket.socket(type=socket.SOCK_DGRAM)
    listening.bind(("0.0.0.0", port))
    while True:
        _, peer = listening.recvfrom(100)
        listening.sendto(f"{name} {peer[0]}".encode(), peer)
threading.Thread(target=tcp).start()
threading.Thread(target=udp).start()
print("listening", flush=True)
"""

CALLS = """
import socket, sys
kind, address, port = sys.argv[1:]
for _ in range(16):
    with socket.socket(type=socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as calling:
        calling.settimeout(2)
        try:
            calling.connect((address, int(port)))
            calling.send(b"?")
            print(calling.recv(100).decode())
        except OSError as error:
            print(type(error).__name__)
"""


def test_a_service_leads_to_one_of_its_targets() -> None:
    (rules,) = service_rules([ServiceRoute(address=VIP, port=8000, targets=("10.244.1.2:80", "10.244.1.3:81"))], 1)
    table = "ip lateen_services_1"
    assert rules.splitlines()[:2] == [f"add table {table}", f"delete table {table}"]
    targets = f"{VIP} . tcp . 8000 . 0 : 10.244.1.2 . 80, {VIP} . tcp . 8000 . 1 : 10.244.1.3 . 81"
    assert f"add element {table} targets {{ {targets} }}\n" in rules
    assert f"add element {table} services {{ {VIP} . tcp . 8000 : goto one_of_2 }}\n" in rules
    assert f"add rule {table} one_of_2 meta mark set numgen random mod 2 dnat ip to" in rules
    assert rules.endswith("add table ip lateen_services_0\ndelete table ip lateen_services_0\n")


def many(services: int, endpoints: int) -> list[ServiceRoute]:
    return [
        ServiceRoute(
            address=f"10.96.{4 + number // 250}.{number % 250 + 1}",
            port=80,
            targets=tuple(f"10.244.{number // 25 + 1}.{number % 25 * 10 + place + 1}:80" for place in range(endpoints)),
        )
        for number in range(services)
    ]


def test_services_with_equally_many_targets_share_a_chain() -> None:
    assert "".join(service_rules(many(8, 2), 1)).count("add chain ip lateen_services_1 one_of_") == 1


def test_long_scripts_are_cut_and_only_the_last_one_takes_effect() -> None:
    scripts = service_rules(many(1000, 10), 2)
    assert max(script.count(" . tcp . ") for script in scripts) == MOST_ELEMENTS
    assert sum(script.count(" . tcp . ") for script in scripts) == 11_000
    assert [("hook prerouting" in script, "delete table ip lateen_services_1" in script) for script in scripts] == [
        *[(False, False)] * (len(scripts) - 1),
        (True, True),
    ]


@pytest.mark.parametrize("routes", [[], [ServiceRoute(address=VIP, port=8000, targets=())]])
def test_without_targets_there_is_no_route(routes: list[ServiceRoute]) -> None:
    (rules,) = service_rules(routes, 1)
    assert [line for line in rules.splitlines() if not line.startswith(("add table", "delete table"))] == []


@pytest.mark.parametrize(
    ("where", "target"),
    [
        ("10.96.0.5 }; flush ruleset", "10.244.1.2:80"),
        (VIP, "localhost:80"),
        (VIP, "10.244.1.2"),
        (VIP, "10.244.1.2:http"),
    ],
)
def test_what_is_no_address_is_refused(where: str, target: str) -> None:
    with pytest.raises(Refused, match="is not an IPv4 address and a port"):
        service_rules([ServiceRoute(address=where, port=80, targets=(target,))], 1)


async def serve(mesh: LiveMesh, number: int, port: int = 9000) -> str:
    """A sandbox that says its name to whoever connects, and where the connection comes from."""
    sandbox = await mesh.sandbox(number)
    state = await mesh.start(sandbox, mesh.python, "-c", WHO, sandbox, str(port))
    await says(state, "listening")
    return sandbox


async def says(process: ProcessState, word: str) -> None:
    """Waits until a process has said something."""
    await until(lambda: word in Path(process.log).read_text(), 10)


async def callers(mesh: LiveMesh, sandbox: str, kind: str = "tcp") -> Counter[str]:
    """Who answers at the service's address, over some calls."""
    return Counter((await mesh.inside(sandbox, mesh.python, "-c", CALLS, kind, VIP, "8000")).splitlines())


def route(*numbers: int, transport: str = "tcp") -> ServiceRoute:
    targets = tuple(f"{address(number)}:9000" for number in numbers)
    return ServiceRoute(address=VIP, port=8000, targets=targets, transport=transport)  # type: ignore[arg-type]


@pytest.mark.live
async def test_a_workload_without_a_sidecar_reaches_services(mesh: LiveMesh) -> None:
    first, second = await serve(mesh, 1), await serve(mesh, 2)
    caller = await mesh.sandbox(3)
    passing = await mesh.sandbox(4, interception=Interception(exclude_outbound_ports=(8000,)))
    assert await mesh.call(caller, VIP, 8000) == "ConnectionRefusedError"

    await mesh.client.set_service_routes([route(1, 2), route(1, 2, transport="udp")])
    both = {f"{first} 10.244.0.1", f"{second} 10.244.0.1"}
    assert set(await callers(mesh, caller)) == both
    assert set(await callers(mesh, caller, "udp")) == both
    assert set(await callers(mesh, passing)) == both
    assert set(await callers(mesh, first)) == both, "a workload reaches itself too"
    assert await mesh.call(caller, VIP, 8001) == "ConnectionRefusedError"

    await mesh.client.set_service_routes([route(2)])
    assert set(await callers(mesh, caller)) == {f"{second} 10.244.0.1"}
    assert await mesh.call(caller, VIP, 8000, kind="udp") == "ConnectionRefusedError"

    await mesh.client.set_service_routes([])
    assert await mesh.call(caller, VIP, 8000) == "ConnectionRefusedError"


@pytest.mark.live
async def test_connections_that_exist_survive_a_replacement(mesh: LiveMesh) -> None:
    server = await mesh.sandbox(1)
    echo = "import socket\nc, _ = socket.create_server(('0.0.0.0', 9000)).accept()\nprint('listening')\nc.sendall(c.recv(9))"
    await mesh.start(server, mesh.python, "-c", echo)
    caller = await mesh.sandbox(2)
    await mesh.client.set_service_routes([route(1)])
    waiting = f"""
import pathlib, socket, time
for _ in range(200):
    try:
        c = socket.create_connection(("{VIP}", 8000))
        break
    except OSError:
        time.sleep(0.02)
print("connected", flush=True)
c.settimeout(5)
time.sleep(1)
c.sendall(b"still"); print(c.recv(9))
"""
    state = await mesh.start(caller, mesh.python, "-c", waiting)
    await says(state, "connected")
    await mesh.client.set_service_routes([])
    await says(state, "still")


@pytest.mark.live
async def test_names_are_answered_in_every_sandbox(mesh: LiveMesh) -> None:
    caller = await mesh.sandbox(1, search=("default.svc.cluster.local", "svc.cluster.local"))
    names = MeshNames(domain="cluster.local", addresses={"web.default.svc.cluster.local": (VIP,)})
    await mesh.client.set_names(names)
    for name in ("web", "web.default", "web.default.svc.cluster.local"):
        assert (await mesh.inside(caller, "getent", "ahosts", name)).split()[0] == VIP
    assert await mesh.inside(caller, "getent", "hosts", "nobody.default") == ""
    with pytest.raises(Refused, match="wrong address"):
        await mesh.client.set_names(MeshNames(domain="cluster.local", addresses={"web": ("nowhere",)}))


@pytest.mark.live
async def test_a_thousand_services_are_quick_and_small(mesh: LiveMesh) -> None:
    routes = many(1000, 10)
    begin = asyncio.get_running_loop().time()
    for _ in range(3):
        await mesh.client.set_service_routes(routes)
    took = (asyncio.get_running_loop().time() - begin) / 3
    assert took < 3, "0.4 s when nothing else runs"
    await mesh.client.set_service_routes(routes[:-1])
    listed = await mesh.inside("mesh", "nft", "list", "tables")
    assert "lateen_services_0" in listed
    assert "lateen_services_1" not in listed
    assert resident_megabytes((await mesh.client.list_mesh()).supervisor_pid) <= 40
