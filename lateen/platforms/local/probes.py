"""Asks a container how it is: over HTTP, TCP or gRPC, or by running a command in its sandbox.

Network probes come from 10.244.0.2, the one address that no sandbox redirects, so that they reach the application and
not its sidecar. Every probe makes a connection of its own: what is asked is whether a new client would be served.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

import aiohttp
import grpc

from lateen.api.core.container import Container
from lateen.api.core.probe import Exec, GrpcHealth, HttpGet, LifecycleHook, Probe, TcpSocket
from lateen.platforms.local import links
from lateen.platforms.local.health import Health, ProbeKind, Thresholds, begin
from lateen.platforms.local.pods import first_tcp_port
from lateen.platforms.local.probing import Ask

PROBE_SOURCE: Final = str(links.PROBES)
# A container without readiness probe that declares a port is ready when the port answers, and after this long anyway:
# it may listen somewhere else, and nothing that was written says that it must answer.
ASSUMED_READY_SECONDS: Final = 2.0
_ASSUMPTION: Final = Thresholds(period=ASSUMED_READY_SECONDS, timeout=1.0, failures=1, once=True)
_GRPC_METHOD: Final = "/grpc.health.v1.Health/Check"
_GRPC_SERVING: Final = b"\x08\x01"
_READ_BYTES: Final = 16 * 1024

RunCommand = Callable[[Sequence[str]], Awaitable[int]]


class Prober:
    """Asks from one source address; shared by all containers of the machine. To be closed at the end."""

    def __init__(self, source: str = PROBE_SOURCE) -> None:
        self._source = source
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Give up what is open."""
        if self._session is not None:
            await self._session.close()

    async def http(self, get: HttpGet, address: str, ports: Mapping[str, int]) -> bool:
        """Tell whether a GET is answered with 200 to 399. Redirects are not followed, certificates not verified."""
        host, port = get.host or address, _number(get.port, ports)
        url = f"{get.scheme.lower()}://{host}:{port}/{get.path.removeprefix('/')}"
        headers = {"user-agent": "lateen-probe", **{header.name: header.value for header in get.http_headers}}
        try:
            async with self._client().get(url, headers=headers, allow_redirects=False, ssl=False) as response:
                return 200 <= response.status < 400
        except (aiohttp.ClientError, OSError, ValueError):
            return False

    async def tcp(self, host: str, port: int) -> bool:
        """Tell whether a connection opens."""
        try:
            _, writer = await asyncio.open_connection(host, port, local_addr=(self._source, 0))
        except OSError:
            return False
        writer.close()
        return True

    async def grpc(self, health: GrpcHealth, address: str) -> bool:
        """Tell whether the standard gRPC health service answers SERVING."""
        name = health.service.encode()
        request = b"\x0a" + _varint(len(name)) + name if name else b""
        async with (
            self._relay(address, health.port) as socket,
            grpc.aio.insecure_channel(f"unix:{socket}") as channel,
        ):
            try:
                check = channel.unary_unary(_GRPC_METHOD, _as_it_is, _as_it_is)
                answer = await check(request)
            except grpc.aio.AioRpcError:
                return False
        return answer == _GRPC_SERVING

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(local_addr=(self._source, 0), force_close=True, limit=0)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        return self._session

    @contextlib.asynccontextmanager
    async def _relay(self, address: str, port: int) -> AsyncIterator[Path]:
        """Offer a unix socket that leads to the port: gRPC cannot choose a connection's source address itself."""

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                onward = await asyncio.open_connection(address, port, local_addr=(self._source, 0))
            except OSError:
                writer.close()
                return
            await asyncio.gather(_pump(reader, onward[1]), _pump(onward[0], writer))

        with tempfile.TemporaryDirectory(prefix="lateen-probe-") as folder:
            socket = Path(folder) / "grpc.sock"
            async with await asyncio.start_unix_server(carry, socket):
                yield socket


def thresholds(probe: Probe) -> Thresholds:
    """Give a probe's numbers."""
    return Thresholds(
        initial_delay=float(probe.initial_delay_seconds),
        period=float(probe.period_seconds),
        timeout=float(probe.timeout_seconds),
        successes=probe.success_threshold,
        failures=probe.failure_threshold,
    )


def probes_of(container: Container) -> Mapping[ProbeKind, Probe]:
    """Give the probes that a container declares."""
    declared = {
        ProbeKind.STARTUP: container.startup_probe,
        ProbeKind.LIVENESS: container.liveness_probe,
        ProbeKind.READINESS: container.readiness_probe,
    }
    return {kind: probe for kind, probe in declared.items() if probe is not None}


def health_at_start(container: Container, now: float, *, known_good: bool = False) -> Health:
    """Give the health of a container that has just started, or was taken over while it was ready."""
    wanted = {kind: thresholds(probe) for kind, probe in probes_of(container).items()}
    if ProbeKind.READINESS not in wanted and first_tcp_port(container) is not None:
        wanted[ProbeKind.READINESS] = _ASSUMPTION
    return Health(probes=tuple(begin(kind, each, now, known_good=known_good) for kind, each in wanted.items()))


def asks_of(
    container: Container, address: str, ports: Mapping[str, int], prober: Prober, run: RunCommand
) -> Mapping[ProbeKind, Ask]:
    """Give, for each probe of a container that has just started, the way to ask it."""
    asks: dict[ProbeKind, Ask] = {
        kind: ask_of(probe, address, ports, prober, run) for kind, probe in probes_of(container).items()
    }
    port = first_tcp_port(container)
    if ProbeKind.READINESS not in asks and port is not None:
        asks[ProbeKind.READINESS] = _assumption(address, port, prober, monotonic() + ASSUMED_READY_SECONDS)
    return asks


async def run_hook(
    hook: LifecycleHook, address: str, ports: Mapping[str, int], prober: Prober, run: RunCommand
) -> bool:
    """Do what a `postStart` or `preStop` hook says; tell whether it went well."""
    if hook.sleep is not None:
        await asyncio.sleep(hook.sleep.seconds)
        return True
    return await _act(hook.http_get or hook.tcp_socket or hook.exec, address, ports, prober, run)


def ask_of(probe: Probe, address: str, ports: Mapping[str, int], prober: Prober, run: RunCommand) -> Ask:
    """Give the way to ask a probe."""
    action = probe.http_get or probe.tcp_socket or probe.exec or probe.grpc

    async def ask() -> bool:
        return await _act(action, address, ports, prober, run)

    return ask


async def _act(
    action: HttpGet | TcpSocket | Exec | GrpcHealth | None,
    address: str,
    ports: Mapping[str, int],
    prober: Prober,
    run: RunCommand,
) -> bool:
    match action:
        case HttpGet():
            return await prober.http(action, address, ports)
        case TcpSocket():
            return await prober.tcp(action.host or address, _number(action.port, ports))
        case GrpcHealth():
            return await prober.grpc(action, address)
        case Exec():
            return await run(action.command) == 0
        case None:
            return True


def _assumption(address: str, port: int, prober: Prober, until: float) -> Ask:
    async def ask() -> bool:
        return monotonic() >= until or await prober.tcp(address, port)

    return ask


def _number(port: int | str, ports: Mapping[str, int]) -> int:
    """Resolve a port given by number, also as text, or by a container port's name; 0 for an unknown name."""
    if isinstance(port, int):
        return port
    return int(port) if port.isdecimal() else ports.get(port, 0)


def _as_it_is(message: bytes) -> bytes:
    return message


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*groups, number))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(_READ_BYTES):
            writer.write(part)
            await writer.drain()
    writer.close()
