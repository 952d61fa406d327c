"""Mixer's tasks on Bookinfo, as they have always been written: proxies decide, count and log themselves."""

import json
from pathlib import Path

import pytest

from tests.live import metrics_of
from tests.live.mesh import CALLER, EXAMPLES, Answer, Caller, Mesh, settle, until
from tests.platforms.local.live_mesh import users

# What a rule does to requests does not depend on who has started the mesh.
pytestmark = pytest.mark.parametrize("bookinfo", users()[:1], indirect=True, scope="session")

TASKS = EXAMPLES / "bookinfo" / "mixer"
RATINGS = "http://ratings:9080/ratings/0"
CHECKS = "/stats/prometheus?filter=cluster.lateen-mixer"


def task(name: str) -> str:
    return (TASKS / f"{name}.yaml").read_text()


def answers(mesh: Mesh) -> dict[str, Answer]:
    """What ratings tells each version of reviews, once every kept connection is one by the new rules."""
    found = {}
    for version in ("v1", "v2", "v3"):
        with mesh.call_from(f"deploy/reviews-{version}") as reviews:
            for _ in range(3):
                found[version] = reviews.get(RATINGS)
    return found


def test_reviews_v3_may_not_call_ratings(bookinfo: Mesh) -> None:
    with bookinfo.having(task("deny-reviews-v3")):
        found = answers(bookinfo)
        assert [found[version].status for version in found] == [200, 200, 403]
        assert found["v3"].body == "PERMISSION_DENIED:denyreviewsv3handler.handler.default:Not allowed"
        told = json.loads(bookinfo.do("mixer explain", "denyreviewsv3", "-o", "json"))
        decided = {one["where"]: one["workloads"] for one in told["actions"]}
        assert decided["rules of the proxy (RBAC)"] == ["ratings-v1.default"]
        assert mixer_calls(bookinfo, "ratings-v1") == 0, "compiled rules ask nobody"


def mixer_calls(mesh: Mesh, workload: str) -> float:
    """How often a workload's proxy has called the Mixer process."""
    lines = metrics_of.read(metrics_of.directory(mesh, workload) / "admin.sock", CHECKS).splitlines()
    (line,) = [line for line in lines if line.startswith("envoy_cluster_upstream_rq_total{")] or ["none 0"]
    return float(line.rpartition(" ")[2])


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("whitelist-versions", (404, "NOT_FOUND:whitelist.handler.default:v3 is not whitelisted")),
        ("blacklist-version", (403, "PERMISSION_DENIED:noversion3.listchecker.default:v3 is blacklisted")),
    ],
)
def test_versions_are_looked_up_in_lists(bookinfo: Mesh, name: str, refusal: tuple[int, str]) -> None:
    with bookinfo.having(task(name)):
        found = answers(bookinfo)
        assert (found["v1"].status, found["v2"].status) == (200, 200)
        assert (found["v3"].status, found["v3"].body) == refusal


def test_what_comes_through_the_gateway_is_looked_up_by_address(bookinfo: Mesh) -> None:
    url = f"{bookinfo.url()}/productpage"
    with browser(bookinfo) as outside:
        with bookinfo.having(task("whitelist-addresses")):
            page = until(lambda: next((one for one in outside.requests(url, 4) if one.status == 404), None))
            assert page.body.startswith("NOT_FOUND:whitelistip.handler.istio-system:10.244.")
            assert answers(bookinfo)["v3"].status == 200
        settle(outside, url)


def browser(mesh: Mesh) -> Caller:
    return Caller([*mesh.prefix, mesh.python, str(CALLER)], mesh.environment)


def test_the_page_is_limited_but_not_for_one_source(bookinfo: Mesh) -> None:
    url = "http://productpage:9080/productpage"
    with bookinfo.call_from("deploy/sleep") as sleep:
        with bookinfo.having(task("rate-limit-productpage")):
            forwarded = {"x-forwarded-for": "10.28.11.20"}
            until(lambda: sleep.get(url, headers={"x-forwarded-for": "10.28.11.21"}).status == 429)
            assert {sleep.get(url, headers=forwarded).status for _ in range(4)} == {200}
        settle(sleep, url)


def test_a_new_metric_counts_every_request_twice(bookinfo: Mesh) -> None:
    with bookinfo.having(task("double-request-count")), bookinfo.call_from("deploy/reviews-v2") as reviews:
        for _ in range(3):
            assert reviews.get(RATINGS).status == 200

        def doubled() -> list[tuple[dict[str, str], float]]:
            found = metrics_of.of(metrics_of.told(bookinfo, "ratings-v1"), "istio_double_request_count")
            return [(labels, value) for labels, value in found if labels["source"] == "reviews-v2"]

        ((labels, value),) = until(doubled, what="the new metric")
        assert labels == {
            "reporter": "server",
            "source": "reviews-v2",
            "destination": "ratings-v1",
            "message": "twice the fun!",
        }
        assert value in (4, 6)  # the first request may have come while the rule did


def test_a_new_log_stream_has_a_line_for_every_request(bookinfo: Mesh) -> None:
    with bookinfo.having(task("new-log-stream")), bookinfo.call_from("deploy/reviews-v2") as reviews:
        log = Path(_proxy_log(bookinfo))

        def lines() -> list[dict[str, str]]:
            reviews.get(RATINGS)
            found = [line for line in log.read_text().splitlines() if '"newlog.instance.istio-system"' in line]
            return [json.loads(line) for line in found]

        line = until(lines, what="a line of the new log")[-1]
        assert line["source"] == "reviews"
        assert line["destination"] == "ratings"
        assert (line["level"], line["responseCode"]) == ("warning", "200")
        assert line["user"] == "cluster.local/ns/default/sa/bookinfo-reviews"


def _proxy_log(mesh: Mesh) -> str:
    (row,) = [row for row in mesh.workloads() if row["name"].startswith("ratings-v1")]
    return next(str(one["log"]) for one in row["containers"] if one["kind"] == "proxy")
