"""The life of one pod: its sandbox, its proxy before everything else, init containers in order, then the apps.

The end goes the other way: traffic is led away first, then the apps stop, then the proxy, then the sandbox goes.
"""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lateen.api.core.probe import Probe
from lateen.api.networking.workload_group import GroupProbe
from lateen.model.proxy import Role
from lateen.model.workload import HealthVerdict, Membership, Workload
from lateen.platforms.local import group_probes, links, pods, probes
from lateen.platforms.local.care import PROXY_GRACE_SECONDS, Machine, PodCare
from lateen.platforms.local.container_life import ContainerCare, ContainerLife, ContainerMemory
from lateen.platforms.local.group_probes import as_probe
from lateen.platforms.local.injection import Injection
from lateen.platforms.local.pod_status import pod_status
from lateen.platforms.local.pods import PodDesign
from lateen.platforms.local.protocol import Mount, ProcessState, Refused, SandboxSpec, SandboxState
from lateen.platforms.local.report import WorkloadRow

_log = logging.getLogger(__name__)

_SANDBOX_RETRY_SECONDS: Final = 1.0
# A client's proxy that has just learnt of the end may still have a request on its way.
_LAST_REQUEST_SECONDS: Final = 0.05
_SLOW_PROXY_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PodMemory:
    """What must be known of a pod to take it over after a restart of the control plane.

    `group` and `network` are what its proxy was started with, `verdict` is what the group's probe has said last.
    """

    created: float
    containers: Mapping[str, ContainerMemory] = field(default_factory=dict)
    group: str = ""
    network: str = ""
    verdict: HealthVerdict | None = None


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
        self._missing: tuple[str, ...] = ()
        self._problem = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._verdict = memory.verdict
        self._group_probe: GroupProbe | None = None
        self._group_watch: asyncio.Task[None] | None = None
        self._care = PodCare(design, machine)
        self._inits = tuple(self._life(self._care.container(each, "init")) for each in design.init_containers)
        self._apps = tuple(self._life(self._care.container(each, "app")) for each in design.app_containers)
        self._proxy = self._life(self._care.proxy()) if injection.role else None

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
        membership = Membership(self.group, self._verdict) if self.group else None
        return pods.workload(
            self.design,
            ready=self.ready,
            proxied=self.role is not None,
            membership=membership,
            network=self._memory.network,
        )

    @property
    def group(self) -> str:
        """The WorkloadGroup that the pod's proxy is to be a member of; empty for none."""
        return self._memory.group if self.role is not None else ""

    @property
    def verdict(self) -> HealthVerdict | None:
        """What the probe of the pod's group has found out; None where it has none, or has no answer yet."""
        return self._verdict

    @property
    def _health_problem(self) -> str:
        """Say why a pod that runs gets no traffic by its WorkloadEntry; empty where its group's probe is content."""
        verdict = self._verdict if self.group else None
        return f"not healthy: {verdict.message}" if verdict is not None and not verdict.healthy else ""

    @property
    def memory(self) -> PodMemory:
        """What a successor needs to know."""
        remembered = {life.care.name: life.memory for life in self._lives()}
        return replace(self._memory, containers=remembered, verdict=self._verdict)

    @property
    def row(self) -> WorkloadRow:
        """The pod for people."""
        design = self.design
        apps = self._apps or ((self._proxy,) if self._proxy else ())
        containers = tuple(life.row for life in self._lives())
        app, version = pods.app_and_version(design.labels)
        status, reason = pod_status(containers, stopping=self.stopping, problem=self._problem)
        return WorkloadRow(
            namespace=design.namespace,
            name=design.name,
            app=app,
            version=version,
            address=design.address,
            ready=f"{sum(life.ready for life in apps)}/{len(apps)}",
            is_ready=self.ready,
            status=status,
            reason=reason or self._health_problem,
            restarts=sum(row.restarts for row in containers),
            created=self._memory.created,
            owner=design.owner,
            role=self.role.value if self.role else "",
            containers=containers,
            holder_pid=self._sandbox.holder_pid if self._sandbox else None,
            admin_socket=str(self._care.admin_socket) if self._proxy else "",
        )

    def adopt(self, sandbox: SandboxState) -> None:
        """Take over a pod whose sandbox exists, before `start`: what runs in it goes on untouched."""
        self._enter(sandbox)
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

    def check(self, probe: GroupProbe | None) -> None:
        """Ask the probe of the pod's group from now on; the verdict of an earlier one holds until it has its own."""
        if probe == self._group_probe:
            return
        self._group_probe = probe
        if self._group_watch is not None:
            self._group_watch.cancel()
        if probe is None:
            self._verdict, self._group_watch = None, None
            self._changed()
        else:
            self._group_watch = self._spawn(self._watch_health(as_probe(probe, self.design.address)))

    def nudge(self) -> None:
        """Bring files from the config up to date, and try again at once what waits for a change of it."""
        if self._sandbox is not None and not self.stopping:
            self._refresh_volumes()
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
            await self._proxy.stop(PROXY_GRACE_SECONDS)
            await self._care.dismiss()
        await self.abandon()
        with contextlib.suppress(Refused):
            await self._machine.processes.delete_sandbox(self.design.sandbox, PROXY_GRACE_SECONDS)
        shutil.rmtree(self._care.directory, ignore_errors=True)
        self.gone = True
        self._changed()

    async def abandon(self) -> None:
        """Stop following the pod and leave its processes alone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._care.admin.close()

    async def _bring_up(self) -> None:
        if self._sandbox is None:
            self._enter(await self._create_sandbox())
        if self._proxy is not None and self._injection.role is not None:
            await self._bring_up_proxy(self._proxy, self._injection.role)
        if any(life.running for life in self._apps):
            for life in self._inits:
                if life.running:
                    self._spawn(life.run())
        elif not await self._run_inits():
            return
        for life in self._apps:
            self._spawn(life.run())

    def _enter(self, sandbox: SandboxState) -> None:
        self._sandbox = sandbox
        self._care.holder_pid = sandbox.holder_pid

    async def _create_sandbox(self) -> SandboxState:
        """Make the sandbox; goes on trying while the machine or the config does not allow it."""
        while True:
            if missing := self._care.volumes.prepare():
                self._say_problem(f"waits for what it mounts: {'; '.join(missing)}")
                await asyncio.sleep(_SANDBOX_RETRY_SECONDS)
                continue
            spec = sandbox_spec(self.design, self._injection, self._care.mounts, self._care.visible)
            try:
                sandbox = await self._machine.processes.create_sandbox(spec)
            except Refused as refusal:
                self._say_problem(f"cannot make its namespaces: {refusal.message}")
                await asyncio.sleep(_SANDBOX_RETRY_SECONDS)
            else:
                self._problem = ""
                return sandbox

    def _refresh_volumes(self) -> None:
        missing = self._care.volumes.refresh()
        if missing and missing != self._missing:
            self._report_line(self, f"goes on with the files that it has: {'; '.join(missing)}")
        self._missing = missing

    async def _bring_up_proxy(self, proxy: ContainerLife, role: Role) -> None:
        await self._care.admit()
        await self._care.write_bootstrap(role, self.workload.locality)
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

    async def _watch_health(self, probe: Probe) -> None:
        """Ask the group's probe once the application runs."""
        await self._until(lambda: all(life.running for life in self._apps or self._lives()))

        def tell(is_healthy: bool) -> None:
            if self.stopping:
                return
            message = "" if is_healthy else group_probes.said_of(probe)
            self._verdict = HealthVerdict(is_healthy, time.time(), message)
            self._report_line(self, "healthy" if is_healthy else f"not healthy: {message}")
            self._changed()

        known = self._verdict.healthy if self._verdict is not None else None
        await group_probes.watch(probes.thresholds(probe), self._care.group_ask(probe), tell, known=known)

    async def _drain(self) -> None:
        """Have the proxy send its clients away, and wait for the requests that are under way."""
        role = self.role
        if role is None or self._proxy is None or not self._proxy.ready or not await self._care.admin.drain(role):
            return
        settings = self._care.settings
        if settings.waits_for_connections:
            await self._until_unused(role, settings.minimum_drain.total_seconds())
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.termination_drain.total_seconds()):
                await asyncio.sleep(_LAST_REQUEST_SECONDS)
                await self._care.admin.idle(role)

    async def _until_unused(self, role: Role, at_least_seconds: float) -> None:
        """Wait until no client has a connection any more, at most for as long as the pod may take to end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(self.design.spec.termination_grace_period_seconds)):
                await asyncio.sleep(at_least_seconds)
                await self._care.admin.unused(role)

    async def _end(self, life: ContainerLife, deadline: float) -> None:
        """Run a container's preStop hook and stop it, both within the pod's grace."""
        if life.running:
            await self._care.before_stop(life.care.name, deadline - time.monotonic())
        await life.stop(max(1.0, deadline - time.monotonic()))

    def _life(self, care: ContainerCare) -> ContainerLife:
        def tell(line: str) -> None:
            self._report_line(self, f"{care.name} {line}")

        memory = self._memory.containers.get(care.name, ContainerMemory())
        return ContainerLife(care, self.design.sandbox, self._machine.processes, self._changed, tell, memory=memory)

    def _lives(self) -> tuple[ContainerLife, ...]:
        proxies = (self._proxy,) if self._proxy is not None else ()
        return (*self._inits, *self._apps, *proxies)

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


def sandbox_spec(
    design: PodDesign, injection: Injection, mounts: tuple[Mount, ...] = (), visible: tuple[str, ...] = ()
) -> SandboxSpec:
    """Say what sandbox a pod needs. Its sidecar answers for names, else the node's resolver does."""
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
        mounts=mounts,
        visible=visible,
    )
