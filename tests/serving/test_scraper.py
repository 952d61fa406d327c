"""Metrics of workloads: what is read, and that nobody is kept waiting by who does not answer."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from lateen.serving.scraper import Scraper
from lateen.telemetry import exposition
from lateen.telemetry.targets import ScrapeTarget
from tests.serving import scraped
from tests.serving.scraped import APPLICATION_TEXT, PROXY_TEXT, told

OWN = 'istio_requests_total{reporter="source"} 3'


@pytest.fixture
async def scraper() -> AsyncIterator[Scraper]:
    made = Scraper(patience_seconds=1.0)
    yield made
    await made.close()


def lines(scraped_families: tuple[exposition.Family, ...]) -> list[str]:
    """The samples of an answer."""
    return [line for family in scraped_families for line in family.lines]


async def test_a_workload_is_its_proxy_with_its_application(scraper: Scraper, tmp_path: Path) -> None:
    async with (
        scraped.proxy(tmp_path / "a", told(PROXY_TEXT)) as admin,
        scraped.application(told(APPLICATION_TEXT)) as url,
    ):
        found = await scraper.read(ScrapeTarget("default", "web", admin_socket=admin, application_url=url))
    assert lines(found) == [OWN, "books 7"]


async def test_an_application_leads_nobody_elsewhere(scraper: Scraper) -> None:
    async with scraped.application(told(APPLICATION_TEXT)) as elsewhere:

        def redirect(_: web.Request) -> web.Response:
            return web.Response(status=302, headers={"location": elsewhere})

        async with scraped.application(redirect) as url:
            found = await scraper.read(ScrapeTarget("default", "web", application_url=url))
    assert (lines(found), scraper.failures.value("application")) == ([], 1)


@pytest.mark.parametrize(
    "answer", [None, told("x 1", 500), told("x" * (17 * 1024 * 1024))], ids=["none", "500", "endless"]
)
async def test_an_application_that_gives_no_good_answer_costs_only_its_own(
    scraper: Scraper, tmp_path: Path, answer: scraped.Answer | None
) -> None:
    async with scraped.proxy(tmp_path / "a", told(PROXY_TEXT)) as admin, scraped.application(answer) as url:
        found = await scraper.read(ScrapeTarget("default", "web", admin_socket=admin, application_url=url))
    assert lines(found) == [OWN]
    assert scraper.failures.value("application") == 1


async def test_all_workloads_are_told_apart_and_those_that_hang_are_left_out(scraper: Scraper, tmp_path: Path) -> None:
    async with scraped.proxy(tmp_path / "a", told(PROXY_TEXT)) as good, scraped.proxy(tmp_path / "b") as hanging:
        targets = [
            ScrapeTarget("default", "web", admin_socket=good),
            *(ScrapeTarget("default", f"stuck-{number}", admin_socket=hanging) for number in range(40)),
            ScrapeTarget("shop", "gone", admin_socket=str(tmp_path / "c")),
            ScrapeTarget("shop", "plain"),
        ]
        found = await scraper.read_all(targets)
    assert lines(found) == ['istio_requests_total{namespace="default",pod="web",reporter="source"} 3']
    assert scraper.failures.value("proxy") == 41


async def test_only_wanted_statistics_are_asked_for(scraper: Scraper, tmp_path: Path) -> None:
    asked = []

    def answer(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        return web.Response(text=PROXY_TEXT)

    async with scraped.proxy(tmp_path / "a", answer) as admin, scraped.application(answer) as url:
        await scraper.read(ScrapeTarget("default", "web", admin_socket=admin, application_url=url), "istio_")
    assert asked == ["/stats/prometheus?filter=istio_"]


async def test_lines_that_cannot_be_used_are_counted(scraper: Scraper, tmp_path: Path) -> None:
    async with scraped.proxy(tmp_path / "a", told(PROXY_TEXT)) as admin, scraped.application(told("rubbish\n")) as url:
        await scraper.read(ScrapeTarget("default", "web", admin_socket=admin, application_url=url))
    assert scraper.lines_left_out.value() == 1


async def test_a_proxy_says_of_which_version_it_is(tmp_path: Path) -> None:
    scraper = Scraper(version="0.1.0")
    async with scraped.proxy(tmp_path / "a", told(PROXY_TEXT)) as admin:
        found = await scraper.read(ScrapeTarget("default", "web", admin_socket=admin))
    await scraper.close()
    assert lines(found) == ['istio_build{component="proxy",tag="0.1.0"} 1', OWN]
