"""The node agent: makes the pods that the config wants, keeps them as they should be, and reports them to the mesh.

It lives in the control plane and may die with it at any time: sandboxes and processes belong to the supervisor and go
on, and the next agent takes them over as they are.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from lateen.api.config_set import ConfigSet
from lateen.api.core.config_map import ConfigMap
from lateen.api.core.secret import Secret
from lateen.api.mesh.settings import mesh_config
from lateen.api.networking.workload_group import WorkloadGroup
from lateen.errors import Unavailable
from lateen.model.proxy_settings import ProxySettings, proxy_settings
from lateen.model.snapshot import Snapshot
from lateen.model.workload import HealthVerdict, Workload, WorkloadKey
from lateen.platforms.local import pods, remembered, report, rollouts, scraping
from lateen.platforms.local.care import Machine
from lateen.platforms.local.container_life import Processes
from lateen.platforms.local.containers import Ground
from lateen.platforms.local.environment import Sources
from lateen.platforms.local.envoy_process import Bootstrap, EnvoyProgram
from lateen.platforms.local.identities import Identities
from lateen.platforms.local.injection import Injection, takes_all
from lateen.platforms.local.notices import notices_of
from lateen.platforms.local.pod_addresses import next_address
from lateen.platforms.local.pod_life import PodLife, PodMemory
from lateen.platforms.local.pods import Owner, PodDesign
from lateen.platforms.local.probes import PROBE_SOURCE, Prober
from lateen.platforms.local.protocol import Event, MeshState, ProcessState, Refused, SandboxState
from lateen.platforms.local.publishing import (
    HOST_ADDRESS,
    HostPorts,
    Publisher,
    metrics_publication,
    wanted_publications,
)
from lateen.platforms.local.remembered import Remembered, RememberedPod
from lateen.platforms.local.report import Notice, PublishedRow, WorkloadRow
from lateen.platforms.local.rollouts import NAME_LETTERS, Existing
from lateen.platforms.local.volumes import contents_of
from lateen.telemetry.targets import ScrapeTarget

_log = logging.getLogger(__name__)

WITHDRAWAL_SECONDS: Final = 2.0
_SUFFIX_LENGTH: Final = 5
# Several changes that come together are one round; nobody notices so short a delay.
_GATHERING_SECONDS: Final = 0.02


class Mesh(Protocol):
    """The control loop, as far as the agent needs it."""

    @property
    def config(self) -> ConfigSet: ...
    def report_workloads(self, upserts: Iterable[Workload], removals: Iterable[WorkloadKey] = ()) -> int: ...
    def subscribe(self, listener: Callable[[Snapshot], None]) -> None: ...
    def as_seen(self, workload: Workload) -> Workload: ...


class Supervisor(Processes, Publisher, Protocol):
    """The supervisor, as far as the agent needs it."""

    async def list_mesh(self) -> MeshState: ...
    def events(self) -> AsyncIterator[Event]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What an agent must be told; `directory` is the mesh's run directory.

    `metrics_port` is where the mesh's metrics are read, 0 where nobody offers them.
    """

    directory: Path
    bootstrap: Bootstrap
    envoy: EnvoyProgram
    identities: Identities | None = None
    ground: Ground = field(default_factory=Ground)
    host_address: str = HOST_ADDRESS
    probe_source: str = PROBE_SOURCE
    metrics_port: int = 0


class Agent:
    """Keeps the machine as the config wants it. One event loop; `run` once, after the config was read.

    `wait_settled(generation, seconds)` returns when every proxy has acknowledged a generation, or after the time.
    `tell` gets one line for people at a time. `adopted` is set as soon as everything that ran before has been reported
    as it was: before that no proxy should be served.
    """

    def __init__(
        self,
        mesh: Mesh,
        supervisor: Supervisor,
        settings: AgentSettings,
        wait_settled: Callable[[int, float], Awaitable[object]],
        tell: Callable[[str], None],
    ) -> None:
        self.adopted = asyncio.Event()
        self._mesh = mesh
        self._supervisor = supervisor
        self._wait_settled = wait_settled
        self._tell = tell
        self._file = settings.directory / "agent.json"
        self._prober = Prober(settings.probe_source)
        self._machine = Machine(
            processes=supervisor,
            prober=self._prober,
            bootstrap=settings.bootstrap,
            envoy=settings.envoy,
            ground=settings.ground,
            directory=settings.directory,
            sources=self._sources,
            contents=lambda namespace: contents_of(self._mesh.config, namespace),
            settings=self._proxy_settings,
            identities=settings.identities,
        )
        self._lives: dict[WorkloadKey, PodLife] = {}
        self._reported: dict[WorkloadKey, Workload] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._owners: tuple[Owner, ...] = ()
        self._seen_config: ConfigSet | None = None
        self._seen_health: dict[WorkloadKey, tuple[bool, HealthVerdict | None]] = {}
        self._notices: dict[tuple[str, str, str], Notice] = {}
        self._waiting_for_groups: set[tuple[str, str, str]] = set()
        self._last_address = ""
        self._host_ports = HostPorts(supervisor, {}, settings.host_address)
        self._host_address = settings.host_address
        self._metrics = (metrics_publication(settings.metrics_port),) if settings.metrics_port else ()
        self._work = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Take over what runs, then follow config and processes until cancelled; leaves everything running."""
        async with asyncio.TaskGroup() as tasks:
            events = tasks.create_task(self._follow_events())
            try:
                await self._adopt()
                self._mesh.subscribe(lambda _: self._look_at_config())
                self._look_at_config()
                while True:
                    await self._work.wait()
                    await asyncio.sleep(_GATHERING_SECONDS)
                    self._work.clear()
                    await self._work_once()
            finally:
                events.cancel()
                await asyncio.gather(*(life.abandon() for life in self._lives.values()))
                await self._prober.close()

    def workload_rows(self) -> tuple[WorkloadRow, ...]:
        """List the pods, ordered by namespace and name."""
        return tuple(self._lives[key].row for key in sorted(self._lives))

    def find(self, reference: str, namespace: str = "") -> tuple[WorkloadRow, ...]:
        """List the pods that a reference such as `deploy/sleep` means; see `report.find`."""
        return report.find(self.workload_rows(), reference, namespace)

    def scrape_targets(self) -> tuple[ScrapeTarget, ...]:
        """List where the metrics of the pods are, ordered by namespace and name."""
        merges = mesh_config(self._mesh.config).enable_prometheus_merge
        return tuple(scraping.scrape_target(self._lives[key], merges) for key in sorted(self._lives))

    def notices(self) -> tuple[Notice, ...]:
        """List what is in the config and has no effect here."""
        return tuple(self._notices.values())

    def published(self) -> tuple[PublishedRow, ...]:
        """List the ports that are, or should be, open on the host."""
        return self._host_ports.rows

    def is_all_taken(self) -> bool:
        """Tell whether every pod has a sidecar that takes all its outbound connections."""
        return all(takes_all(life.role, life.design.annotations) for life in self._lives.values())

    def is_settled(self) -> bool:
        """Tell whether the config was read and every pod that it wants is ready."""
        wanted = sum(owner.replicas.count for owner in self._owners)
        ready = sum(life.ready for life in self._lives.values())
        return self._seen_config is not None and ready >= wanted and not self._endings

    async def _adopt(self) -> None:
        """Take over every pod that runs and is known, remove sandboxes that nobody knows, report all at once."""
        memory = remembered.read(self._file)
        state = await self._supervisor.list_mesh()
        found = {sandbox.id: sandbox for sandbox in state.sandboxes}
        self._last_address = memory.last_address
        self._host_ports = HostPorts(self._supervisor, memory.host_ports, self._host_address)
        for pod in memory.pods:
            if pod.design.sandbox in found:
                self._take_over(pod, found.pop(pod.design.sandbox))
        for sandbox in found:
            with contextlib.suppress(Refused):
                await self._supervisor.delete_sandbox(sandbox)
        self._report(self._lives.values())
        self._seen_health = {key: (life.ready, life.verdict) for key, life in self._lives.items()}
        self.adopted.set()
        for life in tuple(self._lives.values()):
            life.start()

    def _take_over(self, pod: RememberedPod, sandbox: SandboxState) -> None:
        life = self._life(pod.design, Injection(pod.role), pod.memory)
        life.adopt(sandbox)
        self._lives[life.design.key] = life

    async def _follow_events(self) -> None:
        async for event in self._supervisor.events():
            if event.name == "process_exited" and event.process is not None:
                self._exited(event.process)
            elif event.name == "stopping":
                # the supervisor ends everything now: what dies is not to be started again
                self._stopping = True
                await asyncio.gather(*(life.abandon() for life in self._lives.values()))
            elif event.name == "subscribed":
                await self._catch_up()

    async def _catch_up(self) -> None:
        """Learn of the deaths that were missed while the supervisor could not be heard."""
        for sandbox in (await self._supervisor.list_mesh()).sandboxes:
            for process in sandbox.processes:
                if process.exit is not None:
                    self._exited(process)

    def _exited(self, process: ProcessState) -> None:
        for life in self._lives.values():
            if life.design.sandbox == process.sandbox:
                life.exited(process)

    def _look_at_config(self) -> None:
        """Note that the config may have changed. Called with every snapshot, so it must be cheap."""
        # who of a group is an endpoint is decided by the mesh, and open ports on the host depend on it
        if self._mesh.config is not self._seen_config or any(life.group for life in self._lives.values()):
            self._work.set()

    async def _work_once(self) -> None:
        """Do one round: what the config wants, then ports, then what a successor must know."""
        if self._stopping:
            return
        try:
            self._read_config()
            for owner in self._owners:
                self._apply_step(owner)
            self._stop_orphans()
            self._remember()
            await self._publish()
        except (Refused, Unavailable) as problem:
            self._tell(str(problem))

    def _read_config(self) -> None:
        config = self._mesh.config
        if config is self._seen_config:
            return
        self._seen_config = config
        self._owners = pods.desired_owners(config)
        for owner in self._owners:
            for notice in notices_of(owner):
                self._note(notice)
        for life in self._lives.values():
            life.nudge()
            self._look_at_group(life)

    def _look_at_group(self, life: PodLife) -> None:
        """Have a member's health watched as its group says now; tell once while there is no such group."""
        if not life.group or life.stopping:
            return
        group = self._mesh.config.shelf(WorkloadGroup, life.design.namespace).get(life.group)
        waiting = (life.design.namespace, life.design.owner, life.group)
        if group is not None and isinstance(group.spec, WorkloadGroup):
            self._waiting_for_groups.discard(waiting)
            life.check(group.spec.probe)
        elif waiting not in self._waiting_for_groups:
            self._waiting_for_groups.add(waiting)
            missing = f"WorkloadGroup {life.design.namespace}/{life.group} does not exist"
            self._tell(f"{_shown(life)}: {missing}: no service has it as an endpoint until it does")

    def _note(self, notice: Notice) -> None:
        key = (notice.namespace, notice.subject, notice.text)
        if key not in self._notices:
            self._notices[key] = notice
            self._tell(f"{notice.subject} {notice.text}")

    def _apply_step(self, owner: Owner) -> None:
        """Bring one owner's pods a step closer to what it wants."""
        own = [life for life in self._lives.values() if _belongs(life.design, owner)]
        own.sort(key=lambda life: life.memory.created)
        existing = [
            Existing(
                name=life.design.name,
                revision=life.design.revision,
                ready=life.ready,
                stopping=life.stopping,
            )
            for life in own
        ]
        step = rollouts.plan_step(owner.replicas, existing, _random_suffix)
        for life in own:
            if life.design.name in step.stop:
                self._stop(life)
        for name in step.start:
            self._start(owner, name)

    def _start(self, owner: Owner, name: str) -> None:
        key = WorkloadKey(owner.namespace, name)
        if (other := self._lives.get(key)) is not None:
            text = f"has a pod {name}, and so has {other.design.owner}: rename one of them"
            self._note(Notice(subject=owner.label, namespace=owner.namespace, text=text))
            return
        taken = {life.design.address for life in self._lives.values()}
        self._last_address = next_address(taken, self._last_address)
        life = self._designed(pods.design_pod(owner, name, self._last_address))
        self._lives[key] = life
        self._report([life])
        self._tell(f"{_shown(life)}: starting")
        life.start()
        self._look_at_group(life)

    def _designed(self, design: PodDesign) -> PodLife:
        injection = pods.injection_of(design, self._mesh.config)
        for problem in injection.problems:
            self._note(Notice(subject=design.owner, namespace=design.namespace, text=f"has a wrong {problem}"))
        group, network = pods.group_and_network(self._proxy_settings(design).environment)
        return self._life(design, injection, PodMemory(created=time.time(), group=group, network=network))

    def _life(self, design: PodDesign, injection: Injection, memory: PodMemory) -> PodLife:
        return PodLife(design, injection, self._machine, self._pod_changed, self._pod_tells, memory=memory)

    def _stop_orphans(self) -> None:
        """Stop the pods whose owner is gone."""
        owners = {(owner.namespace, owner.label) for owner in self._owners}
        for life in tuple(self._lives.values()):
            if (life.design.namespace, life.design.owner) not in owners and not life.stopping:
                self._stop(life)

    def _stop(self, life: PodLife) -> None:
        self._tell(f"{_shown(life)}: stopping")
        task = asyncio.create_task(self._end(life), name=f"end of {life.design.key}")
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _end(self, life: PodLife) -> None:
        try:
            await life.stop(self._withdrawn)
        except Exception:
            _log.exception("the end of pod %s broke off", life.design.key)
        finally:
            self._lives.pop(life.design.key, None)
            self._reported.pop(life.design.key, None)
            self._seen_health.pop(life.design.key, None)
            self._mesh.report_workloads((), [life.design.key])
            self._work.set()

    async def _withdrawn(self, life: PodLife) -> None:
        generation = self._report([life])
        await self._wait_settled(generation, WITHDRAWAL_SECONDS)

    def _pod_changed(self, life: PodLife) -> None:
        """Report a pod at once when its readiness is another, and look at the rest in the next round."""
        key = life.design.key
        if self._lives.get(key) is not life:
            return
        seen = (life.ready, life.verdict)
        if (before := self._seen_health.get(key)) != seen:
            self._seen_health[key] = seen
            # written down before anybody is told: a successor must not know less than the mesh does
            self._remember()
            self._report([life])
            if life.ready and (before is None or not before[0]):
                self._tell(f"{_shown(life)}: ready ({time.time() - life.memory.created:.1f} s)")
        self._work.set()

    def _pod_tells(self, life: PodLife, line: str) -> None:
        self._tell(f"{_shown(life)}: {line}")

    def _report(self, lives: Iterable[PodLife]) -> int:
        """Report what differs from what the mesh knows; gives the generation that contains it, 0 for no difference."""
        news = [
            workload
            for workload in (life.workload for life in lives if not life.gone)
            if self._reported.get(workload.key) != workload
        ]
        self._reported.update((workload.key, workload) for workload in news)
        return self._mesh.report_workloads(news) if news else 0

    async def _publish(self) -> None:
        workloads = map(self._mesh.as_seen, self._reported.values())
        wanted = (*wanted_publications(self._mesh.config, workloads), *self._metrics)
        before = set(self._host_ports.given.items())
        if not await self._host_ports.publish(wanted):
            return
        for publication, row in zip(wanted, self._host_ports.rows, strict=True):
            if row.error:
                self._tell(f"service {row.service} port {row.port} cannot be published: {row.error}")
            elif (publication.key, row.host_port) not in before:
                self._tell(f"service {row.service} port {row.port} is at {row.url}")
        self._remember()

    def _remember(self) -> None:
        known = tuple(
            RememberedPod(design=life.design, role=life.role, memory=life.memory)
            for life in self._lives.values()
            if not life.gone
        )
        remembered.write(
            self._file,
            Remembered(pods=known, last_address=self._last_address, host_ports=self._host_ports.given),
        )

    def _proxy_settings(self, design: PodDesign) -> ProxySettings:
        """Say how the proxy of a pod is started."""
        config = self._mesh.config
        about = (design.namespace, design.labels, design.annotations)
        return proxy_settings(config, mesh_config(config), *about)

    def _sources(self, namespace: str) -> Sources:
        """Give the ConfigMaps and Secrets of a namespace as containers read them."""

        def config_map(name: str) -> Mapping[str, str] | None:
            found = self._mesh.config.shelf(ConfigMap, namespace).get(name)
            return found.spec.data if found is not None and isinstance(found.spec, ConfigMap) else None

        def secret(name: str) -> Mapping[str, str] | None:
            found = self._mesh.config.shelf(Secret, namespace).get(name)
            if found is None or not isinstance(found.spec, Secret):
                return None
            return {key: content.decode(errors="replace") for key, content in found.spec.contents().items()}

        return Sources(config_map=config_map, secret=secret)


def _belongs(design: PodDesign, owner: Owner) -> bool:
    return (design.namespace, design.owner) == (owner.namespace, owner.label)


def _shown(life: PodLife) -> str:
    """Give a pod's name as progress lines show it: a Deployment's name stands for its pods."""
    return life.design.owner_name if life.design.owner_kind == "Deployment" else life.design.name


def _random_suffix() -> str:
    return "".join(secrets.choice(NAME_LETTERS) for _ in range(_SUFFIX_LENGTH))
