"""The door for Prometheus and other machines: plain HTTP, read only.

/metrics                            the control plane's own, with those of the Mixer process
/mesh/metrics                       those of all workloads together, with the labels `namespace` and `pod`
/workloads/NAMESPACE/NAME/metrics   a workload's, its proxy's merged with its application's
/sd                                 these addresses, for Prometheus' discovery over HTTP
/healthz /readyz                    whether the control plane lives, and whether it serves proxies
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from lateen.serving.scraper import Scraper
from lateen.telemetry import exposition
from lateen.telemetry.exposition import Family
from lateen.telemetry.targets import ScrapeTarget

PORT: Final = 15014
CONTROL_PLANE_JOB: Final = "istiod"
PROXY_JOB: Final = "envoy-stats"


@dataclass(frozen=True, slots=True)
class MetricsDoor:
    """What is answered from: the mesh's own metrics, the workloads that there are, and who reads theirs."""

    own: Callable[[], Awaitable[Sequence[Family]]]
    targets: Callable[[], Sequence[ScrapeTarget]]
    scraper: Scraper
    is_ready: Callable[[], bool] = lambda: True

    def application(self) -> web.Application:
        """Return the table of what can be asked."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self._own),
                web.get("/mesh/metrics", self._mesh),
                web.get("/workloads/{namespace}/{name}/metrics", self._workload),
                web.get("/sd", self._discovery),
                web.get("/healthz", _alive),
                web.get("/readyz", self._ready),
                web.get("/ready", self._ready),
            ]
        )
        return app

    async def _own(self, _: web.Request) -> web.Response:
        return await _answer(await self.own())

    async def _mesh(self, request: web.Request) -> web.Response:
        names = request.query.get("filter", "")
        return await _answer(await self.scraper.read_all(self.targets(), names))

    async def _workload(self, request: web.Request) -> web.Response:
        wanted = (request.match_info["namespace"], request.match_info["name"])
        target = next((each for each in self.targets() if (each.namespace, each.name) == wanted), None)
        if target is None:
            raise web.HTTPNotFound(text=f"there is no workload {wanted[1]}.{wanted[0]}; /sd lists what there is\n")
        return await _answer(await self.scraper.read(target))

    async def _discovery(self, request: web.Request) -> web.Response:
        return web.json_response(groups(self.targets(), request.host))

    async def _ready(self, _: web.Request) -> web.Response:
        is_ready = self.is_ready()
        return web.Response(text="ok\n" if is_ready else "starting\n", status=200 if is_ready else 503)


def groups(targets: Sequence[ScrapeTarget], door: str) -> list[dict[str, object]]:
    """List what a Prometheus is to scrape, all of it through the door at which it asked."""
    own: dict[str, object] = {"targets": [door], "labels": {"__metrics_path__": "/metrics", "job": CONTROL_PLANE_JOB}}
    return [own, *(_group(each, door) for each in targets)]


def workload_path(namespace: str, name: str) -> str:
    """Say at which path a workload's metrics are."""
    return f"/workloads/{namespace}/{name}/metrics"


async def serve(door: MetricsDoor, socket: Path, port: int, host: str = "127.0.0.1") -> web.AppRunner:
    """Answer at a port of this network, and on a unix socket that only this user can open, until `cleanup()`."""
    socket.unlink(missing_ok=True)  # noqa: ASYNC240 - takes no time
    runner = web.AppRunner(door.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.UnixSite(runner, socket).start()
    socket.chmod(0o600)  # noqa: ASYNC240 - takes no time
    await web.TCPSite(runner, host, port).start()
    return runner


def _group(target: ScrapeTarget, door: str) -> dict[str, object]:
    labels = {
        "__metrics_path__": workload_path(target.namespace, target.name),
        "job": PROXY_JOB,
        "namespace": target.namespace,
        "pod": target.name,
        "instance": f"{target.name}.{target.namespace}",
        "app": target.app,
        "version": target.version,
    }
    return {"targets": [door], "labels": {name: value for name, value in labels.items() if value}}


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _answer(families: Sequence[Family]) -> web.Response:
    content = await asyncio.to_thread(exposition.write, families)
    return web.Response(body=content.encode(), headers={"content-type": exposition.CONTENT_TYPE})
