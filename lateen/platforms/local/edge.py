"""The node's two Envoys: host ports into the mesh, and the mesh's way out. `edge_config` says how they are set up."""

import asyncio
import errno
import json
import re
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lateen.platforms.local import edge_config, namespaces, processes, procfs
from lateen.platforms.local.kept_alive import KeptAlive
from lateen.platforms.local.processes import Nursery
from lateen.platforms.local.protocol import Failure, PortOutcome, PublishedPort, Refused
from lateen.platforms.local.sandboxes import MeshNamespace

_OPEN_SECONDS = 5.0
_TARGET = re.compile(r"\d+\.\d+\.\d+\.\d+:\d+")
_ARGUMENTS = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")


class Edge:
    """Both Envoys, kept alive, and the files that they watch."""

    def __init__(self, mesh: MeshNamespace, envoy: Path, nursery: Nursery, hurry: asyncio.Event) -> None:
        self._mesh = mesh
        self._envoy = envoy
        self._nursery = nursery
        self._hurry = hurry
        self._directory = mesh.directory / "edge"
        self._open: tuple[PublishedPort, ...] = ()
        self._setting = asyncio.Lock()
        self._proxies: list[KeptAlive] = []

    @property
    def open_ports(self) -> tuple[PublishedPort, ...]:
        """The ports that are published at this moment."""
        return self._open

    def begin(self) -> None:
        """Starts both, with no port open."""
        self._directory.mkdir(mode=0o700)
        self._write(self._resources(()))
        for name, bootstrap in (
            (edge_config.EDGE, edge_config.edge_bootstrap(self._directory)),
            (edge_config.NODE, edge_config.node_bootstrap(self._directory)),
        ):
            (self._directory / f"{name}.json").write_text(json.dumps(bootstrap))
            self._proxies.append(KeptAlive(partial(self._start, name)).begin())

    async def publish(self, ports: Sequence[PublishedPort]) -> tuple[PortOutcome, ...]:
        """Opens these ports and closes all others; says of each whether it is open."""
        check(ports)
        async with self._setting:
            failures = {edge_config.port_name(port): self._obstacle(port) for port in ports}
            self._open = tuple(port for port in ports if failures[edge_config.port_name(port)] is None)
            self._write(self._resources(self._open))
            late = await self._not_yet_open()
        return tuple(_outcome(port, failures[edge_config.port_name(port)], late) for port in ports)

    async def stop(self, grace_seconds: float) -> None:
        """Ends both."""
        await asyncio.gather(*(proxy.stop(grace_seconds, self._hurry) for proxy in self._proxies))

    def _start(self, name: str) -> processes.Child:
        command = (str(self._envoy), "--config-path", str(self._directory / f"{name}.json"), *_ARGUMENTS)
        if name == edge_config.NODE:
            argv = namespaces.child_argv(self._mesh.holder_pid, command, rootless=self._mesh.rootless)
        else:
            argv = namespaces.dying_with_us(command)
        return self._nursery.start_logged(argv, self._mesh.environment(), self._mesh.directory / f"{name}.log")

    def _resources(self, ports: Sequence[PublishedPort]) -> dict[str, edge_config.Json]:
        # inside first, so that a port is open only when there is somewhere to go
        inside = edge_config.node_resources(ports, self._directory)
        return {**inside, **edge_config.edge_resources(ports, self._directory)}

    def _write(self, resources: dict[str, edge_config.Json]) -> None:
        for name, content in resources.items():
            text = json.dumps(content)
            path = self._directory / name
            if path.exists() and path.read_text() == text:
                continue
            unfinished = self._directory / f".{name}"
            unfinished.write_text(text)
            unfinished.replace(path)

    def _obstacle(self, port: PublishedPort) -> Failure | None:
        before = [each for each in self._open if edge_config.port_name(port) == edge_config.port_name(each)]
        if not before and (error := _cannot_listen(port)) is not None:
            return _failure(port, error)
        receives = not port.also_udp or any(each.also_udp for each in before) or self._still_has(port)
        if not receives and (error := _cannot_receive(port)) is not None:
            return _failure(port, error, " of UDP")
        return None

    def _still_has(self, port: PublishedPort) -> bool:
        """Whether the edge has the port of UDP: it drains closed ones for minutes, and opens them again at once."""
        sockets = procfs.datagram_sockets(port.host_port)
        return bool(sockets) and procfs.holder_of(sockets) in {proxy.pid for proxy in self._proxies}

    async def _not_yet_open(self) -> set[str]:
        deadline = asyncio.get_running_loop().time() + _OPEN_SECONDS
        while closed := {edge_config.port_name(port) for port in self._open if not _is_listening(port)}:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.01)
        return closed


def check(ports: Sequence[PublishedPort]) -> None:
    """Refuses a port that is asked for twice, and targets that are no address and port."""
    names = [edge_config.port_name(port) for port in ports]
    for port, name in zip(ports, names, strict=True):
        if names.count(name) > 1:
            raise Refused("bad_request", f"{port.host_address}:{port.host_port} is asked for twice; join its targets")
        for target in port.targets:
            if not _TARGET.fullmatch(target):
                raise Refused("bad_request", f"target {target!r} of {name} is no target: write it like 10.244.1.1:80")


def _is_listening(port: PublishedPort) -> bool:
    receives = not port.also_udp or bool(procfs.datagram_sockets(port.host_port))
    return receives and bool(procfs.listeners(port.host_port))


def _cannot_listen(port: PublishedPort) -> Exception | None:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((port.host_address, port.host_port))
            trial.listen(1)
        except (OSError, OverflowError) as error:
            return error
    return None


def _cannot_receive(port: PublishedPort) -> Exception | None:
    with socket.socket(type=socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((port.host_address, port.host_port))
        except (OSError, OverflowError) as error:
            return error
    return None


def _outcome(port: PublishedPort, failure: Failure | None, late: set[str]) -> PortOutcome:
    if failure is None and edge_config.port_name(port) in late:
        message = f"{port.host_address}:{port.host_port} did not open in time; see edge.log and node.log"
        failure = Failure(code="timeout", message=message)
    return PortOutcome(host_address=port.host_address, host_port=port.host_port, failure=failure)


def _failure(port: PublishedPort, error: Exception, transport: str = "") -> Failure:
    place = f"{port.host_address}:{port.host_port}{transport}"
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        message = f"{place} is in use{'' if transport else _by_whom(port)}: stop it, or publish another port"
        return Failure(code="address_in_use", message=message)
    if number == errno.EACCES:
        hint = "publish a port from 1024 up, or run lateen as root"
        return Failure(code="not_permitted", message=f"ordinary users may not open {place}: {hint}")
    return Failure(code="bad_request", message=f"{place} cannot be opened: {error}")


def _by_whom(port: PublishedPort) -> str:
    holder = procfs.holder_of(procfs.listeners(port.host_port))
    return f" by process {holder} ({procfs.command(holder):.60})" if holder else ""
