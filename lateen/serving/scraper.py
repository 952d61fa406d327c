"""Reads the metrics of workloads: of their proxies over the admin sockets, of applications over the network.

Whoever does not answer in time is left out and counted; the others are not kept waiting by it.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

import aiohttp

from lateen.plan import compact_labels
from lateen.telemetry import merging
from lateen.telemetry.exposition import Family
from lateen.telemetry.instruments import Counter
from lateen.telemetry.targets import ScrapeTarget

PATIENCE_SECONDS: Final = 3.0
_AT_ONCE: Final = 32
_WHOLE_PATIENCES: Final = 2
_LARGEST_ANSWER_BYTES: Final = 16 * 1024 * 1024
_PROXY_PAGE: Final = "http://envoy/stats/prometheus"
_ACCEPTED: Final = {"accept": "text/plain;version=0.0.4;q=1,*/*;q=0.1", "user-agent": "lateen"}

_BUILD: Final = "istio_build{"
FAILURES: Final = "lateen_scrape_failures_total"


class Scraper:
    """Reads what workloads tell. One event loop; to be closed.

    Applications are asked from the address `source`, which no sidecar stands in the way of. `version` is what proxies
    are said to be of, empty for nothing.
    """

    def __init__(
        self, source: str | None = None, patience_seconds: float = PATIENCE_SECONDS, version: str = ""
    ) -> None:
        self.failures = Counter(
            FAILURES, "Answers of proxies and applications that did not come or could not be used.", "of"
        )
        self.lines_left_out = Counter(
            "lateen_scrape_lines_dropped_total",
            "Lines of applications' answers that could not be read, or are of a metric that the proxy has too.",
        )
        self._source = source
        self._build = f'# TYPE istio_build gauge\n{_BUILD}component="proxy",tag="{version}"}} 1\n' if version else ""
        self._patience_seconds = patience_seconds
        self._patience = aiohttp.ClientTimeout(total=patience_seconds)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._applications: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Give up what is open."""
        if self._applications is not None:
            await self._applications.close()

    async def read(self, target: ScrapeTarget, names: str = "") -> tuple[Family, ...]:
        """Return what a workload tells; `names` is a pattern for the statistics of its proxy that are wanted."""
        proxy, application = await asyncio.gather(self._proxy(target, names), self._application(target, names))
        is_without_build = proxy and not names and _BUILD not in proxy
        merged = merging.merge(self._build + proxy if is_without_build else proxy, application)
        if merged.left_out:
            self.lines_left_out.add(merged.left_out)
        return merged.families

    async def read_all(self, targets: Iterable[ScrapeTarget], names: str = "") -> tuple[Family, ...]:
        """Return what all of these tell, with the labels `namespace` and `pod`."""
        chosen = tuple(each for each in targets if each.admin_socket or each.application_url)
        until = asyncio.get_running_loop().time() + _WHOLE_PATIENCES * self._patience_seconds
        parts = await asyncio.gather(*(self._in_turn(each, names, until) for each in chosen))
        labels = [{"namespace": each.namespace, "pod": each.name} for each in chosen]
        # tens of thousands of lines: proxies are not to wait for that
        return await asyncio.to_thread(merging.together, zip(labels, parts, strict=True))

    async def _in_turn(self, target: ScrapeTarget, names: str, until: float) -> tuple[Family, ...]:
        """Read a workload when it is its turn; one whose turn comes too late is left out like one that hangs."""
        try:
            async with asyncio.timeout_at(until):
                await self._turns.acquire()
        except TimeoutError:
            self.failures.add(1, "proxy")
            return ()
        try:
            return await self.read(target, names)
        finally:
            self._turns.release()

    async def _proxy(self, target: ScrapeTarget, names: str) -> str:
        if not target.admin_socket:
            return ""
        query = {"filter": names} if names else {}
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.UnixConnector(target.admin_socket), timeout=self._patience
                ) as session,
                session.get(_PROXY_PAGE, params=query) as answer,
            ):
                return compact_labels.expand(await _text(answer))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            self.failures.add(1, "proxy")
            return ""

    async def _application(self, target: ScrapeTarget, names: str) -> str | None:
        if not target.application_url or names:
            return None
        try:
            async with self._session().get(
                target.application_url, headers=_ACCEPTED, ssl=False, allow_redirects=False
            ) as answer:
                return await _text(answer)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            self.failures.add(1, "application")
            return None

    def _session(self) -> aiohttp.ClientSession:
        if self._applications is None:
            source = (self._source, 0) if self._source else None
            connector = aiohttp.TCPConnector(local_addr=source, limit=0)
            self._applications = aiohttp.ClientSession(connector=connector, timeout=self._patience)
        return self._applications


async def _text(answer: aiohttp.ClientResponse) -> str:
    """Return a good answer's text; raises `ValueError` for another one, or one without end."""
    if answer.status != 200:
        raise ValueError(f"answered {answer.status}")
    content = await answer.content.read(_LARGEST_ANSWER_BYTES + 1)
    parts = [content]
    while content and sum(map(len, parts)) <= _LARGEST_ANSWER_BYTES:
        content = await answer.content.read(_LARGEST_ANSWER_BYTES)
        parts.append(content)
    text = b"".join(parts)
    if len(text) > _LARGEST_ANSWER_BYTES:
        raise ValueError("answered too much")
    return text.decode(errors="replace")
