"""The server under test, in a process of its own; driven by JSON lines on stdin.

{"do": "start", "socket": path, "mesh": {"services": …, "addresses": …, "classes": …}}
{"do": "nodes", "count": n}           the proxies that the mesh expects
{"do": "wait", "count": n}            return when that many are connected and have everything
{"do": "gone"}                        return when nobody is connected any more
{"do": "change", "change": kind, "step": n}   make a change and return when the last proxy has acknowledged it
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import uvloop

from bench.generated import GeneratedMesh
from lateen.manager import memory
from lateen.manager.ports import ProxyDoor
from lateen.manager.pushes import Pushes
from lateen.serving.xds import DiscoveryServer

LIMIT_SECONDS = 180


class Mesh(ProxyDoor, Protocol):
    """What is measured: something that lets proxies in, and that can be changed."""

    pushes: Pushes

    def nodes(self, count: int) -> list[Mapping[str, Any]]: ...

    def publish(self, change: str, step: int) -> int: ...


def rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Bench:
    """The commands."""

    def __init__(self, make: Callable[..., Mesh]) -> None:
        self._make = make
        self._mesh: Mesh
        self._cpu = 0.0

    async def start(self, socket: str, mesh: Mapping[str, Any]) -> Mapping[str, Any]:
        self._mesh = self._make(**mesh)
        memory.settle()
        self._server = DiscoveryServer(self._mesh)
        await self._server.start(Path(socket))
        return {"rss": rss_mib(), "cpu": self._used()}

    def _used(self) -> float:
        """Return the CPU-seconds since the last command ended."""
        before, self._cpu = self._cpu, time.process_time()
        return self._cpu - before

    async def nodes(self, count: int) -> Any:
        return self._mesh.nodes(count)

    async def gone(self) -> Mapping[str, Any]:
        while self._mesh.pushes.connections:  # noqa: ASYNC110 (nothing tells of departures)
            await asyncio.sleep(0.01)
        return {"cpu": self._used()}

    async def wait(self, count: int, generation: int = 0) -> Mapping[str, Any]:
        while len(self._mesh.pushes.connections) < count:  # noqa: ASYNC110 (nothing tells of arrivals)
            await asyncio.sleep(0.01)
        await self._mesh.pushes.settle(generation or 1)
        done, used = time.monotonic(), self._used()
        statuses = [status.state for status in self._mesh.pushes.statuses()]
        return {
            "done": done,
            "cpu": used,
            "rss": rss_mib(),
            "states": {state: statuses.count(state) for state in set(statuses)},
        }

    async def change(self, change: str, step: int) -> Mapping[str, Any]:
        start = time.perf_counter()
        generation = self._mesh.publish(change, step)
        published = time.perf_counter() - start
        await self._mesh.pushes.settle(generation)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "publish": published, "cpu": self._used(), "rss": rss_mib()}


async def main(make: Callable[..., Mesh] = GeneratedMesh) -> None:
    """Obey the commands on stdin, one answer a line."""
    bench = Bench(make)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        obey: Callable[..., Awaitable[Any]] = getattr(bench, command.pop("do"))
        async with asyncio.timeout(LIMIT_SECONDS):
            print(json.dumps(await obey(**command)), flush=True)


if __name__ == "__main__":
    if os.environ.get("BENCH_LOOP") == "asyncio":
        asyncio.run(main())
    else:
        uvloop.run(main())
