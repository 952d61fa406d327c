"""The life of one container: started, watched, restarted, and in the end stopped.

The processes themselves belong to the supervisor and outlive this object; a new one takes a running process over.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from lateen.platforms.local import logs, probing
from lateen.platforms.local.containers import Unrunnable
from lateen.platforms.local.health import Health, ProbeKind
from lateen.platforms.local.protocol import (
    Exit,
    ProcessSpec,
    ProcessState,
    Refused,
    SandboxSpec,
    SandboxState,
)
from lateen.platforms.local.report import ContainerKind, ContainerRow, ContainerState
from lateen.platforms.local.restarts import RestartHistory, after_death, is_restarted

_FIRST_RETRY_SECONDS: Final = 0.2
_LONGEST_RETRY_SECONDS: Final = 10.0
_TAIL_LINES: Final = 5
_TAIL_BYTES: Final = 2000
_TOLD_DEATHS: Final = 2


class Processes(Protocol):
    """Whoever makes sandboxes and starts processes: the supervisor."""

    async def create_sandbox(self, spec: SandboxSpec) -> SandboxState: ...
    async def delete_sandbox(self, sandbox: str, grace_seconds: float = 5.0) -> None: ...
    async def start_process(self, spec: ProcessSpec) -> ProcessState: ...
    async def stop_process(self, sandbox: str, name: str, grace_seconds: float = 5.0) -> ProcessState | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerMemory:
    """What must be known of a container to take it over after a restart of the control plane."""

    pid: int = 0
    start_time: int = 0
    ready: bool = False
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Examination:
    """How a freshly started or taken-over container's health is followed."""

    health: Health
    asks: Mapping[ProbeKind, probing.Ask]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerCare:
    """What is particular to one container: how it is started, examined and restarted.

    `prepare` gives the process to start, or why there is none. `examine` is asked after each start; its argument tells
    whether the container is known to be ready. `after_start` is the postStart hook. With `at_once` a first death is
    followed by a restart without pause.
    """

    name: str
    kind: ContainerKind
    policy: str
    prepare: Callable[[], ProcessSpec | Unrunnable]
    examine: Callable[[bool], Examination]
    after_start: Callable[[], Awaitable[bool]] | None = None
    at_once: bool = False
    grace_seconds: float = 30.0


class ContainerLife:
    """One container of one pod. `changed` is called whenever `row` may have changed, `tell` with lines for people."""

    def __init__(
        self,
        care: ContainerCare,
        sandbox: str,
        processes: Processes,
        changed: Callable[[], None],
        tell: Callable[[str], None],
        *,
        memory: ContainerMemory,
    ) -> None:
        self.care = care
        self._sandbox = sandbox
        self._processes = processes
        self._changed = changed
        self._tell = tell
        self._history = RestartHistory(memory.restarts)
        self._state: ContainerState = "waiting"
        self._reason = "ContainerCreating"
        self._health = Health()
        self._process: ProcessState | None = None
        self._memory = memory
        self._known_good = False
        self._ended: ProcessState | None = None
        self._hook_done = False
        self._log_begin = 0
        self._ending = False
        self._event = asyncio.Event()
        self.finished: Exit | None = None

    @property
    def ready(self) -> bool:
        """Whether the container runs and its probes are content."""
        return self._state == "running" and self._hook_done and self._health.ready

    @property
    def started(self) -> bool:
        """Whether the container runs and its postStart hook and startup probe are through."""
        return self._state == "running" and self._hook_done and self._health.started

    @property
    def running(self) -> bool:
        """Whether a process runs."""
        return self._state == "running"

    @property
    def row(self) -> ContainerRow:
        """The container for people."""
        process = self._process
        return ContainerRow(
            name=self.care.name,
            kind=self.care.kind,
            state=self._state,
            reason=self._reason,
            ready=self.ready,
            restarts=self._history.restarts,
            pid=process.pid if process and self.running else None,
            started_at=process.started_at if process else 0.0,
            log=process.log if process else "",
        )

    @property
    def memory(self) -> ContainerMemory:
        """What a successor needs to know."""
        process = self._process if self.running else None
        return ContainerMemory(
            pid=process.pid if process else 0,
            start_time=process.start_time if process else 0,
            ready=self.ready,
            restarts=self._history.restarts,
        )

    def adopt(self, process: ProcessState) -> None:
        """Take a process over, before `run`: if it runs, it counts as running from now on, and as ready if it was."""
        same = (process.pid, process.start_time) == (self._memory.pid, self._memory.start_time)
        self._known_good = same and self._memory.ready
        if process.exit is None:
            self._runs(process, self.care.examine(self._known_good).health)
            self._hook_done = self._hook_done or same
        else:
            self._process, self._state = process, "exited"

    def exited(self, process: ProcessState) -> None:
        """Take notice that a process of this container has ended."""
        self._ended = process
        if self._process is not None and _same(self._process, process):
            self._state, self._reason = "exited", _ending_of(process.exit)
            self._changed()
        self._event.set()

    def nudge(self) -> None:
        """Try again at once what waits for a change of the config."""
        self._event.set()

    async def run(self) -> None:
        """Keep the container running as its policy says; returns when it has ended for good, then `finished` is set."""
        process = self._process
        while True:
            process = process or await self._start()
            ended = await self._live(process)
            if self._ending or not is_restarted(self.care.policy, ended.code):
                self.finished = ended
                self._changed()
                return
            await self._pause(ended.at - process.started_at)
            process = None

    async def stop(self, grace_seconds: float) -> None:
        """End the container: no restart any more, the stop signal, and SIGKILL after the grace."""
        self._ending = True
        with contextlib.suppress(Refused):
            ended = await self._processes.stop_process(self._sandbox, self.care.name, grace_seconds)
            if ended is not None:
                self.exited(ended)

    async def _start(self) -> ProcessState:
        """Start the process; goes on trying while the config or the machine does not allow it."""
        pause = _FIRST_RETRY_SECONDS
        said = ""
        self._log_begin = _size(self._process.log) if self._process else 0
        while True:
            outcome = await self._try_to_start()
            if isinstance(outcome, ProcessState):
                self._runs(outcome, self.care.examine(False).health)
                return outcome
            self._state, self._reason = "waiting", f"{outcome.reason}: {outcome}"
            self._changed()
            if said != str(outcome):
                said = str(outcome)
                self._tell(f"cannot start: {said}")
            await self._wait_for_event(pause)
            pause = min(_LONGEST_RETRY_SECONDS, pause * 2)

    async def _try_to_start(self) -> ProcessState | Unrunnable:
        spec = self.care.prepare()
        if isinstance(spec, Unrunnable):
            return spec
        try:
            return await self._processes.start_process(spec)
        except Refused as refusal:
            return Unrunnable("CannotStart", (refusal.message,))

    def _runs(self, process: ProcessState, health: Health) -> None:
        self._process = process
        self._health = health
        self._hook_done = self.care.after_start is None or self._known_good
        self._state, self._reason = "running", ""
        self._changed()

    async def _live(self, process: ProcessState) -> Exit:
        """Follow one process to its end."""
        following = asyncio.create_task(self._follow())
        try:
            return await self._end_of(process)
        finally:
            following.cancel()
            self._known_good = False

    async def _end_of(self, process: ProcessState) -> Exit:
        if process.exit is not None:
            self.exited(process)
        while self._ended is None or not _same(self._ended, process):
            self._event.clear()
            await self._event.wait()
        ended = self._ended.exit
        assert ended is not None, "only processes that ended are told"
        # the news may have been faster than the answer to the request that started the process
        self._state, self._reason = "exited", _ending_of(ended)
        return ended

    async def _follow(self) -> None:
        """Run the hook, then the probes; ends the process when a probe says that it must be restarted."""
        if not self._hook_done and self.care.after_start is not None:
            if not await self.care.after_start():
                self._tell("postStart hook failed; the container is stopped")
                await self._end_process("postStart hook failed")
                return
            self._hook_done = True
        examination = self.care.examine(self._known_good)
        self._set_health(examination.health)
        await probing.watch(examination.health, examination.asks, self._set_health)
        if deadly := self._health.deadly:
            self._tell(f"{deadly} probe failed; the container is restarted")
            await self._end_process(f"{deadly} probe failed")

    def _set_health(self, health: Health) -> None:
        self._health = health
        self._changed()

    async def _end_process(self, reason: str) -> None:
        self._reason = reason
        with contextlib.suppress(Refused):
            await self._processes.stop_process(self._sandbox, self.care.name, self.care.grace_seconds)

    async def _pause(self, lived_seconds: float) -> None:
        """Wait before the next start, longer after each quick death."""
        self._history, pause = after_death(self._history, lived_seconds)
        deaths = self._history.quick_deaths
        self._say_how_it_died(deaths)
        self._state = "waiting"
        self._reason = "CrashLoopBackOff" if deaths > 1 else self._reason
        self._changed()
        if not (self.care.at_once and deaths == 1):
            await asyncio.sleep(pause)

    def _say_how_it_died(self, deaths: int) -> None:
        if deaths > _TOLD_DEATHS or self._process is None or self._ended is None:
            return
        written = _size(self._process.log) - self._log_begin
        last_lines = logs.tail(Path(self._process.log), min(written + 1, _TAIL_BYTES)).splitlines()[-_TAIL_LINES:]
        quoted = "".join(f"\n    {line}" for line in last_lines)
        self._tell(f"ended ({_ending_of(self._ended.exit)}) and is restarted{':' if quoted else ''}{quoted}")

    async def _wait_for_event(self, seconds: float) -> None:
        self._event.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()


def _same(one: ProcessState, other: ProcessState) -> bool:
    return (one.pid, one.start_time) == (other.pid, other.start_time)


def _size(log: str) -> int:
    try:
        return Path(log).stat().st_size
    except OSError:
        return 0


def _ending_of(ended: Exit | None) -> str:
    if ended is None:
        return "gone"
    if ended.signal:
        return f"killed by {ended.signal}"
    return "Completed" if ended.code == 0 else f"exit code {ended.code}"
