"""When the supervisor is told of names and routes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from lateen.platforms.local import service_access
from lateen.platforms.local.protocol import MeshNames, Refused, ServiceRoute
from lateen.platforms.local.service_access import ServiceAccess
from tests.model.meshes import mesh

from .test_reachable import PODS, WEB


@dataclass
class Listener:
    """A supervisor that remembers what it was told, and a mesh that says whether routes are needed."""

    is_needed: bool = True
    refusals: int = 0
    names: list[MeshNames] = field(default_factory=list)
    ports: list[list[int]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    async def set_names(self, names: MeshNames) -> None:
        self.names.append(names)

    async def set_service_routes(self, routes: tuple[ServiceRoute, ...]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Refused("rules_failed", "no such table")
        self.ports.append([route.port for route in routes])


@contextlib.asynccontextmanager
async def running(listener: Listener) -> AsyncIterator[ServiceAccess]:
    access = ServiceAccess(listener, lambda: listener.is_needed, listener.lines.append)
    task = asyncio.create_task(access.run())
    yield access
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_only_what_is_new_is_told() -> None:
    listener = Listener()
    async with running(listener) as access:
        for snapshot in (mesh(WEB), mesh(WEB, *PODS), mesh(WEB, *PODS)):
            access.take(snapshot)
            await access.settled(5)
    assert len(listener.names) == 1
    assert listener.ports == [[], [80, 53]]


async def test_changes_that_come_together_are_told_together() -> None:
    listener = Listener()
    async with running(listener) as access:
        for count in range(20):
            access.take(mesh(WEB, *PODS[: count % 3]))
        await access.settled(5)
    assert listener.ports == [[80, 53]]


async def test_while_sidecars_take_everything_only_datagrams_need_routes() -> None:
    listener = Listener(is_needed=False)
    async with running(listener) as access:
        access.take(mesh(WEB, *PODS))
        await access.settled(5)
        listener.is_needed = True
        access.take(mesh(WEB, *PODS))
        await access.settled(5)
    assert listener.ports == [[53], [80, 53]]


async def test_what_was_refused_is_said_once_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_access, "_RETRY_SECONDS", 0.01)
    listener = Listener(refusals=2)
    async with running(listener) as access:
        access.take(mesh(WEB, *PODS))
        await access.settled(5)
    assert (listener.ports, listener.lines) == ([[80, 53]], ["no such table"])
