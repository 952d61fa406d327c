"""A mesh while it is up: everything that its supervisor made, the order of making it, and the order of ending it."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from lateen.platforms.local import (
    leftovers,
    links,
    logs,
    mesh_sockets,
    namespaces,
    processes,
    procfs,
    protocol,
    resolver,
)
from lateen.platforms.local.companions import Companions
from lateen.platforms.local.control_socket import ControlSocket, Requests
from lateen.platforms.local.edge import Edge
from lateen.platforms.local.kept_alive import KeptAlive
from lateen.platforms.local.name_table import NameTable
from lateen.platforms.local.processes import Child, Nursery
from lateen.platforms.local.protocol import (
    Exit,
    Hello,
    MeshNames,
    MeshState,
    Nothing,
    PortOutcomes,
    Progress,
    PublishedPorts,
    Refused,
    ServiceRoutes,
    Shutdown,
)
from lateen.platforms.local.sandboxes import MeshNamespace, Sandboxes
from lateen.platforms.local.service_routing import ServiceRouting

RESISTED = 1
UNRECOVERABLE = 2
_LAST_GRACE_SECONDS = 3.0
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_log = logging.getLogger(__name__)


class CannotStart(Exception):
    """The mesh cannot be brought up; the message says why and what would help."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    name: str
    directory: Path
    control_plane: tuple[str, ...]
    foreground: bool = False
    grace_seconds: float = 5.0
    resolvers: tuple[resolver.Resolver, ...] = ()


class Mesh:
    """One mesh, from its namespace to its end."""

    def __init__(self, settings: Settings, envoy: Path) -> None:
        self._settings = settings
        self._envoy = envoy
        self._directory = settings.directory
        self._ledger = leftovers.Ledger(settings.directory)
        self._nursery = Nursery(self._ledger.add_process)
        self._hurry = asyncio.Event()
        self._end = asyncio.Event()
        self._end_reason = ""
        self._grace_seconds = settings.grace_seconds
        self._greeted = False
        self._exit_code = 0
        self._names = NameTable()
        self._socket = ControlSocket(settings.directory / "supervisor.sock")
        self._control_plane = KeptAlive(self._start_control_plane, self._control_plane_ended)

    async def run(self) -> int:
        """Brings the mesh up, holds it until it is to end, and takes it down; the exit status."""
        self._nursery.watch()
        self._heed_signals()
        async with contextlib.AsyncExitStack() as ending:
            ending.push_async_callback(self._sweep)
            await self._bring_up(ending)
            await self._end.wait()
            self._show(f"stopping mesh {self._settings.name}: {self._end_reason}")
            self._socket.publish("stopping", text=self._end_reason)
        return self._exit_code

    async def _bring_up(self, ending: contextlib.AsyncExitStack) -> None:
        """Makes everything, and says how it ends: last named, first ended."""
        (self._directory / "logs").mkdir(mode=0o700)
        self._mesh = await self._make_mesh_namespace()
        self._edge = Edge(self._mesh, self._envoy, self._nursery, self._hurry)
        ending.push_async_callback(self._edge.stop, _LAST_GRACE_SECONDS)
        self._companions = Companions(self._mesh, self._nursery, self._hurry)
        ending.push_async_callback(self._companions.close, _LAST_GRACE_SECONDS)
        ending.push_async_callback(self._control_plane.stop, _LAST_GRACE_SECONDS, self._hurry)
        self._sandboxes = Sandboxes(self._mesh, self._nursery, self._ledger, self._hurry, self._process_ended)
        ending.push_async_callback(self._end_workloads)
        self._services = ServiceRouting(self._mesh, self._nursery)
        self._edge.begin()
        await self._serve_names()
        await self._socket.open(self._requests())
        self._control_plane.begin()
        self._log_keeping = asyncio.create_task(logs.keep_short(self._directory, self._mesh.logs))

    async def _end_workloads(self) -> None:
        await self._sandboxes.close(self._grace_seconds)

    async def _sweep(self) -> None:
        """Ends what is still there, the namespaces' holder included; what resists makes the exit status 1."""
        recorded = leftovers.read_ledger(self._directory)
        name, directory = self._settings.name, self._directory
        if not await processes.kill_until_none(lambda: leftovers.survivors(name, directory, recorded)):
            self._exit_code = RESISTED
            self._show(f"some processes of mesh {name} cannot be killed; end them by hand")
        leftovers.remove_directory(directory)

    async def _make_mesh_namespace(self) -> MeshNamespace:
        files = self._directory / "mesh"
        files.mkdir(mode=0o755)
        for name, content in namespaces.mesh_files().items():
            (files / name).write_text(content)
        rootless = os.geteuid() != 0
        mesh = MeshNamespace(self._settings.name, self._directory, 0, rootless)
        argv = namespaces.mesh_holder_argv(files, rootless=rootless)
        holder, said = await self._nursery.start_talking(argv, mesh.environment(), namespaces.READY)
        network = procfs.network_namespace(holder.pid)
        if not said.endswith(f"{namespaces.READY}\n") or network is None:
            raise CannotStart(f"the mesh's network namespace cannot be made: {said.strip() or 'no reason given'}")
        self._ledger.add_network(network)
        holder.ended.add_done_callback(lambda _: self._begin_end("its network namespace was ended from outside"))
        return MeshNamespace(self._settings.name, self._directory, holder.pid, rootless)

    async def _serve_names(self) -> None:
        kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        place = (str(links.NODE), 53)
        rootless = self._mesh.rootless
        datagrams, streams = mesh_sockets.open_inside(self._mesh.holder_pid, kinds, place, rootless=rootless)
        upstream = resolver.HostResolvers(self._settings.resolvers)
        self._relays = (
            await resolver.serve_datagrams(datagrams, upstream, self._names),
            await resolver.serve_streams(streams, upstream, self._names),
        )

    def _start_control_plane(self) -> Child:
        argv = namespaces.child_argv(
            self._mesh.holder_pid, self._settings.control_plane, rootless=self._mesh.rootless, cwd=str(Path.cwd())
        )
        environment = {
            **os.environ,
            **self._mesh.environment(),
            "LATEEN_SUPERVISOR_SOCKET": str(self._directory / "supervisor.sock"),
            "PATH": os.environ.get("PATH", os.defpath),
        }
        return self._nursery.start_logged(argv, environment, self._directory / "control-plane.log")

    def _control_plane_ended(self, exit: Exit) -> None:
        _log.warning("the control plane ended: %s", exit)
        self._socket.publish("control_plane_exited", exit=exit)
        if exit.code == UNRECOVERABLE and not self._greeted:
            self._show(logs.tail(self._directory / "control-plane.log"))
            self._exit_code = UNRECOVERABLE
            self._begin_end("its control plane cannot start")

    def _process_ended(self, process: protocol.ProcessState) -> None:
        self._socket.publish("process_exited", process=process)

    def _requests(self) -> Requests:
        return {
            "hello": (Nothing, self._hello),
            "list": (Nothing, self._list),
            "create_sandbox": (protocol.SandboxSpec, self._sandboxes.create),
            "delete_sandbox": (protocol.SandboxKey, self._sandboxes.delete),
            "start_process": (protocol.ProcessSpec, self._sandboxes.start),
            "stop_process": (protocol.ProcessKey, self._sandboxes.stop),
            "signal_process": (protocol.ProcessKey, self._sandboxes.signal),
            "set_published_ports": (PublishedPorts, self._publish),
            "set_service_routes": (ServiceRoutes, self._route_services),
            "set_names": (MeshNames, self._name),
            "set_companions": (protocol.Companions, self._accompany),
            "progress": (Progress, self._progress),
            "shutdown": (Shutdown, self._shutdown),
        }

    async def _hello(self, _: Nothing) -> Hello:
        self._greeted = True
        return Hello(
            version=protocol.VERSION,
            mesh=self._settings.name,
            directory=str(self._directory),
            rootless=self._mesh.rootless,
            supervisor_pid=os.getpid(),
            mesh_holder_pid=self._mesh.holder_pid,
        )

    async def _list(self, _: Nothing) -> MeshState:
        return MeshState(
            mesh=self._settings.name,
            rootless=self._mesh.rootless,
            supervisor_pid=os.getpid(),
            mesh_holder_pid=self._mesh.holder_pid,
            control_plane_pid=self._control_plane.pid,
            control_plane_restarts=self._control_plane.restarts,
            sandboxes=self._sandboxes.states(),
            published_ports=self._edge.open_ports,
            companions=self._companions.states(),
        )

    async def _publish(self, wanted: PublishedPorts) -> PortOutcomes:
        return PortOutcomes(outcomes=await self._edge.publish(wanted.ports))

    async def _route_services(self, wanted: ServiceRoutes) -> Nothing:
        await self._services.replace(wanted.routes)
        return Nothing()

    async def _name(self, wanted: MeshNames) -> Nothing:
        try:
            self._names.replace(wanted.domain, wanted.addresses, wanted.aliases)
        except ValueError as error:
            raise Refused("bad_request", f"a name has a wrong address: {error}") from None
        return Nothing()

    async def _accompany(self, wanted: protocol.Companions) -> Nothing:
        await self._companions.replace(wanted.companions)
        return Nothing()

    async def _progress(self, progress: Progress) -> Nothing:
        self._show(progress.text)
        self._socket.publish("progress", text=progress.text)
        return Nothing()

    async def _shutdown(self, wanted: Shutdown) -> Nothing:
        self._grace_seconds = wanted.grace_seconds
        self._begin_end("somebody asked for it")
        return Nothing()

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for which in ENDING_SIGNALS:
            loop.add_signal_handler(which, self._heed, which)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)

    def _heed(self, which: signal.Signals) -> None:
        if self._end.is_set():
            self._hurry.set()
        self._begin_end(f"{which.name} came")

    def _begin_end(self, reason: str) -> None:
        if not self._end.is_set():
            self._end_reason = reason
            self._end.set()

    def _show(self, text: str) -> None:
        _log.info("%s", text)
        if self._settings.foreground and text:
            # whoever read our output may have gone away
            with contextlib.suppress(OSError):
                print(text, flush=True)
