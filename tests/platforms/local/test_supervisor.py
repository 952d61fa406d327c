"""The life of a mesh: what it survives, and that nothing of it is left."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from lateen.platforms.local import procfs, supervisor
from lateen.platforms.local.protocol import ProcessSpec, Refused, SandboxSpec

from .live_mesh import LiveMesh, answers, home_of, live_mesh, output, start_supervisor, until

pytestmark = pytest.mark.live

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvpe("sleep", ["sleep", sys.argv[1]], {})
    os._exit(0)
time.sleep(int(sys.argv[2]))
"""


def inside(networks: set[int]) -> list[str]:
    return [procfs.command(pid) for pid in procfs.pids() if procfs.network_namespace(pid) in networks]


async def host_network() -> str:
    links = await output("ip", "-o", "-brief", "link")
    return links + (await output("nft", "list", "ruleset") if os.geteuid() == 0 else "")


async def test_ten_workloads_start_together_and_quickly_in_little_memory(mesh: LiveMesh) -> None:
    async def workload(number: int) -> None:
        sandbox = await mesh.sandbox(number)
        await mesh.start(sandbox, "sleep", "100")

    begin = asyncio.get_running_loop().time()
    await asyncio.gather(*(workload(number) for number in range(3, 13)))
    took = asyncio.get_running_loop().time() - begin
    state = await mesh.client.list_mesh()
    assert len([process for sandbox in state.sandboxes for process in sandbox.processes]) == 10
    assert took < 3, "0.3 s when nothing else runs"
    assert resident_megabytes(state.supervisor_pid) <= 40


async def test_an_orderly_end_leaves_nothing(user: str) -> None:
    before = await host_network()
    async with live_mesh(user) as mesh:
        sandbox = await mesh.sandbox(1)
        await mesh.start(sandbox, mesh.python, "-c", DAEMON, "1234", "100")
        await mesh.start(sandbox, "sh", "-c", "trap '' TERM; sleep 100 & wait; wait", name="stubborn")
        await until(lambda: "sleep 1234" in inside(mesh.networks()))
        networks = mesh.networks()
        assert await mesh.end() == 0
    assert inside(networks) == []
    assert not mesh.directory.exists()
    assert await host_network() == before


async def test_a_second_interrupt_ends_it_at_once(user: str) -> None:
    async with live_mesh(user) as mesh:
        sandbox = await mesh.sandbox(1)
        stubborn = await mesh.start(sandbox, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
        await until(lambda: "ready" in Path(stubborn.log).read_text())
        begin = asyncio.get_running_loop().time()
        await mesh.client.shutdown(grace_seconds=30)
        os.kill((await mesh.client.list_mesh()).supervisor_pid, signal.SIGINT)
        assert await mesh.end() == 0
        assert asyncio.get_running_loop().time() - begin < 5


async def test_after_sigkill_the_next_start_is_a_fresh_one(user: str) -> None:
    async with live_mesh(user) as mesh:
        sandbox = await mesh.sandbox(1)
        await mesh.start(sandbox, mesh.python, "-c", DAEMON, "1235", "100")
        await until(lambda: "sleep 1235" in inside(mesh.networks()))
        networks = mesh.networks()
        supervising = (await mesh.client.hello()).supervisor_pid
        os.kill(supervising, signal.SIGKILL)
        await mesh.process.wait()
        await until(lambda: inside(networks) == ["sleep 1235"])

        mesh.process = await start_supervisor(mesh.directory.parent, mesh.prefix)
        await answers(mesh)
        assert inside(networks - mesh.networks()) == []
        assert (await mesh.client.list_mesh()).sandboxes == ()


async def test_workloads_outlive_the_control_plane_which_comes_back(mesh: LiveMesh) -> None:
    sandbox = await mesh.sandbox(1)
    process = await mesh.start(sandbox, "sleep", "100")
    before = (await mesh.client.list_mesh()).control_plane_pid
    assert before is not None
    os.kill(before, signal.SIGKILL)

    async def is_back() -> bool:
        now = await mesh.client.list_mesh()
        return now.control_plane_restarts == 1 and now.control_plane_pid not in (None, before)

    for _ in range(100):
        if await is_back():
            break
        await asyncio.sleep(0.02)
    after = await mesh.client.list_mesh()
    assert after.control_plane_restarts == 1
    assert after.sandboxes[0].processes == (process,)


async def test_a_control_plane_that_cannot_start_ends_the_mesh_with_its_reason(user: str) -> None:
    with home_of(user) as (base, prefix):
        process = await start_supervisor(base, prefix, control_plane='["sh", "-c", "echo no such kind; exit 2"]')
        said, _ = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 2
    assert said.decode().splitlines()[0] == "no such kind"


async def test_one_supervisor_a_mesh(mesh: LiveMesh) -> None:
    second = await start_supervisor(mesh.directory.parent, mesh.prefix)
    said, _ = await second.communicate()
    assert second.returncode == supervisor.EXIT_ANOTHER_LIVES
    assert "mesh m is up already" in said.decode()
    await mesh.client.hello()


async def test_progress_reaches_the_terminal_and_subscribers(mesh: LiveMesh) -> None:
    events = mesh.client.events()
    assert (await anext(events)).name == "subscribed"
    await mesh.client.progress("reviews-v1 is ready")
    told = await asyncio.wait_for(anext(events), 5)
    assert (told.name, told.text) == ("progress", "reviews-v1 is ready")
    assert mesh.process.stdout is not None
    assert await mesh.process.stdout.readline() == b"reviews-v1 is ready\n"
    await events.aclose()


async def test_a_request_that_makes_no_sense_is_refused_with_what_would(mesh: LiveMesh) -> None:
    with pytest.raises(Refused, match=r"there is no sandbox w9; create it first"):
        await mesh.client.start_process(ProcessSpec(sandbox="w9", name="app", argv=("true",)))
    with pytest.raises(Refused, match=r"is not free for use in 10\.244\.0\.0/16"):
        await mesh.client.create_sandbox(SandboxSpec(id="w", address="10.244.0.1", hostname="w"))
    reader, writer = await asyncio.open_unix_connection(mesh.directory / "supervisor.sock")
    writer.write(b'{"id": 3, "request": "dance"}\n')
    assert b'"code":"bad_request"' in await reader.readline()
    writer.close()


def resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
