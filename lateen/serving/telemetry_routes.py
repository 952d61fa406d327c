"""The part of the API that tells what the mesh measures: metrics of all workloads, and the last traces."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from lateen.serving.requests import Refusal
from lateen.serving.scraper import Scraper
from lateen.telemetry import exposition
from lateen.telemetry.exposition import Family
from lateen.telemetry.targets import ScrapeTarget

_TRACE_QUERY = ("limit", "service", "at_least", "errors")


class Mixer(Protocol):
    """The Mixer process."""

    async def ask(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the JSON of an answer; raises `Unavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class TelemetryRoutes:
    """What is asked and told about measurements; `now` is in seconds since the epoch."""

    own: Callable[[], Awaitable[Sequence[Family]]]
    targets: Callable[[], Sequence[ScrapeTarget]]
    scraper: Scraper
    mixer: Mixer
    now: Callable[[], float]

    def table(self) -> Sequence[web.RouteDef]:
        """List the routes."""
        return (
            web.get("/v1/metrics", self._metrics),
            web.get("/v1/traces", self._traces),
            web.get("/v1/traces/{id}", self._trace),
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        """Tell all metrics of the mesh with the moment at which they were read; those of a pattern where one is given.

        The pattern is for the names that Envoy has for its statistics.
        """
        names = request.query.get("filter", "")
        families = await self.scraper.read_all(self.targets(), names)
        own = () if names else await self.own()
        text = await asyncio.to_thread(exposition.write, (*families, *own))
        return web.json_response({"at": self.now(), "text": text})

    async def _traces(self, request: web.Request) -> web.Response:
        query = {name: request.query[name] for name in _TRACE_QUERY if name in request.query}
        return web.json_response(await self.mixer.ask("/traces", query))

    async def _trace(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        if not wanted.isalnum():
            raise Refusal(400, f"'{wanted}' is no trace id: it must be hexadecimal")
        found = (await self.mixer.ask(f"/traces/{wanted}"))["traces"]
        if not found:
            raise Refusal(404, f"no trace '{wanted}' is kept; `lateen trace list` lists the last ones")
        if len(found) > 1:
            raise Refusal(409, f"several traces begin with '{wanted}'; write more of the id")
        return web.json_response(found[0])
