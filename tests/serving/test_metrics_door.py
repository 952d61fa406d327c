"""The door for Prometheus."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from lateen.serving import metrics_door
from lateen.serving.metrics_door import MetricsDoor
from lateen.serving.scraper import Scraper
from lateen.telemetry.exposition import Family
from lateen.telemetry.instruments import Counter
from lateen.telemetry.targets import ScrapeTarget
from tests.serving import scraped
from tests.serving.scraped import PROXY_TEXT, told


async def own() -> tuple[Family, ...]:
    """What the control plane measures."""
    return (Counter("pushes_total", "Pushes.").family(),)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """Asks a door behind which one workload is."""
    scraper = Scraper(patience_seconds=1.0)
    async with scraped.proxy(tmp_path / "admin", told(PROXY_TEXT)) as admin:
        targets = (ScrapeTarget("shop", "web-1", app="web", version="v1", admin_socket=admin),)
        door = MetricsDoor(own, lambda: targets, scraper, lambda: False)
        runner = await metrics_door.serve(door, tmp_path / "metrics.sock", 0)
        connector = aiohttp.UnixConnector(str(tmp_path / "metrics.sock"))
        async with aiohttp.ClientSession("http://localhost:15014", connector=connector) as session:
            yield session
        await runner.cleanup()
    await scraper.close()


PAGES = {
    "/metrics": "# HELP pushes_total Pushes.\n# TYPE pushes_total counter\npushes_total 0\n",
    "/mesh/metrics": (
        '# TYPE istio_requests_total counter\nistio_requests_total{namespace="shop",pod="web-1",reporter="source"} 3\n'
    ),
    "/workloads/shop/web-1/metrics": (
        '# TYPE istio_requests_total counter\nistio_requests_total{reporter="source"} 3\n'
    ),
    "/healthz": "ok\n",
}


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_says(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        assert (answer.status, await answer.text()) == (200, PAGES[path])


async def test_a_control_plane_that_is_not_ready_says_so(client: aiohttp.ClientSession) -> None:
    async with client.get("/readyz") as answer:
        assert answer.status == 503


async def test_a_workload_that_is_not_there_is_not_found(client: aiohttp.ClientSession) -> None:
    async with client.get("/workloads/shop/web-2/metrics") as answer:
        assert (answer.status, await answer.text()) == (
            404,
            "there is no workload web-2.shop; /sd lists what there is\n",
        )


async def test_discovery_lists_what_runs_at_the_address_that_was_asked(client: aiohttp.ClientSession) -> None:
    async with client.get("/sd", headers={"host": "10.244.0.254:15014"}) as answer:
        assert answer.content_type == "application/json"
        assert await answer.json() == [
            {"targets": ["10.244.0.254:15014"], "labels": {"__metrics_path__": "/metrics", "job": "istiod"}},
            {
                "targets": ["10.244.0.254:15014"],
                "labels": {
                    "__metrics_path__": "/workloads/shop/web-1/metrics",
                    "job": "envoy-stats",
                    "namespace": "shop",
                    "pod": "web-1",
                    "instance": "web-1.shop",
                    "app": "web",
                    "version": "v1",
                },
            },
        ]
