"""The life of one pod: its sandbox, its proxy before everything else, init containers in order, then the apps.

The end goes the other way: traffic is led away first, then the apps stop, then the proxy, then the sandbox goes.
"""

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lateen.api.core.container import Container, ContainerRestart
from lateen.model.proxy import Role
from lateen.model.workload import Workload
from lateen.platforms.local import links, namespaces, pods, probes
from lateen.platforms.local.container_life import (
    ContainerCare,
    ContainerLife,
    ContainerMemory,
    Examination,
    Processes,
)
from lateen.platforms.local.containers import Ground, Program, Unrunnable, resolve_program
from lateen.platforms.local.environment import Sources
from lateen.platforms.local.envoy_process import (
    DRAIN_SECONDS,
    PROCESS_NAME,
    AdminClient,
    Bootstrap,
    BootstrapRequest,
    EnvoyProgram,
)
from lateen.platforms.local.health import Health, ProbeKind, Thresholds, begin
from lateen.platforms.local.injection import Injection
from lateen.platforms.local.pods import PodDesign
from lateen.platforms.local.protocol import ProcessSpec, ProcessState, Refused, SandboxSpec, SandboxState
from lateen.platforms.local.report import ContainerKind, WorkloadRow

_log = logging.getLogger(__name__)

_PROXY_START: Final = Thresholds(period=0.5, timeout=1.0, once=True)
_PROXY_GRACE_SECONDS: Final = 2.0
_SANDBOX_RETRY_SECONDS: Final = 1.0
# A client's proxy that has just learnt of the end may still have a request on its way.
_LAST_REQUEST_SECONDS: Final = 0.05
_SLOW_PROXY_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What all pods of this machine share. `directory` is the mesh's run directory."""

    processes: Processes
    prober: probes.Prober
    bootstrap: Bootstrap
    envoy: EnvoyProgram
    ground: Ground
    directory: Path
    sources: Callable[[str], Sources]

    @property
    def xds_socket(self) -> Path:
        """Where proxies reach the control plane."""
        return self.directory / "xds.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodMemory:
    """What must be known of a pod to take it over after a restart of the control plane."""

    created: float
    containers: Mapping[str, ContainerMemory] = field(default_factory=dict)


class PodLife:
    """One pod from its sandbox's making to its removal.

    `changed` is called whenever the pod's readiness or row may have changed; `tell` takes lines for people.
    """

    def __init__(
        self,
        design: PodDesign,
        injection: Injection,
        machine: Machine,
        changed: Callable[["PodLife"], None],
        tell: Callable[["PodLife", str], None],
        *,
        memory: PodMemory,
    ) -> None:
        self.design = design
        self.stopping = False
        self.gone = False
        self._injection = injection
        self._machine = machine
        self._report_change = changed
        self._report_line = tell
        self._memory = memory
        self._sandbox: SandboxState | None = None
        self._problem = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._directory = machine.directory / "w" / design.sandbox
        self._admin = AdminClient(self._directory / "admin.sock")
        self._inits = tuple(self._container(each, "init") for each in design.init_containers)
        self._apps = tuple(self._container(each, "app") for each in design.app_containers)
        self._proxy = self._proxy_life() if injection.role else None

    @property
    def role(self) -> Role | None:
        """The role of the pod's proxy; None without one."""
        return self._injection.role

    @property
    def ready(self) -> bool:
        """Whether the pod may get traffic: all its containers are ready, the proxy too."""
        needed = [*self._apps, *(life for life in self._inits if life.care.policy == "Always")]
        if self._proxy is not None:
            needed.append(self._proxy)
        return not self.stopping and bool(needed) and all(life.ready for life in needed)

    @property
    def workload(self) -> Workload:
        """The pod as the mesh knows it."""
        return pods.workload(self.design, ready=self.ready, proxied=self.role is not None)

    @property
    def memory(self) -> PodMemory:
        """What a successor needs to know."""
        remembered = {life.care.name: life.memory for life in self._lives()}
        return PodMemory(created=self._memory.created, containers=remembered)

    @property
    def row(self) -> WorkloadRow:
        """The pod for people."""
        design = self.design
        apps = self._apps or ((self._proxy,) if self._proxy else ())
        status, reason = self._status()
        return WorkloadRow(
            namespace=design.namespace,
            name=design.name,
            app=design.labels.get("app") or design.labels.get("app.kubernetes.io/name", ""),
            version=design.labels.get("version") or design.labels.get("app.kubernetes.io/version", ""),
            address=design.address,
            ready=f"{sum(life.ready for life in apps)}/{len(apps)}",
            is_ready=self.ready,
            status=status,
            reason=reason,
            restarts=sum(life.row.restarts for life in self._lives()),
            created=self._memory.created,
            owner=design.owner,
            role=self.role.value if self.role else "",
            containers=tuple(life.row for life in self._lives()),
            holder_pid=self._sandbox.holder_pid if self._sandbox else None,
            admin_socket=str(self._directory / "admin.sock") if self._proxy else "",
        )

    def adopt(self, sandbox: SandboxState) -> None:
        """Take over a pod whose sandbox exists, before `start`: what runs in it goes on untouched."""
        self._sandbox = sandbox
        found = {process.name: process for process in sandbox.processes}
        for life in self._lives():
            if life.care.name in found:
                life.adopt(found[life.care.name])

    def start(self) -> None:
        """Begin to bring the pod up, or to follow it when it was adopted."""
        self._spawn(self._bring_up())

    def exited(self, process: ProcessState) -> None:
        """Take notice that one of the pod's processes has ended."""
        for life in self._lives():
            if life.care.name == process.name:
                life.exited(process)

    def nudge(self) -> None:
        """Try again at once what waits for a change of the config."""
        for life in self._lives():
            life.nudge()

    async def stop(self, withdrawn: Callable[["PodLife"], Awaitable[None]]) -> None:
        """End the pod without losing a request; returns when nothing of it is left.

        `withdrawn` returns when no proxy sends the pod anything new any more.
        """
        was_ready = self.ready
        self.stopping = True
        self._changed()
        deadline = time.monotonic() + self.design.spec.termination_grace_period_seconds
        if was_ready:
            await withdrawn(self)
            await self._drain()
        await asyncio.gather(*(self._end(life, deadline) for life in self._apps))
        for life in reversed(self._inits):
            await self._end(life, deadline)
        if self._proxy is not None:
            await self._proxy.stop(_PROXY_GRACE_SECONDS)
        await self.abandon()
        with contextlib.suppress(Refused):
            await self._machine.processes.delete_sandbox(self.design.sandbox, _PROXY_GRACE_SECONDS)
        shutil.rmtree(self._directory, ignore_errors=True)
        self.gone = True
        self._changed()

    async def abandon(self) -> None:
        """Stop following the pod and leave its processes alone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._admin.close()

    async def _bring_up(self) -> None:
        if self._sandbox is None:
            self._sandbox = await self._create_sandbox()
        if self._proxy is not None:
            await self._bring_up_proxy(self._proxy)
        if any(life.running for life in self._apps):
            for life in self._inits:
                if life.running:
                    self._spawn(life.run())
        elif not await self._run_inits():
            return
        for life in self._apps:
            self._spawn(life.run())

    async def _create_sandbox(self) -> SandboxState:
        """Make the sandbox; goes on trying while the machine does not allow it."""
        while True:
            try:
                return await self._machine.processes.create_sandbox(sandbox_spec(self.design, self._injection))
            except Refused as refusal:
                self._say_problem(f"cannot make its network namespace: {refusal.message}")
                await asyncio.sleep(_SANDBOX_RETRY_SECONDS)

    async def _bring_up_proxy(self, proxy: ContainerLife) -> None:
        self._write_bootstrap()
        self._spawn(proxy.run())
        try:
            async with asyncio.timeout(_SLOW_PROXY_SECONDS):
                await self._until(lambda: proxy.ready)
        except TimeoutError:
            self._say_problem(f"its proxy is not ready after {_SLOW_PROXY_SECONDS:.0f} s; see the proxy's log")
            await self._until(lambda: proxy.ready)
            self._problem = ""

    async def _run_inits(self) -> bool:
        """Run the init containers in order; False when one failed for good. Sidecars among them are not waited for."""
        for life in self._inits:
            task = self._spawn(life.run())
            if life.care.policy == "Always":
                await self._until(lambda life=life: life.started)  # type: ignore[misc]
                continue
            await asyncio.wait({task})
            if life.finished is None or life.finished.code != 0:
                self._say_problem(f"init container {life.care.name} failed")
                return False
        return True

    async def _drain(self) -> None:
        """Have the proxy send its clients away, and wait for the requests that are under way."""
        role = self.role
        if role is None or self._proxy is None or not self._proxy.ready or not await self._admin.drain(role):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await asyncio.sleep(_LAST_REQUEST_SECONDS)
                await self._admin.idle(role)

    async def _end(self, life: ContainerLife, deadline: float) -> None:
        """Run a container's preStop hook and stop it, both within the pod's grace."""
        container = self._declared(life.care.name)
        hook = container.lifecycle.pre_stop if container.lifecycle else None
        if hook is not None and life.running:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await probes.run_hook(
                        hook, self.design.address, self._ports, self._machine.prober, self._runner(container)
                    )
        await life.stop(max(1.0, deadline - time.monotonic()))

    def _container(self, container: Container, kind: ContainerKind) -> ContainerLife:
        policy = str(container.restart_policy or self.design.spec.restart_policy)
        if kind == "init" and container.restart_policy is not ContainerRestart.ALWAYS:
            policy = "Never" if policy == "Never" else "OnFailure"
        hook = container.lifecycle.post_start if container.lifecycle else None

        async def after_start() -> bool:
            assert hook is not None, "asked for only with a hook"
            run = self._runner(container)
            return await probes.run_hook(hook, self.design.address, self._ports, self._machine.prober, run)

        care = ContainerCare(
            name=container.name,
            kind=kind,
            policy=policy,
            prepare=lambda: self._prepare(container),
            examine=lambda known_good: self._examine(container, known_good),
            after_start=after_start if hook is not None else None,
            grace_seconds=float(self.design.spec.termination_grace_period_seconds),
        )
        return self._life(care)

    def _proxy_life(self) -> ContainerLife:
        spec = ProcessSpec(
            sandbox=self.design.sandbox,
            name=PROCESS_NAME,
            argv=self._machine.envoy.argv(self._bootstrap_file),
            env=self._machine.envoy.environment,
            cwd=str(self._directory),
            role="proxy",
        )

        def examine(known_good: bool) -> Examination:
            state = begin(ProbeKind.READINESS, _PROXY_START, time.monotonic(), known_good=known_good)
            return Examination(Health(probes=(state,)), {ProbeKind.READINESS: self._admin.is_ready})

        care = ContainerCare(
            name=PROCESS_NAME,
            kind="proxy",
            policy="Always",
            prepare=lambda: spec,
            examine=examine,
            at_once=True,
            grace_seconds=_PROXY_GRACE_SECONDS,
        )
        return self._life(care)

    def _life(self, care: ContainerCare) -> ContainerLife:
        def tell(line: str) -> None:
            self._report_line(self, f"{care.name} {line}")

        memory = self._memory.containers.get(care.name, ContainerMemory())
        return ContainerLife(care, self.design.sandbox, self._machine.processes, self._changed, tell, memory=memory)

    def _prepare(self, container: Container) -> ProcessSpec | Unrunnable:
        program = self._program(container)
        if isinstance(program, Unrunnable):
            return program
        declared = container.lifecycle.stop_signal if container.lifecycle else ""
        return ProcessSpec(
            sandbox=self.design.sandbox,
            name=container.name,
            argv=program.argv,
            env=program.environment,
            cwd=program.folder,
            stop_signal=declared or "SIGTERM",
        )

    def _program(self, container: Container) -> Program | Unrunnable:
        sources = self._machine.sources(self.design.namespace)
        return resolve_program(container, self.design.facts, sources, self._machine.ground, self.design.folder)

    def _examine(self, container: Container, known_good: bool) -> Examination:
        health = probes.health_at_start(container, time.monotonic(), known_good=known_good)
        run = self._runner(container)
        asks = probes.asks_of(container, self.design.address, self._ports, self._machine.prober, run)
        return Examination(health, asks)

    def _runner(self, container: Container) -> probes.RunCommand:
        """Give a way to run commands as the container would: in its sandbox, folder and environment."""

        async def run(command: Sequence[str]) -> int:
            like_it = container.model_copy(update={"command": tuple(command), "args": ()})
            program = self._program(like_it)
            if isinstance(program, Unrunnable) or self._sandbox is None:
                return 1
            return await run_inside(self._sandbox.holder_pid, program)

        return run

    def _write_bootstrap(self) -> None:
        assert self.role is not None, "only pods with a proxy have a bootstrap"
        workload = self.workload
        request = BootstrapRequest(
            key=self.design.key,
            role=self.role,
            address=self.design.address,
            labels=self.design.labels,
            annotations=self.design.annotations,
            service_account=workload.service_account,
            locality=workload.locality,
            xds_socket=str(self._machine.xds_socket),
            admin_socket=str(self._directory / "admin.sock"),
        )
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._bootstrap_file.write_text(json.dumps(self._machine.bootstrap(request), indent=1))

    @property
    def _bootstrap_file(self) -> Path:
        return self._directory / "bootstrap.json"

    @property
    def _ports(self) -> Mapping[str, int]:
        return pods.named_ports(self.design)

    def _declared(self, name: str) -> Container:
        spec = self.design.spec
        return next(each for each in (*spec.containers, *spec.init_containers) if each.name == name)

    def _lives(self) -> tuple[ContainerLife, ...]:
        proxies = (self._proxy,) if self._proxy is not None else ()
        return (*self._inits, *self._apps, *proxies)

    def _status(self) -> tuple[str, str]:
        """Give the word and the reason that `ps` shows: the first thing that keeps the pod from being ready."""
        if self.stopping:
            return "Stopping", ""
        if self._problem:
            return "Pending", self._problem
        for life in self._lives():
            row = life.row
            if row.state == "waiting" and row.reason not in ("", "ContainerCreating"):
                word = row.reason.partition(":")[0]
                return word if " " not in word else "Error", f"{row.name}: {row.reason}"
        return self._phase(), ""

    def _phase(self) -> str:
        finished = [life.finished for life in self._apps if life.finished is not None]
        if finished and len(finished) == len(self._apps):
            return "Completed" if all(ended.code == 0 for ended in finished) else "Error"
        if any(life.running for life in self._apps) or (not self._apps and self.ready):
            return "Running"
        return "Init" if any(life.running for life in self._inits) else "Pending"

    def _say_problem(self, text: str) -> None:
        if text != self._problem:
            self._problem = text
            self._report_line(self, text)
            self._changed()

    def _changed(self) -> None:
        self._news.set()
        self._report_change(self)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._news.clear()
            await self._news.wait()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(work), name=f"{self.design.key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            _log.exception("the life of pod %s broke off", self.design.key)
            self._say_problem("Lateen lost track of it by a defect of its own; see control-plane.log")


def sandbox_spec(design: PodDesign, injection: Injection) -> SandboxSpec:
    """Say what sandbox a pod needs. Only a sidecar knows the names of the mesh; else the node's resolver is asked."""
    domain = "svc.cluster.local"
    qualified = (f"{design.hostname}.{design.subdomain}.{design.namespace}.{domain}",) if design.subdomain else ()
    aliases = {name: alias.ip for alias in design.spec.host_aliases for name in alias.hostnames}
    return SandboxSpec(
        id=design.sandbox,
        address=design.address,
        hostname=design.hostname,
        nameserver=str(links.NAMESERVER if injection.interception else links.NODE),
        search=(f"{design.namespace}.{domain}", domain, "cluster.local"),
        hosts={**dict.fromkeys(qualified, design.address), **aliases},
        interception=injection.interception,
    )


async def run_inside(holder_pid: int, program: Program) -> int:
    """Run a program in a sandbox to its end; give its exit code. It dies with the caller's patience."""
    # the control plane already lives in the mesh's user namespace: only the inner namespaces are entered
    argv = namespaces.child_argv(holder_pid, program.argv, rootless=False, cwd=program.folder)
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=dict(program.environment),
        start_new_session=True,
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
