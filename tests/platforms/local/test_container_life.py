"""The life of one container, with a supervisor that is a few lines long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from lateen.platforms.local.container_life import ContainerCare, ContainerLife, ContainerMemory, Examination
from lateen.platforms.local.containers import Unrunnable
from lateen.platforms.local.health import Health
from lateen.platforms.local.protocol import Exit, ProcessSpec, ProcessState, Refused, SandboxSpec, SandboxState

SPEC = ProcessSpec(sandbox="s", name="app", argv=("x",))


def state(pid: int, ended: Exit | None = None) -> ProcessState:
    return ProcessState(
        sandbox="s",
        name="app",
        pid=pid,
        start_time=pid,
        started_at=100.0,
        digest="",
        role="app",
        marker="",
        log="/none",
        exit=ended,
    )


@dataclass
class Processes:
    """Starts processes 1, 2, 3, …; `refusals` come first."""

    refusals: list[str] = field(default_factory=list)
    started: list[int] = field(default_factory=list)
    stopped: int = 0

    async def create_sandbox(self, spec: SandboxSpec) -> SandboxState:
        raise NotImplementedError

    async def delete_sandbox(self, sandbox: str, grace_seconds: float = 5.0) -> None:
        raise NotImplementedError

    async def start_process(self, spec: ProcessSpec) -> ProcessState:
        if self.refusals:
            raise Refused("no_such_command", self.refusals.pop(0))
        self.started.append(len(self.started) + 1)
        return state(self.started[-1])

    async def stop_process(self, sandbox: str, name: str, grace_seconds: float = 5.0) -> ProcessState | None:
        self.stopped += 1
        return state(self.started[-1], Exit(code=None, signal="SIGTERM", at=200.0))


CARE = ContainerCare(
    name="app", kind="app", policy="Always", prepare=lambda: SPEC, examine=lambda _: Examination(Health(), {})
)


@contextlib.asynccontextmanager
async def living(
    processes: Processes, care: ContainerCare = CARE, memory: ContainerMemory | None = None
) -> AsyncIterator[tuple[ContainerLife, list[str]]]:
    lines: list[str] = []
    life = ContainerLife(care, "s", processes, lambda: None, lines.append, memory=memory or ContainerMemory())
    task = asyncio.create_task(life.run())
    await turn()
    try:
        yield life, lines
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def turn() -> None:
    """Let everything happen that can happen without waiting."""
    for _ in range(10):
        await asyncio.sleep(0)


def died(pid: int, code: int, lived_seconds: float = 60.0) -> ProcessState:
    return state(pid, Exit(code=code, signal=None, at=100.0 + lived_seconds))


async def test_a_death_is_seen_at_once_and_followed_by_a_restart() -> None:
    processes = Processes()
    async with living(processes) as (life, lines):
        assert life.ready
        life.exited(died(1, 3))
        assert not life.ready, "before anything else happens"
        await turn()
        assert (life.row.state, life.row.reason) == ("waiting", "exit code 3")
        await asyncio.sleep(0.25)
        assert (processes.started, life.ready, life.row.restarts) == ([1, 2], True, 1)
        assert lines == ["ended (exit code 3) and is restarted"]


async def test_the_second_quick_death_is_a_crash_loop() -> None:
    async with living(Processes()) as (life, _):
        life.exited(died(1, 1, lived_seconds=0.1))
        await asyncio.sleep(0.25)
        life.exited(died(2, 1, lived_seconds=0.1))
        await turn()
        assert (life.row.reason, life.row.restarts) == ("CrashLoopBackOff", 2)


async def test_news_of_a_death_may_come_before_the_answer_to_the_start() -> None:
    class Hasty(Processes):
        async def start_process(self, spec: ProcessSpec) -> ProcessState:
            started = await super().start_process(spec)
            lives[0].exited(died(started.pid, 0))
            return started

    lives: list[ContainerLife] = []
    once = replace(CARE, policy="Never")
    life = ContainerLife(once, "s", Hasty(), lambda: None, lambda line: None, memory=ContainerMemory())
    lives.append(life)
    await asyncio.wait_for(life.run(), 1)
    assert life.finished == Exit(code=0, signal=None, at=160.0)
    assert (life.row.state, life.row.pid) == ("exited", None)


async def test_news_of_an_earlier_process_is_no_death_of_the_present_one() -> None:
    async with living(Processes()) as (life, _):
        life.exited(died(99, 1))
        await turn()
        assert life.ready


async def test_what_cannot_start_is_said_once_and_tried_again_when_the_config_changes() -> None:
    plans: list[ProcessSpec | Unrunnable] = [Unrunnable("ImageNotMapped", ("no command",))]
    processes = Processes()
    async with living(processes, replace(CARE, prepare=lambda: plans[-1])) as (life, lines):
        assert (life.row.state, life.row.reason) == ("waiting", "ImageNotMapped: no command")
        plans.append(SPEC)
        life.nudge()
        await turn()
        assert (processes.started, lines) == ([1], ["cannot start: no command"])


async def test_a_refusal_of_the_machine_is_tried_again() -> None:
    processes = Processes(refusals=["no x"])
    async with living(processes) as (life, _):
        assert life.row.reason == "CannotStart: no x"
        await asyncio.sleep(0.25)
        assert life.ready


async def test_a_running_process_is_taken_over_ready_and_not_started_again() -> None:
    processes = Processes()
    examined: list[bool] = []

    def examine(known_good: bool) -> Examination:
        examined.append(known_good)
        return Examination(Health(), {})

    memory = ContainerMemory(pid=7, start_time=7, ready=True, restarts=4)
    life = ContainerLife(replace(CARE, examine=examine), "s", processes, lambda: None, print, memory=memory)
    life.adopt(state(7))
    assert (life.ready, life.row.pid, life.row.restarts) == (True, 7, 4)
    task = asyncio.create_task(life.run())
    await turn()
    assert (processes.started, set(examined)) == ([], {True})
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_container_that_is_stopped_is_not_restarted() -> None:
    processes = Processes()
    async with living(processes) as (life, _):
        await life.stop(1.0)
        await asyncio.sleep(0.25)
        assert (processes.started, life.finished) == ([1], Exit(code=None, signal="SIGTERM", at=200.0))


async def test_a_failed_post_start_hook_ends_the_container() -> None:
    async def hook() -> bool:
        return False

    processes = Processes()
    async with living(processes, replace(CARE, after_start=hook)) as (life, lines):
        await turn()
        assert (processes.stopped, life.ready) == (1, False)
        assert lines == ["postStart hook failed; the container is stopped"]
