"""Child processes: started quickly, reaped always, ended together with everything that they started."""

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lateen.platforms.local import procfs
from lateen.platforms.local.protocol import Exit, Refused

_PR_SET_CHILD_SUBREAPER = 36
_RESET_SIGNALS = (
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGCHLD,
)


@dataclass(frozen=True, slots=True)
class Child:
    """A process that we started; `ended` resolves when it has ended and been reaped. It leads its own session."""

    pid: int
    start_time: int
    started_at: float
    ended: asyncio.Future[Exit]


class Nursery:
    """Starts processes and learns how they end. One per supervisor process, because it waits for every child.

    Orphans of our children come to us too (we are their subreaper) and are reaped as well.
    """

    def __init__(self, record: Callable[[int, int], None] = lambda pid, start_time: None) -> None:
        self._children: dict[int, Child] = {}
        self._record = record

    def watch(self) -> None:
        """Begins to reap; call once, in the running loop."""
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.reap)

    def start(self, argv: Sequence[str], environment: Mapping[str, str], output: int) -> Child:
        """The new process, with empty input, and both outputs into the file descriptor `output`."""
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, output, 2),
        ]
        pid = os.posix_spawnp(
            argv[0],
            list(argv),
            environment,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=_RESET_SIGNALS,
        )
        ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        child = Child(pid, procfs.start_time(pid) or 0, time.time(), ended)
        self._children[pid] = child
        self._record(pid, child.start_time)
        return child

    def start_logged(self, argv: Sequence[str], environment: Mapping[str, str], log: str | os.PathLike[str]) -> Child:
        """Like `start`, with the output appended to a file."""
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            return self.start(argv, environment, output)
        finally:
            os.close(output)

    async def start_talking(
        self, argv: Sequence[str], environment: Mapping[str, str], until: str = ""
    ) -> tuple[Child, str]:
        """The process, and what it said until it said the line `until` or closed its output."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            child = self.start(argv, environment, writing)
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return child, await _heard(reading, until)

    def reap(self) -> None:
        """Collects all children that have ended; what is left of their process groups is killed."""
        with contextlib.suppress(ChildProcessError):
            while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                child = self._children.pop(found.si_pid, None)
                if child is not None:
                    # while the leader is not yet reaped, its group id cannot be anybody else's
                    send_to_group(child.pid, signal.SIGKILL)
                _, status = os.waitpid(found.si_pid, 0)
                if child is not None and not child.ended.done():
                    child.ended.set_result(_exit(status))


async def end(child: Child, stop_signal: signal.Signals, grace_seconds: float, hurry: asyncio.Event) -> Exit:
    """Asks a process group to stop, and kills it after the grace, or as soon as there is a hurry."""
    if not child.ended.done():
        send_to_group(child.pid, stop_signal)
        hurrying = asyncio.ensure_future(hurry.wait())
        await asyncio.wait((child.ended, hurrying), timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
    if not child.ended.done():
        send_to_group(child.pid, signal.SIGKILL)
    return await child.ended


def send_to_group(leader: int, which: signal.Signals) -> None:
    """Signals a whole process group, if there still is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, which)


def signal_named(name: str) -> signal.Signals:
    """The signal called `name`, such as SIGTERM (or TERM); refuses what is none."""
    try:
        return signal.Signals[name if name.startswith("SIG") else f"SIG{name}"]
    except KeyError:
        raise Refused("bad_request", f"there is no signal {name!r}; say one such as SIGTERM") from None


async def kill_until_none(find: Callable[[], set[int]], timeout_seconds: float = 3.0) -> bool:
    """Kills what `find` finds, again and again, until it finds nothing; False where something resisted."""
    deadline = time.monotonic() + timeout_seconds
    while found := find():
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


async def _heard(reading: int, until: str) -> str:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", buffering=0)
    )
    said = ""
    try:
        while line := (await reader.readline()).decode(errors="replace"):
            said += line
            if until and line.strip() == until:
                break
    finally:
        transport.close()
    return said


def _exit(status: int) -> Exit:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return Exit(code=code, signal=None, at=time.time())
    return Exit(code=None, signal=_signal_name(-code), at=time.time())


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
