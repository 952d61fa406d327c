"""Companions: processes beside the control plane, kept as asked, gone with the mesh."""

import asyncio
import os
import signal

import pytest

from lateen.platforms.local import procfs
from lateen.platforms.local.protocol import Companion, CompanionState, Refused

from .live_mesh import LiveMesh, live_mesh, until, users

pytestmark = pytest.mark.live


def sleeping(seconds: int, name: str = "one") -> Companion:
    return Companion(name=name, argv=("sleep", str(seconds)))


async def states(mesh: LiveMesh) -> tuple[CompanionState, ...]:
    return (await mesh.client.list_mesh()).companions


async def pid_of(mesh: LiveMesh, argv: str) -> int:
    """The pid of the one companion, once it runs its own program."""
    (state,) = await states(mesh)
    assert state.pid is not None
    await until(lambda: procfs.command(state.pid or 0) == argv)
    return state.pid


async def test_what_is_asked_for_runs_in_the_meshs_network_and_nothing_else(mesh: LiveMesh) -> None:
    await mesh.client.set_companions((sleeping(1001),))
    first = await pid_of(mesh, "sleep 1001")
    assert procfs.network_namespace(first) == procfs.network_namespace(mesh.holders["mesh"])
    await mesh.client.set_companions((sleeping(1001), sleeping(1002, "two")))
    kept, added = await states(mesh)
    assert (kept.pid, kept.restarts, added.name) == (first, 0, "two")
    await mesh.client.set_companions((sleeping(1003),))
    assert await pid_of(mesh, "sleep 1003") != first
    await mesh.client.set_companions(())
    assert await states(mesh) == ()
    ours = {f"sleep {seconds}" for seconds in (1001, 1002, 1003)}
    assert not ours & {procfs.command(pid) for pid in procfs.pids()}


async def test_one_that_dies_is_started_again(mesh: LiveMesh) -> None:
    await mesh.client.set_companions((sleeping(1004),))
    first = await pid_of(mesh, "sleep 1004")
    os.kill(first, signal.SIGKILL)

    async def restarted() -> None:
        while (await states(mesh))[0].restarts != 1:
            await asyncio.sleep(0.02)

    await asyncio.wait_for(restarted(), 5)
    assert await pid_of(mesh, "sleep 1004") != first


@pytest.mark.parametrize("name", ["", "../x", "a/b"])
async def test_names_that_are_no_file_names_are_refused(mesh: LiveMesh, name: str) -> None:
    with pytest.raises(Refused, match="plain file name"):
        await mesh.client.set_companions((sleeping(1, name),))


async def test_names_that_come_twice_are_refused(mesh: LiveMesh) -> None:
    with pytest.raises(Refused, match="name of its own"):
        await mesh.client.set_companions((sleeping(1), sleeping(2)))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["down", "killed"])
@pytest.mark.parametrize("user", users())
async def test_they_end_with_the_supervisor(user: str, how: signal.Signals) -> None:
    async with live_mesh(user) as mesh:
        await mesh.client.set_companions((sleeping(1005),))
        pid = await pid_of(mesh, "sleep 1005")
        supervisor = (await mesh.client.list_mesh()).supervisor_pid
        os.kill(supervisor, how)
        await until(lambda: procfs.command(pid) == "")
