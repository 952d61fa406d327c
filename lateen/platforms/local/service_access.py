"""Keeps the supervisor told of what workloads reach without a sidecar, as the mesh changes."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final, Protocol

from lateen.model import snapshot as snapshots
from lateen.model.snapshot import EMPTY, Snapshot
from lateen.platforms.local import reachable
from lateen.platforms.local.protocol import MeshNames, Refused, ServiceRoute, Transport

_PAUSE_SECONDS: Final = 0.05
# Whatever the size of the mesh, this takes at most a quarter of one processor.
_PAUSE_PER_WORK: Final = 3.0
_RETRY_SECONDS: Final = 2.0


class Supervisor(Protocol):
    """Whoever leads service addresses to workloads and answers for their names."""

    async def set_service_routes(self, routes: tuple[ServiceRoute, ...]) -> None: ...
    async def set_names(self, names: MeshNames) -> None: ...


class ServiceAccess:
    """Tells of names and routes when they are others than before; many changes at once are told together.

    Routes of TCP ports are told only while `is_needed` says that some workload's connections are not all taken by a
    sidecar, so that a mesh without such workloads pays nothing. `tell` gets a line for people when it cannot be done.
    """

    def __init__(self, supervisor: Supervisor, is_needed: Callable[[], bool], tell: Callable[[str], None]) -> None:
        self._supervisor = supervisor
        self._is_needed = is_needed
        self._tell = tell
        self._snapshot: Snapshot | None = None
        self._whole = EMPTY
        self._names: MeshNames | None = None
        self._routes: tuple[ServiceRoute, ...] | None = None
        self._problem = ""
        self._work = asyncio.Event()
        self._settled = asyncio.Event()

    def take(self, snapshot: Snapshot) -> None:
        """Note the newest snapshot."""
        self._snapshot = snapshot
        self._settled.clear()
        self._work.set()

    async def settled(self, timeout_seconds: float) -> None:
        """Wait until the newest snapshot is in effect, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._settled.wait()

    async def run(self) -> None:
        """Tell what is new until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            began = time.monotonic()
            await self._bring_up_to_date()
            await asyncio.sleep(max(_PAUSE_SECONDS, _PAUSE_PER_WORK * (time.monotonic() - began)))

    async def _bring_up_to_date(self) -> None:
        """Tell what is new, or say why that is not possible and go on trying."""
        try:
            if self._snapshot is not None:
                self._whole = snapshots.whole(self._snapshot, self._whole)
                await self._tell_names(reachable.mesh_names(self._whole))
                await self._tell_routes(reachable.service_routes(self._whole, self._transports()))
        except Refused as refusal:
            if refusal.message != self._problem:
                self._tell(refusal.message)
            self._problem = refusal.message
            self._work.set()
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            self._problem = ""
            if not self._work.is_set():
                self._settled.set()

    async def _tell_names(self, names: MeshNames) -> None:
        if names != self._names:
            await self._supervisor.set_names(names)
            self._names = names

    async def _tell_routes(self, routes: tuple[ServiceRoute, ...]) -> None:
        if routes != self._routes:
            await self._supervisor.set_service_routes(routes)
            self._routes = routes

    def _transports(self) -> tuple[Transport, ...]:
        """Choose what to lead; a sidecar lets through what it does not know, such as Services of other namespaces."""
        is_partial = self._snapshot is not None and self._whole is not self._snapshot
        return ("tcp", "udp") if is_partial or self._is_needed() else ("udp",)
