"""How the containers of a pod are started, examined and restarted: the particulars that `container_life` asks for."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from lateen.api.core.container import Container, ContainerRestart
from lateen.api.core.probe import LifecycleHook, Probe
from lateen.model.proxy import Role
from lateen.model.proxy_settings import ProxySettings
from lateen.model.workload import Locality
from lateen.platforms.local import namespaces, pods, probes, probing
from lateen.platforms.local.container_life import ContainerCare, Examination, Processes
from lateen.platforms.local.containers import Ground, Program, Unrunnable, resolve_program
from lateen.platforms.local.environment import Sources
from lateen.platforms.local.envoy_process import (
    PROCESS_NAME,
    AdminClient,
    Bootstrap,
    BootstrapRequest,
    EnvoyProgram,
)
from lateen.platforms.local.health import Health, ProbeKind, Thresholds, begin
from lateen.platforms.local.identities import Identities
from lateen.platforms.local.mixer_files import ADMIN_SOCKET, MIXER_SOCKET
from lateen.platforms.local.pods import PodDesign
from lateen.platforms.local.protocol import Mount, ProcessSpec
from lateen.platforms.local.proxy_environment import proxy_environment
from lateen.platforms.local.report import ContainerKind
from lateen.platforms.local.volume_folders import PodVolumes
from lateen.platforms.local.volumes import Contents

PROXY_GRACE_SECONDS: Final = 2.0
METRICS_SOCKET: Final = "metrics.sock"
_PROXY_START: Final = Thresholds(period=0.5, timeout=1.0, once=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What all pods of this machine share. `directory` is the mesh's run directory.

    Without `identities` no proxy gets credentials.
    """

    processes: Processes
    prober: probes.Prober
    bootstrap: Bootstrap
    envoy: EnvoyProgram
    ground: Ground
    directory: Path
    sources: Callable[[str], Sources]
    contents: Callable[[str], Contents]
    settings: Callable[[PodDesign], ProxySettings] = lambda design: ProxySettings()
    identities: Identities | None = None


class PodCare:
    """Knows one pod's containers; `holder_pid` must be set before one of its commands is run inside the sandbox."""

    def __init__(self, design: PodDesign, machine: Machine) -> None:
        self.directory = machine.directory / "w" / design.sandbox
        self.admin_socket = self.directory / "admin.sock"
        self._sds_socket = self.directory / "sds.sock"
        self.admin = AdminClient(self.admin_socket)
        self.holder_pid: int | None = None
        self._design = design
        self._machine = machine
        home = design.folder or machine.ground.folder
        self.volumes = PodVolumes(design, machine.directory, home, machine.contents, machine.sources)
        self._programs = (home, str(Path(machine.envoy.binary).parent), sys.prefix)
        self._ports = pods.named_ports(design)
        self._bootstrap_file = self.directory / "bootstrap.json"

    @property
    def settings(self) -> ProxySettings:
        """What the pod's proxy is started with, if it is started now."""
        return self._machine.settings(self._design)

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """What the pod's sandbox is to mount."""
        return self.volumes.mounts

    @property
    def visible(self) -> tuple[str, ...]:
        """What containers and proxy are run from, which no mount may cover."""
        return self._programs if self.mounts else ()

    def container(self, container: Container, kind: ContainerKind) -> ContainerCare:
        """Say how an app or init container is cared for."""
        hook = container.lifecycle.post_start if container.lifecycle else None
        return ContainerCare(
            name=container.name,
            kind=kind,
            policy=self._policy(container, kind),
            prepare=lambda: self._process(container),
            examine=lambda known_good: self._examine(container, known_good),
            after_start=(lambda: self._run_hook(hook, container)) if hook else None,
            grace_seconds=float(self._design.spec.termination_grace_period_seconds),
        )

    def proxy(self) -> ContainerCare:
        """Say how the proxy is cared for."""
        settings = self.settings
        spec = ProcessSpec(
            sandbox=self._design.sandbox,
            name=PROCESS_NAME,
            argv=self._machine.envoy.argv(self._bootstrap_file, settings),
            env={**self._machine.envoy.environment, **settings.environment, **proxy_environment(self._design)},
            cwd=str(self.directory),
            role="proxy",
        )

        def examine(known_good: bool) -> Examination:
            state = begin(ProbeKind.READINESS, _PROXY_START, time.monotonic(), known_good=known_good)
            return Examination(Health(probes=(state,)), {ProbeKind.READINESS: self.admin.is_ready})

        return ContainerCare(
            name=PROCESS_NAME,
            kind="proxy",
            policy="Always",
            prepare=lambda: spec,
            examine=examine,
            at_once=True,
            grace_seconds=PROXY_GRACE_SECONDS,
        )

    def group_ask(self, probe: Probe) -> probing.Ask:
        """Give the way to ask the probe of the pod's WorkloadGroup; its command runs as the first container would."""
        container = next(iter(self._design.app_containers), None)
        run = self._runner(container) if container is not None else _cannot_run
        return probes.ask_of(probe, self._design.address, self._ports, self._machine.prober, run)

    async def before_stop(self, name: str, seconds: float) -> None:
        """Run a container's preStop hook, if it has one, for so long at most."""
        container = next(
            each for each in (*self._design.app_containers, *self._design.init_containers) if each.name == name
        )
        hook = container.lifecycle.pre_stop if container.lifecycle else None
        if hook is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, seconds)):
                    await self._run_hook(hook, container)

    async def write_bootstrap(self, role: Role, locality: Locality) -> None:
        """Write the file that the proxy starts from."""
        group, network = pods.group_and_network(self.settings.environment)
        request = BootstrapRequest(
            key=self._design.key,
            role=role,
            address=self._design.address,
            labels=self._design.labels,
            annotations=self._design.annotations,
            owner=self._design.owner_name,
            service_account=self._design.spec.account,
            locality=locality,
            xds_socket=str(self._machine.directory / "xds.sock"),
            sds_socket=str(self._sds_socket),
            admin_socket=str(self.admin_socket),
            mixer_socket=str(self._machine.directory / MIXER_SOCKET),
            traces_socket=str(self._machine.directory / ADMIN_SOCKET),
            metrics_socket=str(self._machine.directory / METRICS_SOCKET),
            group=group,
            network=network,
            settings=self.settings,
        )
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        said = await self._machine.bootstrap(request)
        self._bootstrap_file.write_text(json.dumps(said, indent=1))

    async def admit(self) -> None:
        """Have the proxy get the credentials of its workload."""
        if self._machine.identities is not None:
            name = str(self._design.key)
            await self._machine.identities.admit(name, partial(pods.attested, self._design), self._sds_socket)

    async def dismiss(self) -> None:
        """Forget the workload's credentials."""
        if self._machine.identities is not None:
            await self._machine.identities.dismiss(str(self._design.key))

    def _policy(self, container: Container, kind: ContainerKind) -> str:
        """Give the restart policy: an init container runs until it succeeds, except where nothing is restarted."""
        policy = str(container.restart_policy or self._design.spec.restart_policy)
        if kind == "init" and container.restart_policy is not ContainerRestart.ALWAYS:
            return "Never" if policy == "Never" else "OnFailure"
        return policy

    def _process(self, container: Container) -> ProcessSpec | Unrunnable:
        program = self._program(container)
        if isinstance(program, Unrunnable):
            return program
        declared = container.lifecycle.stop_signal if container.lifecycle else ""
        return ProcessSpec(
            sandbox=self._design.sandbox,
            name=container.name,
            argv=program.argv,
            env=program.environment,
            cwd=program.folder,
            stop_signal=declared or "SIGTERM",
        )

    def _program(self, container: Container) -> Program | Unrunnable:
        design, machine = self._design, self._machine
        sources = machine.sources(design.namespace)
        return resolve_program(container, design.facts, sources, machine.ground, design.folder)

    def _examine(self, container: Container, known_good: bool) -> Examination:
        health = probes.health_at_start(container, time.monotonic(), known_good=known_good)
        return Examination(health, probes.asks_of(container, *self._means(container)))

    async def _run_hook(self, hook: LifecycleHook, container: Container) -> bool:
        return await probes.run_hook(hook, *self._means(container))

    def _means(self, container: Container) -> tuple[str, Mapping[str, int], probes.Prober, probes.RunCommand]:
        """Give what probes and hooks of a container need: address, ports, and the ways to ask."""
        return self._design.address, self._ports, self._machine.prober, self._runner(container)

    def _runner(self, container: Container) -> probes.RunCommand:
        """Give a way to run commands as the container would: in its sandbox, folder and environment."""

        async def run(command: Sequence[str]) -> int:
            like_it = container.model_copy(update={"command": tuple(command), "args": ()})
            program = self._program(like_it)
            if isinstance(program, Unrunnable) or self.holder_pid is None:
                return 1
            return await run_inside(self.holder_pid, program)

        return run


async def _cannot_run(command: Sequence[str]) -> int:
    return 1


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
