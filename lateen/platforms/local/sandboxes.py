"""The sandboxes of one mesh and the processes in them: what exists, and how it comes and goes."""

import asyncio
import itertools
import shutil
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from lateen.platforms.local import namespaces, processes, procfs, programs, protocol, sandbox_files, tools
from lateen.platforms.local.leftovers import Ledger, markers
from lateen.platforms.local.processes import Child, Nursery
from lateen.platforms.local.protocol import (
    Exit,
    Nothing,
    ProcessKey,
    ProcessSpec,
    ProcessState,
    Refused,
    Role,
    SandboxKey,
    SandboxSpec,
    SandboxState,
    Stopped,
)

MOST_AT_ONCE = 16
_START = "LATEEN_PROCESS"
"""The environment variable by which all that descends from one start of a process is known."""
_LOOKS = 5
_LOOK_AGAIN_SECONDS = 0.05
_ENDING_ORDER: tuple[Role, ...] = ("app", "proxy")


@dataclass(frozen=True, slots=True)
class MeshNamespace:
    """Where sandboxes are made: the mesh's name, its run directory, the holder of its namespace."""

    mesh: str
    directory: Path
    holder_pid: int
    rootless: bool

    @property
    def logs(self) -> Path:
        """The directory of the workloads' output."""
        return self.directory / "logs"

    def environment(self) -> dict[str, str]:
        """What commands of our own run with."""
        return {"PATH": tools.search_path(), **markers(self.mesh, self.directory)}


@dataclass(slots=True)
class _Process:
    spec: ProcessSpec
    digest: str
    child: Child
    log: Path
    start: str

    def state(self) -> ProcessState:
        child = self.child
        return ProcessState(
            sandbox=self.spec.sandbox,
            name=self.spec.name,
            pid=child.pid,
            start_time=child.start_time,
            started_at=child.started_at,
            digest=self.digest,
            role=self.spec.role,
            marker=self.spec.marker,
            log=str(self.log),
            exit=child.ended.result() if child.ended.done() else None,
        )


@dataclass(slots=True)
class _Sandbox:
    spec: SandboxSpec
    digest: str
    holder: Child
    network: int
    processes: dict[str, _Process] = field(default_factory=dict)

    def state(self) -> SandboxState:
        return SandboxState(
            id=self.spec.id,
            address=self.spec.address,
            hostname=self.spec.hostname,
            holder_pid=self.holder.pid,
            digest=self.digest,
            processes=tuple(each.state() for each in self.processes.values()),
        )


_Existing = TypeVar("_Existing", _Sandbox, _Process)


class Sandboxes:
    """Makes and ends sandboxes and processes as asked; `told` hears of every process that ended."""

    def __init__(
        self,
        mesh: MeshNamespace,
        nursery: Nursery,
        ledger: Ledger,
        hurry: asyncio.Event,
        told: Callable[[ProcessState], None],
    ) -> None:
        self._mesh = mesh
        self._nursery = nursery
        self._ledger = ledger
        self._hurry = hurry
        self._told = told
        self._sandboxes: dict[str, _Sandbox] = {}
        self._changing: dict[str, asyncio.Lock] = {}
        self._making = asyncio.Semaphore(MOST_AT_ONCE)
        self._closed = False
        self._starts = itertools.count(1)
        self._clearings: set[asyncio.Task[None]] = set()

    def states(self) -> tuple[SandboxState, ...]:
        """Everything that exists, ended processes included."""
        return tuple(sandbox.state() for sandbox in self._sandboxes.values())

    async def create(self, spec: SandboxSpec) -> SandboxState:
        """Makes a sandbox; answers with the one that is there if it is the same."""
        sandbox_files.check(spec)
        async with self._change_of(spec.id):
            self._refuse_when_closed()
            found = self._sandboxes.get(spec.id)
            if found is not None and not found.holder.ended.done():
                return _same(found, protocol.digest(spec), f"sandbox {spec.id}").state()
            if found is not None:
                await self._take_down(found, 0.0)
            self._refuse_taken_address(spec)
            made = self._sandboxes[spec.id] = await self._make(spec)
            return made.state()

    async def delete(self, key: SandboxKey) -> Nothing:
        """Ends a sandbox with all that is in it; fine if there is none."""
        async with self._change_of(key.id):
            sandbox = self._sandboxes.get(key.id)
            if sandbox is not None:
                await self._take_down(sandbox, key.grace_seconds)
        return Nothing()

    async def start(self, spec: ProcessSpec) -> ProcessState:
        """Starts a process; answers with the one that runs if it is the same."""
        async with self._change_of(spec.sandbox):
            self._refuse_when_closed()
            sandbox = self._known(spec.sandbox)
            found = sandbox.processes.get(spec.name)
            if found is not None and not found.child.ended.done():
                return _same(found, protocol.digest(spec), f"process {spec.name} of {spec.sandbox}").state()
            started = sandbox.processes[spec.name] = self._start(sandbox, spec)
        started.child.ended.add_done_callback(lambda _: self._ended(sandbox, started))
        return started.state()

    async def stop(self, key: ProcessKey) -> Stopped:
        """Ends a process and answers how it ended."""
        process = self._process(key, required=False)
        if process is None:
            return Stopped()
        await self._end(process, key.grace_seconds)
        return Stopped(process=process.state())

    async def signal(self, key: ProcessKey) -> Nothing:
        """Signals a process's group."""
        process = self._process(key, required=True)
        which = processes.signal_named(key.signal)
        if process is not None and not process.child.ended.done():
            processes.send_to_group(process.child.pid, which)
        return Nothing()

    async def close(self, grace_seconds: float) -> None:
        """Ends everything, apps of all sandboxes before proxies, and refuses what is asked from now on."""
        self._closed = True
        for role in _ENDING_ORDER:
            every = [each for sandbox in self._sandboxes.values() for each in _with_role(sandbox, role)]
            await asyncio.gather(*(self._end(process, grace_seconds) for process in every))
        await asyncio.gather(*(self.delete(SandboxKey(id=name, grace_seconds=0.0)) for name in list(self._sandboxes)))

    async def _make(self, spec: SandboxSpec) -> _Sandbox:
        files = self._files(spec.id)
        sandbox_files.write(files, spec, self._mesh.directory)
        argv = namespaces.sandbox_holder_argv(
            files, self._mesh.holder_pid, spec.address, spec.hostname, rootless=self._mesh.rootless
        )
        async with self._making:
            holder, said = await self._nursery.start_talking(argv, self._mesh.environment(), namespaces.READY)
        network = procfs.network_namespace(holder.pid)
        if not said.endswith(f"{namespaces.READY}\n") or network is None:
            await holder.ended
            await self._unlink(spec.address)
            raise Refused("sandbox_failed", f"sandbox {spec.id} cannot be made: {said.strip() or 'no reason given'}")
        self._ledger.add_network(network)
        return _Sandbox(spec, protocol.digest(spec), holder, network)

    async def _take_down(self, sandbox: _Sandbox, grace_seconds: float) -> None:
        for role in _ENDING_ORDER:
            ending = (self._end(process, grace_seconds) for process in _with_role(sandbox, role))
            await asyncio.gather(*ending)
        await processes.kill_until_none(lambda: self._others_inside(sandbox))
        processes.send_to_group(sandbox.holder.pid, signal.SIGKILL)
        await sandbox.holder.ended
        await self._unlink(sandbox.spec.address)
        shutil.rmtree(self._files(sandbox.spec.id), ignore_errors=True)
        self._sandboxes.pop(sandbox.spec.id, None)

    async def _unlink(self, address: str) -> None:
        # the kernel does it too, but later than the next sandbox may want the address
        argv = namespaces.remove_link_argv(self._mesh.holder_pid, address, rootless=self._mesh.rootless)
        removing, _ = await self._nursery.start_talking(argv, self._mesh.environment())
        await removing.ended

    def _start(self, sandbox: _Sandbox, spec: ProcessSpec) -> _Process:
        command = programs.command(spec, _root(sandbox))
        log = self._mesh.logs / (spec.log or f"{spec.sandbox}.{spec.name}.log")
        argv = namespaces.child_argv(sandbox.holder.pid, command, rootless=self._mesh.rootless, cwd=spec.cwd)
        start = f"{spec.sandbox}/{spec.name}/{next(self._starts)}"
        environment = {**spec.env, **markers(self._mesh.mesh, self._mesh.directory), _START: start}
        child = self._nursery.start_logged(argv, environment, log)
        return _Process(spec, protocol.digest(spec), child, log, start)

    async def _end(self, process: _Process, grace_seconds: float) -> Exit:
        which = processes.signal_named(process.spec.stop_signal)
        return await processes.end(process.child, which, grace_seconds, self._hurry)

    def _ended(self, sandbox: _Sandbox, process: _Process) -> None:
        clearing = asyncio.create_task(self._clear(sandbox, process))
        self._clearings.add(clearing)
        clearing.add_done_callback(self._clearings.discard)
        self._told(process.state())

    async def _clear(self, sandbox: _Sandbox, process: _Process) -> None:
        """End the daemons that a process left: they would keep its ports from the one that is started next.

        One that is being started at the moment shows no environment, so more than one look is needed.
        """
        marker = f"{_START}={process.start}"
        for _ in range(_LOOKS):
            await processes.kill_until_none(
                lambda: {pid for pid in _inside(sandbox) if procfs.has_environment(pid, marker)}
            )
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def _others_inside(self, sandbox: _Sandbox) -> set[int]:
        found = _inside(sandbox) - {sandbox.holder.pid}
        if not sandbox.holder.ended.done():
            return found
        # nobody holds the namespace any more: its number may already be that of a stranger's
        marked = [f"{name}={value}" for name, value in markers(self._mesh.mesh, self._mesh.directory).items()]
        return {pid for pid in found if procfs.has_environment(pid, *marked)}

    def _process(self, key: ProcessKey, *, required: bool) -> _Process | None:
        sandbox = self._sandboxes.get(key.sandbox)
        found = sandbox.processes.get(key.name) if sandbox else None
        if found is None and required:
            raise Refused("unknown_process", f"there is no process {key.name} in sandbox {key.sandbox}")
        return found

    def _known(self, name: str) -> _Sandbox:
        sandbox = self._sandboxes.get(name)
        if sandbox is None or sandbox.holder.ended.done():
            raise Refused("unknown_sandbox", f"there is no sandbox {name}; create it first")
        return sandbox

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise Refused("stopping", f"mesh {self._mesh.mesh} is being stopped; nothing new is started")

    def _refuse_taken_address(self, spec: SandboxSpec) -> None:
        for other in self._sandboxes.values():
            if other.spec.address == spec.address:
                raise Refused("conflict", f"{spec.address} belongs to sandbox {other.spec.id}; take another address")

    def _change_of(self, name: str) -> asyncio.Lock:
        return self._changing.setdefault(name, asyncio.Lock())

    def _files(self, name: str) -> Path:
        return self._mesh.directory / "sandboxes" / name


def _root(sandbox: _Sandbox) -> Path:
    """Where the files are that processes of a sandbox see: they are the machine's where nothing is mounted."""
    return Path(f"/proc/{sandbox.holder.pid}/root") if sandbox.spec.mounts else Path("/")


def _with_role(sandbox: _Sandbox, role: Role) -> Iterable[_Process]:
    return [process for process in sandbox.processes.values() if process.spec.role == role]


def _inside(sandbox: _Sandbox) -> set[int]:
    return {pid for pid in procfs.pids() if procfs.network_namespace(pid) == sandbox.network}


def _same(found: _Existing, wanted: str, what: str) -> _Existing:
    if found.digest != wanted:
        raise Refused("conflict", f"{what} exists with another spec; remove it first")
    return found
