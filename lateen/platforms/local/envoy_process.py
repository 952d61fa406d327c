"""One workload's Envoy: how it is started, and what is asked of it over its admin socket."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from lateen.model.proxy import Role
from lateen.model.proxy_settings import ProxySettings
from lateen.model.workload import Locality, WorkloadKey
from lateen.platforms.local.interception import INBOUND_PORT, PROXY_SERVICE_PORTS

PROCESS_NAME: Final = "istio-proxy"
# What a sidecar passes on to its application, and what a gateway passes on to the mesh.
_REQUESTS: Final = {
    Role.SIDECAR: re.compile(r"^cluster\.inbound\|.*\.upstream_rq_active: (\d+)$", re.MULTILINE),
    Role.GATEWAY: re.compile(r"^cluster\.outbound\|.*\.upstream_rq_active: (\d+)$", re.MULTILINE),
}
_CONNECTIONS: Final = re.compile(r"^listener\.[\d.]+_(\d+)\.downstream_cx_active: (\d+)$", re.MULTILINE)
_ADMIN_PORT: Final = 15000
_ANSWER_SECONDS: Final = 2.0
_ASKING_AGAIN_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapRequest:
    """What an Envoy's bootstrap depends on. Sockets are paths of unix sockets.

    `group` is the WorkloadGroup that the workload is to register in, `network` its own network; empty for none.
    """

    key: WorkloadKey
    role: Role
    address: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    service_account: str
    locality: Locality
    xds_socket: str
    sds_socket: str
    admin_socket: str
    mixer_socket: str
    traces_socket: str
    metrics_socket: str
    group: str = ""
    network: str = ""
    owner: str = ""
    settings: ProxySettings = field(default_factory=ProxySettings)


Bootstrap = Callable[[BootstrapRequest], Awaitable[Mapping[str, object]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvoyProgram:
    """The Envoy that runs beside every workload: its binary, and the settings that are the same for all."""

    binary: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def argv(self, bootstrap: Path, settings: ProxySettings) -> tuple[str, ...]:
        """Give the command line for a bootstrap file and a workload's settings."""
        return (
            *(self.binary, "--config-path", str(bootstrap)),
            *("--concurrency", str(_threads(settings.concurrency)), "--disable-hot-restart"),
            *("--log-level", settings.log_level),
            *("--file-flush-interval-msec", str(round(settings.log_flush.total_seconds() * 1000))),
            *(("--file-flush-min-size-kb", str(settings.log_flush_kb)) if settings.log_flush_kb else ()),
            *("--drain-time-s", str(max(1, round(settings.drain.total_seconds()))), "--drain-strategy", "immediate"),
        )


def _is_of_clients(port: int, role: Role) -> bool:
    """Tell whether those who connect to a port of the proxy are clients of its workload."""
    if role is Role.GATEWAY:
        return port not in (_ADMIN_PORT, *PROXY_SERVICE_PORTS)
    return port == INBOUND_PORT


def _threads(concurrency: int | None) -> int:
    return 1 if concurrency is None else concurrency or os.cpu_count() or 1


class AdminClient:
    """Asks one Envoy through its admin socket. To be closed."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Give up the connection."""
        if self._session is not None:
            await self._session.close()

    async def is_ready(self) -> bool:
        """Tell whether Envoy has its first configuration and takes connections."""
        return await self._ask("GET", "/ready") is not None

    async def drain(self, role: Role) -> bool:
        """Have Envoy send its clients away: it answers what is under way and asks for new connections elsewhere.

        A sidecar goes on serving its own application's calls, which may be part of what is under way.
        """
        scope = "graceful" if role is Role.GATEWAY else "inboundonly&graceful"
        return await self._ask("POST", f"/drain_listeners?{scope}") is not None

    async def idle(self, role: Role) -> None:
        """Return when no HTTP request from clients is being answered, or when Envoy cannot be asked."""
        while await self._active_requests(role) > 0:  # noqa: ASYNC110  only Envoy knows, and it must be asked
            await asyncio.sleep(_ASKING_AGAIN_SECONDS)

    async def unused(self, role: Role) -> None:
        """Return when no client has a connection, or when Envoy cannot be asked; whoever reads metrics is no client."""
        while await self._active_connections(role) > 0:  # noqa: ASYNC110  only Envoy knows, and it must be asked
            await asyncio.sleep(_ASKING_AGAIN_SECONDS)

    async def _active_connections(self, role: Role) -> int:
        text = await self._ask("GET", r"/stats?filter=^listener\..*\.downstream_cx_active$") or ""
        return sum(int(count) for port, count in _CONNECTIONS.findall(text) if _is_of_clients(int(port), role))

    async def _active_requests(self, role: Role) -> int:
        text = await self._ask("GET", "/stats?filter=upstream_rq_active$") or ""
        return sum(int(count) for count in _REQUESTS[role].findall(text))

    async def _ask(self, method: str, path: str) -> str | None:
        """Give the answer's text; None when it is not 200 or does not come."""
        try:
            async with self._client().request(method, f"http://envoy{path}") as response:
                text = await response.text()
                return text if response.status == 200 else None
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self._socket), force_close=True),
                timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS),
            )
        return self._session
