"""Processes in sandboxes: started once, ended wholly, and everything about it told."""

import asyncio
import os
from pathlib import Path

import pytest

from lateen.platforms.local import procfs
from lateen.platforms.local.client import SupervisorClient
from lateen.platforms.local.protocol import ProcessState, Refused, SandboxSpec

from .live_mesh import LiveMesh, address, until

pytestmark = pytest.mark.live

LEAVE_A_DAEMON = "setsid sh -c 'sleep 1236 & sleep 1236' & exit 3"


async def next_exit(client: SupervisorClient) -> ProcessState:
    async for event in client.events():
        if event.process is not None:
            return event.process
    raise AssertionError("events never end")


async def test_asking_twice_gives_the_same_and_another_spec_is_a_conflict(mesh: LiveMesh) -> None:
    sandbox = await mesh.sandbox(1)
    assert await mesh.sandbox(1) == sandbox
    first = await mesh.start(sandbox, "sleep", "100", marker="generation 1")
    assert await mesh.start(sandbox, "sleep", "100", marker="generation 2") == first
    with pytest.raises(Refused, match="process app of w1 exists with another spec"):
        await mesh.start(sandbox, "sleep", "101")
    with pytest.raises(Refused, match="sandbox w1 exists with another spec"):
        await mesh.sandbox(1, hostname="other")
    await mesh.client.delete_sandbox(sandbox)
    await mesh.client.delete_sandbox(sandbox)
    assert (await mesh.client.list_mesh()).sandboxes == ()
    assert await mesh.sandbox(1, hostname="other") == sandbox


async def test_an_exit_is_told_and_what_the_process_left_is_gone(mesh: LiveMesh) -> None:
    sandbox = await mesh.sandbox(1)
    telling = asyncio.create_task(next_exit(mesh.client))
    await asyncio.sleep(0.1)
    await mesh.start(sandbox, "sh", "-c", LEAVE_A_DAEMON)
    ended = await asyncio.wait_for(telling, 5)
    assert ended.exit is not None
    assert (ended.name, ended.exit.code, ended.exit.signal) == ("app", 3, None)
    await until(lambda: "sleep 1236" not in {procfs.command(pid) for pid in procfs.pids()})
    again = await mesh.start(sandbox, "sleep", "100")
    assert again.exit is None


async def test_a_stop_gives_the_grace_and_then_kills(mesh: LiveMesh) -> None:
    sandbox = await mesh.sandbox(1)
    ready = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.02; done"
    willing = await mesh.start(sandbox, "sh", "-c", ready, name="willing")
    stubborn = await mesh.start(sandbox, "sh", "-c", ready.replace("exit 7", ":"), name="stubborn")
    await until(lambda: all("ready" in Path(each.log).read_text() for each in (willing, stubborn)))
    stopped = await mesh.client.stop_process(sandbox, "willing")
    killed = await mesh.client.stop_process(sandbox, "stubborn", grace_seconds=0.2)
    assert stopped is not None and stopped.exit is not None and stopped.exit.code == 7
    assert killed is not None and killed.exit is not None and killed.exit.signal == "SIGKILL"
    assert await mesh.client.stop_process(sandbox, "nobody") is None


async def test_a_process_has_its_environment_directory_names_and_log(mesh: LiveMesh) -> None:
    sandbox = await mesh.sandbox(
        1, hostname="ratings-0", search=("default.svc.cluster.local",), hosts={"db": "10.1.2.3"}
    )
    script = "pwd; hostname; echo $GREETING; cat /etc/resolv.conf; getent -s files hosts db ratings-0 | tr -s ' '"
    environment = {"PATH": os.environ["PATH"], "GREETING": "ahoy"}
    state = await mesh.start(sandbox, "sh", "-c", script, env=environment, cwd="/usr", log="ratings.log")
    await until(lambda: "ratings-0\n" in Path(state.log).read_text().partition("ndots")[2])
    assert state.log == str(mesh.directory / "logs" / "ratings.log")
    assert lines(state) == [
        "/usr",
        "ratings-0",
        "ahoy",
        "nameserver 10.244.0.1",
        "search default.svc.cluster.local",
        "options ndots:5",
        "10.1.2.3 db",
        f"{address(1)} ratings-0",
    ]


def lines(state: ProcessState) -> list[str]:
    return Path(state.log).read_text().splitlines()


async def test_what_cannot_start_is_refused_with_the_reason(mesh: LiveMesh) -> None:
    sandbox = await mesh.sandbox(1)
    with pytest.raises(Refused, match="command 'no-such-thing' of app in w1 is not an executable file"):
        await mesh.start(sandbox, "no-such-thing")
    with pytest.raises(Refused, match="working directory /no/where of app in w1 is not there"):
        await mesh.start(sandbox, "true", cwd="/no/where")
    with pytest.raises(Refused, match=r"10\.244\.1\.1 belongs to sandbox w1"):
        await mesh.client.create_sandbox(SandboxSpec(id="other", address=address(1), hostname="other"))
