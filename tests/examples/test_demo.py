"""The demo's own reasoning: what it reads from answers and Envoys, what it accepts, what it shows."""

import asyncio
import fcntl
import json
import random
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from rich.console import Console

from .conftest import EXAMPLES

sys.path.insert(0, str(EXAMPLES / "demo"))

import access
import answers
import changes
import checks
import explained
import limits
import mesh
import readings
import screen
import show
import steps
import ways
from access import Finding, Reply, Trial
from answers import JASON, OTHERS, Answer
from checks import Evidence
from readings import Counts, Instance, Reading
from screen import LiveScreen, Outcome
from steps import TOUR, Step
from traffic import CYCLE, Traffic
from ways import Row, Window

from lateen.telemetry.exposition import Sample
from lateen.telemetry.readings import Interval
from lateen.telemetry.readings import Reading as Metrics
from lateen.telemetry.readings import of_samples as metrics_of
from lateen.telemetry.traffic import Edge, Figures

HOST = "reviews.default.svc.cluster.local"
STEPS = {step.title: step for step in TOUR}
PAGE = '<code>reviews-v3-5f-x2x</code> · v3<span class="stars red" role="img">★</span>'
API = '{"podname":"reviews-v2-77-abc","reviews":[{"rating":{"stars":5,"color":"black"}}]}'
NO_STARS = '{"podname":"reviews-v1-77-abc","reviews":[{"text":"red and black"}]}'
LOST = '{"podname":"reviews-v3-1-a","reviews":[{"rating":{"error":"Ratings service is currently unavailable"}}]}'


def instance(app: str, version: str = "v1", is_gateway: bool = False) -> Instance:
    return Instance(f"{app}-{version}", app, version, is_gateway, Path("/nowhere"))


def some(count: int, version: str, stars: answers.Stars, user: str = OTHERS, seconds: float = 0.01) -> list[Answer]:
    return [Answer(user, 200, version, stars, seconds)] * count


def counted(failed_calls: int = 0, **versions: int) -> Reading:
    sent = readings.Counter({(HOST, version): count for version, count in versions.items()})
    return Reading({instance("productpage"): Counts(sent=sent, failed_calls=failed_calls)})


def found_wrong(step: str, found: list[Answer], reading: Reading, *, is_ours: bool = True) -> list[str]:
    evidence = Evidence((), found, reading, is_ours)
    return [problem.expected for problem in checks.problems(STEPS[step], evidence)]


@pytest.mark.parametrize(
    ("body", "version", "stars"),
    [
        (PAGE, "v3", "red"),
        (API, "v2", "black"),
        (NO_STARS, "v1", "none"),
        (LOST, "v3", "missing"),
        ("oops", "", "none"),
    ],
)
def test_an_answer_tells_version_and_stars(body: str, version: str, stars: str) -> None:
    answer = answers.read(OTHERS, 200, body, 0.1)
    assert (answer.version, answer.stars, answer.is_good) == (version, stars, version != "")


def test_bounds_hold_what_fair_draws_give_and_little_more() -> None:
    least, most = checks.bounds(360, 0.1)
    draw = random.Random(1)
    outcomes = [sum(draw.random() < 0.1 for _ in range(360)) for _ in range(1000)]
    assert least <= min(outcomes) and max(outcomes) <= most
    assert 0 < least < 20 and 60 < most < 90
    assert checks.bounds(60, 0.0) == (0, 0)
    assert checks.bounds(60, 1.0) == (60, 60)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_each_end_is_cut_off_at_the_promised_chance(share: float) -> None:
    def chance(hits: Iterable[int]) -> float:
        return sum(checks._binomial(200, each, share) for each in hits)

    least, most = checks.bounds(200, share)
    assert chance(range(least)) <= 1e-7 < chance(range(least + 1))
    assert chance(range(most + 1, 201)) <= 1e-7 < chance(range(most, 201))


def test_traffic_that_keeps_a_promise_is_accepted() -> None:
    split = [*some(325, "v1", "none"), *some(35, "v2", "black")]
    assert found_wrong("90/10", split, counted(v1=325, v2=35)) == []
    for_jason = [*some(61, "v2", "black", JASON), *some(59, "v3", "red", JASON), *some(240, "v1", "none")]
    assert found_wrong("50/50 for jason", for_jason, counted(v1=240, v2=61, v3=59)) == []
    late = [*some(20, "v3", "red", JASON, 0.41), *some(40, "v3", "red")]
    assert found_wrong("ratings late", late, counted(v3=60)) == []
    lost = [*some(20, "v3", "missing", JASON), *some(40, "v3", "red")]
    assert found_wrong("ratings fail", lost, counted(failed_calls=20, v3=60)) == []


def test_a_split_that_is_off_is_told_by_version() -> None:
    even = [*some(180, "v1", "none"), *some(180, "v2", "black")]
    wrong = found_wrong("90/10", even, counted(v1=180, v2=180))
    assert len(wrong) == 2 and "reviews v1" in wrong[0] and "reviews v2" in wrong[1]
    mixed_up = [*some(120, "v1", "none", JASON), *some(240, "v2", "black")]
    assert any(each.startswith("jason: 0 of 120") for each in found_wrong("50/50 for jason", mixed_up, counted()))


def test_a_fault_that_is_not_seen_is_told() -> None:
    in_time = [*some(20, "v3", "red", JASON), *some(40, "v3", "red")]
    assert found_wrong("ratings late", in_time, counted(v3=60)) == ["jason: every answer takes 0.4 s or more"]
    all_late = [*some(20, "v3", "red", JASON, 0.5), *some(40, "v3", "red", OTHERS, 0.5)]
    assert found_wrong("ratings late", all_late, counted(v3=60)) == ["others: answers in less than 0.4 s"]
    assert found_wrong("ratings fail", in_time, counted(v3=60)) == ["jason: stars of reviews v3: missing"]


def test_a_request_that_fails_is_told_whenever_it_was() -> None:
    good = some(60, "v1", "none")
    bad = Answer(OTHERS, 503, "", "none", 0.1)
    problems = checks.problems(STEPS["all v1"], Evidence([bad], good, counted(v1=60), True))
    assert [(each.expected, each.seen) for each in problems] == [
        ("every page comes, with reviews, while the change went live", "1 x status 503 of 1")
    ]
    assert checks.problems(STEPS["all v1"], Evidence([], [], counted(), True))


def test_envoys_must_have_counted_what_was_seen() -> None:
    good = some(60, "v1", "none")
    assert found_wrong("all v1", good, counted(v1=59)) == ["productpage's Envoy: 60 requests sent to reviews v1"]
    assert found_wrong("all v1", good, counted(v1=61)) == ["productpage's Envoy: 60 requests sent to reviews v1"]
    assert found_wrong("all v1", good, counted(v1=60, failed_calls=1)) == ["all Envoys: 0 requests failed"]


def test_where_others_use_the_mesh_too_envoys_may_count_more_but_nothing_else() -> None:
    good = some(60, "v1", "none")
    assert found_wrong("all v1", good, counted(v1=75), is_ours=False) == []
    assert found_wrong("all v1", good, counted(v1=59), is_ours=False) != []
    assert found_wrong("all v1", good, counted(v1=75, v2=1), is_ours=False) != []


def test_what_traffic_did_is_said_in_a_few_words() -> None:
    lost = [*some(20, "v3", "missing", JASON), *some(40, "v3", "red")]
    assert checks.observed(STEPS["ratings fail"], lost) == "everybody v3 100% · jason without stars 20/20"
    late = [*some(20, "v3", "red", JASON, 0.41), *some(40, "v3", "red")]
    assert checks.observed(STEPS["ratings late"], late) == "everybody v3 100% · jason 410 ms, others 10 ms"


CALLERS = {"productpage": ("details", "reviews")}
PRODUCTPAGE = "spiffe://cluster.local/ns/default/sa/bookinfo-productpage"


def told(allowed: bool = True, **others: Any) -> dict[str, Any]:
    """What `lateen authz check` tells."""
    usual = {"outcome": "allow", "caller": "it", "callee": "other", "mode": "STRICT", "mutual_tls": True, "status": 0}
    return {"allowed": allowed, **usual, "steps": [], "mode_from": None, **others}


def denied(file: str = "ratings-viewer.yaml", **others: Any) -> dict[str, Any]:
    place = {"object": "AuthorizationPolicy default/ratings-viewer", "path": "spec.rules[0]", "at": f"/tmp/x/{file}:12"}
    failed = {"place": place, "failed": "source.principal is another"}
    return told(False, **{"outcome": "deny", "status": 403, "steps": [failed], **others})


def logged(by: str = PRODUCTPAGE) -> dict[str, Any]:
    return {"record": {"method": "GET", "path": "/ratings/0", "source_principal": by}}


def tried(reply: Reply, reason: dict[str, Any], log: dict[str, Any] | None = None, later: int | None = None) -> Finding:
    step = STEPS["identities" if log is None else "policy denies"]
    assert step.call is not None
    trial = Trial(reply, reason, log, None if later is None else Reply(later, "[]"))
    return access.refusal(step, step.call, trial, PRODUCTPAGE)


def test_who_calls_whom_is_told_with_the_identity() -> None:
    found = access.identities(CALLERS, {"productpage": {PRODUCTPAGE}}, [told(), told()])
    assert found == Finding((f"{PRODUCTPAGE} calls details, reviews",), "1 identities", ())
    assert access.account(PRODUCTPAGE) == "default/bookinfo-productpage"


@pytest.mark.parametrize(
    ("held", "answer"),
    [
        (set(), told()),
        ({PRODUCTPAGE, "spiffe://cluster.local/ns/default/sa/other"}, told()),
        ({PRODUCTPAGE}, told(mode="PERMISSIVE")),
        ({PRODUCTPAGE}, told(mutual_tls=False)),
        ({PRODUCTPAGE}, told(False)),
    ],
)
def test_a_missing_identity_and_a_call_without_mutual_tls_are_told(held: set[str], answer: dict[str, Any]) -> None:
    assert len(access.identities(CALLERS, {"productpage": held}, [answer]).problems) == 1


def test_a_refusal_for_the_right_reason_is_accepted_and_told() -> None:
    found = tried(Reply(403, "RBAC: access denied"), denied(), logged(), 200)
    assert found.problems == ()
    assert found.observed == "403, 200 without ratings-viewer.yaml"
    assert found.facts == (
        "productpage-v1 calls ratings: 403 RBAC: access denied",
        "because of ratings-viewer.yaml:12, AuthorizationPolicy default/ratings-viewer spec.rules[0]",
        "because source.principal is another",
        f"the log of ratings: GET /ratings/0 by {PRODUCTPAGE}",
        "ratings-viewer.yaml removed: 200",
    )


STRICT = {"object": "PeerAuthentication istio-system/default", "path": "spec", "at": "/x/peer-authentication.yaml:9"}


def test_plaintext_is_to_be_reset_because_of_strict() -> None:
    reset = Reply(0, "reset")
    found = tried(reset, told(False, outcome="refused", mode_from=STRICT))
    assert (found.problems, found.observed) == ((), "plaintext: reset")
    assert len(tried(reset, told(True, mode_from=STRICT)).problems) == 1
    assert len(tried(reset, told(False)).problems) == 1
    assert len(tried(Reply(0, "timed out"), told(False, mode_from=STRICT)).problems) == 1
    assert len(tried(Reply(200, "[]"), told(False, mode_from=STRICT)).problems) == 1


@pytest.mark.parametrize(
    ("status", "reason", "log", "later"),
    [
        (200, denied(), logged(), 200),
        (403, denied(file="other.yaml"), logged(), 200),
        (403, denied(status=401), logged(), 200),
        (403, denied(), logged("spiffe://cluster.local/ns/default/sa/other"), 200),
        (403, denied(), logged(), 403),
    ],
)
def test_a_refusal_for_another_reason_is_told(status: int, reason: Any, log: Any, later: int) -> None:
    assert len(tried(Reply(status, "RBAC: access denied"), reason, log, later).problems) == 1


async def test_an_envoys_identity_is_that_of_its_certificates(tmp_path: Path) -> None:
    names = [{"dns": "a.b"}, {"uri": PRODUCTPAGE}]
    shown = {"certificates": [{"ca_cert": [], "cert_chain": [{"subject_alt_names": names}]}] * 2}
    app = web.Application()

    async def certificates(_: web.Request) -> web.Response:
        return web.json_response(shown)

    app.router.add_get("/certs", certificates)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "admin.sock")).start()
    asked = instance("productpage")._replace(admin_socket=tmp_path / "admin.sock")
    assert await readings.identities(asked) == {PRODUCTPAGE}
    await runner.cleanup()
    assert await readings.identities(asked) == set()


async def test_a_call_by_hand_prints_what_came_of_it(url: str) -> None:
    async def called(port: int) -> Reply:
        argv = (sys.executable, str(EXAMPLES / "demo" / "call.py"), "127.0.0.1", str(port), "/")
        process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
        return Reply(**json.loads((await process.communicate())[0]))

    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    answer = await called(int(url.rstrip("/").rpartition(":")[2]))
    assert (answer.status, answer.said) == (200, NO_STARS[:80])
    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    assert await called(server.sockets[0].getsockname()[1]) == Reply(0, "reset")
    server.close()
    assert (await called(1)).status == 0 and "refused" in (await called(1)).said


def statistics() -> dict[str, Any]:
    counters = {
        f"cluster.outbound|9080|v2|{HOST};.upstream_rq_total": 7,
        "http.outbound_0.0.0.0_9080;.downstream_rq_5xx": 3,
    }
    return {"stats": [*({"name": name, "value": value} for name, value in counters.items()), {"histograms": {}}]}


def test_a_sidecar_counts_what_its_application_sends() -> None:
    found = readings.parse(statistics(), is_gateway=False)
    assert (found.sent, found.failed_calls) == ({(HOST, "v2"): 7}, 3)


def test_what_a_gateway_answers_is_no_applications_call() -> None:
    assert readings.parse(statistics(), is_gateway=True).failed_calls == 0


def test_an_envoy_that_began_anew_counts_from_nothing() -> None:
    before, after = (Counts(sent=readings.Counter({(HOST, "v1"): count})) for count in (100, 3))
    assert after.since(before).sent.total() == 3


WAYS = {("productpage-v1", "details"): 0.5, ("productpage-v1", "reviews"): 1.0}


def metered(at: float, *counts: tuple[str, str, str, int], tls: str = "mutual_tls", code: str = "200") -> Metrics:
    """The mesh's metrics: callers, services, versions and calls until now."""
    return metrics_of(at, (each for count in counts for each in samples(*count, tls, code)))


def samples(caller: str, service: str, version: str, calls: int, tls: str, code: str) -> Iterable[Sample]:
    way = {"source_workload": caller, "destination_service_name": service, "destination_version": version}
    for reporter, policy in (("source", "unknown"), ("destination", tls)):
        labels = {**way, "reporter": reporter, "connection_security_policy": policy, "response_code": code}
        yield Sample("istio_requests_total", tuple(sorted(labels.items())), calls)


def judged(*counts: tuple[str, str, str, int], is_ours: bool = True, **kind: str) -> Finding:
    before = metered(0.0, *((caller, service, version, 100) for caller, service, version, _ in counts), **kind)
    after = metered(
        2.0, *((caller, service, version, 100 + calls) for caller, service, version, calls in counts), **kind
    )
    return ways.followed(WAYS, Interval(before, after), 60, is_ours=is_ours)


def test_the_mesh_is_to_tell_as_many_calls_each_way_as_were_made() -> None:
    details, reviews = ("productpage-v1", "details", "v1", 30), ("productpage-v1", "reviews", "v3", 60)
    found = judged(details, reviews)
    assert (found.problems, found.observed) == ((), "2 ways, 2 by mutual TLS")
    assert found.facts == ("productpage-v1 calls details: 15/s", "productpage-v1 calls reviews: 30/s")
    more = ("productpage-v1", "reviews", "v3", 61)
    assert len(judged(details, more).problems) == 1 and judged(details, more, is_ours=False).problems == ()
    assert len(judged(details).problems) == 1
    assert len(judged(details, reviews, ("stranger", "ratings", "v1", 1)).problems) == 1
    assert len(judged(details, reviews, tls="none").problems) == 2
    assert len(judged(details, reviews, code="503").problems) == 2


def test_the_live_table_tells_what_happened_in_the_window_only() -> None:
    def at(seconds: float, first: int, second: int) -> Metrics:
        ends = (("productpage-v1", "reviews", "v1", first), ("productpage-v1", "reviews", "v2", second))
        return metered(seconds, *ends)

    window = Window(5.0)
    assert window.add(at(0.0, 0, 0)) == ()
    window.add(at(10.0, 100, 100))
    (row,) = window.add(at(15.0, 130, 110))
    assert row.edge.figures.requests == 8.0 and row.shares == {"v1": 0.75, "v2": 0.25}


def explanation(at: str, first: float = 50.0) -> dict[str, Any]:
    place = {"object": "VirtualService default/reviews", "path": "spec.http[0]", "at": f"/tmp/x/{at}:10"}
    split = [{"subset": "v2", "percent": first}, {"subset": "v3", "percent": 100 - first}]
    return {"route": {"place": place, "matched": "header end-user exact jason"}, "split": split}


def test_what_is_explained_is_compared_with_the_promise() -> None:
    question = STEPS["50/50 for jason"].question
    assert question is not None
    found = explained.explained(question, explanation("reviews.yaml"))
    assert (found.problems, found.facts[1]) == ((), "because of reviews.yaml:10, header end-user exact jason")
    assert len(explained.explained(question, explanation("other.yaml")).problems) == 1
    assert len(explained.explained(question, explanation("reviews.yaml", 40.0)).problems) == 1
    assert len(explained.explained(question, {"route": None, "split": []}).problems) == 1


def test_an_edit_is_shown_in_two_lines() -> None:
    before = "# v1\nroute:\n- destination:\n    subset: v1\n"
    after = "# v2\nroute:\n- destination:\n    subset: v2\n  weight: 10\n"
    assert changes.change("reviews.yaml", before, after) == ("reviews.yaml", "subset: v1", "subset: v2 weight: 10")


@pytest.mark.parametrize(
    ("statuses", "retry_after", "wrong"),
    [
        ([200] * 3 + [429] * 7, "20", []),
        ([200] * 10, "20", [("3 x 200, 7 x 429", "10 x 200")]),
        ([200] * 3 + [429] * 6 + [503], "20", [("3 x 200, 7 x 429", "3 x 200, 6 x 429, 1 x 503")]),
        ([200] * 3 + [429] * 7, "", [("who is refused is told when to come back", ", , , , , , ")]),
    ],
)
def test_of_a_caller_in_a_hurry_as_many_calls_pass_as_promised(
    statuses: list[int], retry_after: str, wrong: list[tuple[str, str]]
) -> None:
    hurry = STEPS["rate limit"].hurry
    assert hurry is not None
    found = limits.hurried(hurry, [limits.Hasty(status, "3", retry_after) for status in statuses])
    assert [tuple(problem) for problem in found.problems] == wrong
    assert found.facts[0].startswith("productpage-v1 calls ratings 10 times: ")


def test_without_the_limit_all_calls_are_to_pass() -> None:
    passed, refused = limits.Hasty(200, "", ""), limits.Hasty(429, "3", "20")
    found = limits.freed("ratings-limit.yaml", [passed] * 10)
    assert found == Finding(("ratings-limit.yaml removed: 10 x 200",), "10 x 200 without it", ())
    assert len(limits.freed("ratings-limit.yaml", [passed] * 9 + [refused]).problems) == 1


@pytest.mark.parametrize("step", [step for step in TOUR if step.source], ids=lambda step: step.title)
def test_a_step_edits_the_object_that_its_file_is_named_for(step: Step) -> None:
    assert step.source is not None
    item = yaml.safe_load(step.source.read_text())
    assert (item["kind"], f"{item['metadata']['name']}.yaml") == (step.kind, step.file)


def test_the_promised_shares_are_those_of_the_routing() -> None:
    for step in TOUR:
        for split in step.splits:
            assert sum(split.shares.values()) == pytest.approx(1.0)
            assert set(split.shares) <= set(steps.STARS)
    delay = STEPS["ratings late"]
    assert delay.source is not None and delay.fault is not None
    written = yaml.safe_load(delay.source.read_text())["spec"]["http"][0]["fault"]["delay"]["fixedDelay"]
    assert written == f"{delay.fault.seconds}s"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_holds_one_virtual_service_a_file_and_takes_edits(temporary: Path) -> None:
    folder = mesh.Folder("demo")
    assert sorted(path.name for path in folder.path.glob("*.yaml")) == [
        "destination-rules.yaml",
        "details.yaml",
        "peer-authentication.yaml",
        "productpage.yaml",
        "ratings.yaml",
        "reviews.yaml",
        "stranger.yaml",
    ]
    before, after = folder.edit("reviews.yaml", STEPS["90/10"].source)
    assert before != after and (folder.path / "reviews.yaml").read_text() == after
    assert folder.edit("reviews.yaml", None) == (after, before)
    before, after = folder.edit("ratings-viewer.yaml", STEPS["policy denies"].source)
    assert before == "" and (folder.path / "ratings-viewer.yaml").read_text() == after
    assert folder.edit("ratings-viewer.yaml", None) == (after, "")
    assert not (folder.path / "ratings-viewer.yaml").exists()
    folder.remove()
    assert list(temporary.iterdir()) == []


async def test_a_living_demo_is_left_alone(temporary: Path) -> None:
    folder = mesh.Folder("demo")
    with pytest.raises(mesh.TourFailed, match="under way"):
        await mesh.remove_leftovers("demo")
    assert folder.path.exists()
    folder.remove()


async def test_a_killed_demos_folder_and_mesh_are_removed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = mesh.Folder("demo")
    fcntl.flock(folder._lock, fcntl.LOCK_UN)
    called: list[tuple[str, ...]] = []

    async def lateen(*arguments: str, seconds: float) -> mesh.Ended:
        called.append(arguments)
        return mesh.Ended(0, "")

    monkeypatch.setattr(mesh, "_lateen", lateen)
    await mesh.remove_leftovers("demo")
    assert called == [("down", "--name", "demo")]
    assert list(temporary.iterdir()) == []


async def test_a_mesh_of_the_users_own_is_refused_and_not_ended(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lateen.cli.meshes.Mesh.is_running", True)
    with pytest.raises(mesh.TourFailed, match="no tour"):
        await mesh.remove_leftovers("demo")


async def page(request: web.Request) -> web.Response:
    """Black stars for jason, none for others, as the page has them."""
    is_jason = request.headers.get("cookie") == "user=jason"
    return web.Response(text=API if is_jason else NO_STARS)


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", page)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


async def test_traffic_is_counted_out_exactly(url: str) -> None:
    async with Traffic(url, rate=None) as traffic:
        await traffic.flow()
        assert (await traffic.first_good_answer(5)).is_good
        await traffic.rest()
        found = await traffic.ask(10 * len(CYCLE))
        assert await traffic.rest() == ()
    assert [sum(each.user == user for each in found) for user in (JASON, OTHERS)] == [20, 40]
    assert {(each.user, each.version) for each in found} == {(JASON, "v2"), (OTHERS, "v1")}


async def test_traffic_that_flows_ends_with_all_its_answers(url: str) -> None:
    async with Traffic(url, rate=200.0) as traffic:
        await traffic.flow()
        while traffic.sent < 10:
            await asyncio.sleep(0.01)
        found = await traffic.rest()
        assert len(found) == traffic.sent and traffic.failed == 0


async def test_requests_that_nobody_answers_are_failures() -> None:
    async with Traffic("http://127.0.0.1:1", rate=None) as traffic:
        found = await traffic.ask(3)
    assert [each.status for each in found] == [0, 0, 0] and traffic.failed == 3


def concluded(report: show.Report) -> tuple[int, str]:
    console = Console(width=120, color_system=None)
    with console.capture() as captured:
        status = show._conclude(console, report)
    return status, captured.get()


def test_the_exit_status_says_how_the_tour_went() -> None:
    all_steps = [outcome(step) for step in TOUR]
    assert concluded(show.Report(all_steps))[0] == 0
    assert concluded(show.Report(all_steps[:2]))[0] == 130
    failed = show.Report([outcome(TOUR[0], checks.Problem("60 answers", "59"))], logs=Path("/tmp/logs"))
    status, said = concluded(failed)
    assert status == 1
    assert "expected: 60 answers" in said and "seen:     59" in said and "/tmp/logs" in said
    status, said = concluded(show.Report([], mesh.TourFailed("the mesh did not come up", "no such file")))
    assert status == 1 and "the mesh did not come up" in said and "no such file" in said


def outcome(step: Step, *problems: checks.Problem) -> Outcome:
    return Outcome(step, "everybody v1 100%", problems, 60, 0.05)


def drawn(board: LiveScreen, width: int) -> list[str]:
    console = Console(width=width, color_system=None, file=None)
    with console.capture() as captured:
        console.print(board)
    return captured.get().splitlines()


def a_full_board() -> LiveScreen:
    board = LiveScreen()
    board.begin("http://localhost:8080")
    board.say("up")
    board.leave(outcome(TOUR[0]))
    board.enter(TOUR[1], changes.change("reviews.yaml", "a: 1\n", "b: 2\n" * 40))
    ends = [("istio-ingressgateway", "productpage"), ("productpage-v1", "details"), ("productpage-v1", "reviews")]
    ends += [(f"reviews-{version}", "ratings") for version in ("v1", "v2", "v3")]
    figures = Figures(40.0, 1.5, 0.5, 12.0, 120.0)
    shares = {"v1": 0.5, "v2": 0.2, "v3": 0.3}
    rows = [Row(Edge((caller, "default"), (service, "default"), figures, "yes"), shares) for caller, service in ends]
    board.update(screen.Numbers(rows, 1000, 0))
    return board


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_board_fits_into_a_small_terminal(width: int) -> None:
    lines = drawn(a_full_board(), width)
    assert len(lines) <= 24 and max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "http://localhost:8080/productpage" in text and "- a: 1" in text and "✓ all v1" in text
    assert "istio-ingressgateway productpage" in text and "120 ms yes" in text


@pytest.mark.parametrize("title", ["live table", "identities", "policy denies", "rate limit"])
def test_the_board_shows_what_was_found_out_and_still_fits(title: str) -> None:
    board, step = a_full_board(), STEPS[title]
    facts = tuple(f"spiffe://cluster.local/ns/default/sa/a-long-name-{number} calls some others" for number in range(5))
    observed = "everybody v3 100% · 403, 200 without ratings-viewer.yaml"
    board.enter(step, changes.change(step.file, "", "b: 2\n" * 40) if step.file else None)
    board.leave(Outcome(step, observed, (), 60, 0.05 if step.file else None, facts))
    lines = drawn(board, 90)
    assert len(lines) <= 24 and max(map(len, lines)) <= 90
    assert all(any(f"a-long-name-{number}" in line for line in lines) for number in range(5))


def test_without_a_terminal_facts_are_below_their_step(capsys: pytest.CaptureFixture[str]) -> None:
    screen.PlainScreen().leave(Outcome(STEPS["policy denies"], "", (), 60, 0.05, ("one", "two")))
    assert capsys.readouterr().out == "✓ policy denies\n    one\n    two\n"


def test_the_hints_at_the_end_can_be_copied() -> None:
    board = a_full_board()
    board.stay([("look", "lateen ps")])
    assert any("look" in line and "lateen ps" in line for line in drawn(board, 90))


def test_a_failure_is_reported_with_what_was_expected_and_seen() -> None:
    failed = outcome(TOUR[1], checks.Problem("60 answers", "59"))
    assert screen.problem_lines([outcome(TOUR[0]), failed]) == [
        "✗ 90/10",
        "    expected: 60 answers",
        "    seen:     59",
    ]
