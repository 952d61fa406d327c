"""Traces of real requests: who is in them, what was their cause, how many there are."""

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lateen.errors import LateenError
from tests.live.mesh import EXAMPLES, Caller, Mesh, until
from tests.platforms.local.live_mesh import users

pytestmark = pytest.mark.parametrize("bookinfo", users()[:1], indirect=True, scope="session")

ROUTING = EXAMPLES / "bookinfo" / "routing"
SAMPLING = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: traces, namespace: istio-system}}
spec: {{tracing: [{{randomSamplingPercentage: {percent}, customTags: {{who: {{header: {{name: x-who}}}}}}}}]}}
"""
WHOLE = [
    (0, "sleep.default", "client"),
    (1, "productpage.default", "server"),
    (2, "productpage.default", "client"),
    (3, "details.default", "server"),
    (2, "productpage.default", "client"),
    (3, "reviews.default", "server"),
    (4, "reviews.default", "client"),
    (5, "ratings.default", "server"),
]


@pytest.fixture
def sleeper(bookinfo: Mesh) -> Iterator[Caller]:
    """Calls from the workload sleep."""
    with bookinfo.call_from("deploy/sleep") as caller:
        yield caller


@pytest.fixture
def starred(bookinfo: Mesh) -> Iterator[None]:
    """Reviews are of v3, which asks for ratings."""
    bookinfo.apply((ROUTING / "virtual-service-reviews-v3.yaml").read_text())
    yield
    bookinfo.apply((ROUTING / "virtual-service-all-v1.yaml").read_text())


def some_id(digits: int) -> str:
    """An id that no other request has."""
    return f"{random.getrandbits(4 * digits) | 1:0{digits}x}"


def collected(mesh: Mesh, trace_id: str, spans: int) -> dict[str, Any]:
    """A trace, once so many spans of it have come."""

    def found() -> dict[str, Any] | None:
        try:
            trace: dict[str, Any] = mesh.api.get("v1", "traces", trace_id)
        except LateenError:
            return None
        return trace if len(trace["spans"]) >= spans else None

    return until(found, 15, f"{spans} spans of trace {trace_id}") or {}


@pytest.mark.parametrize("kind", ["B3", "W3C"])
def test_a_request_is_one_trace_in_which_each_span_has_its_cause(
    bookinfo: Mesh, sleeper: Caller, starred: None, kind: str
) -> None:
    until(lambda: mixer_answers(bookinfo), 20, "the collector")
    trace_id, parent = some_id(32), some_id(16)
    headers = {
        "B3": {"x-b3-traceid": trace_id, "x-b3-spanid": parent, "x-b3-sampled": "1"},
        "W3C": {"traceparent": f"00-{trace_id}-{parent}-01"},
    }[kind]
    assert sleeper.get("http://productpage:9080/productpage", headers=headers).status == 200
    spans = collected(bookinfo, trace_id, len(WHOLE))["spans"]
    assert [(span["depth"], span["service"], span["kind"]) for span in spans] == WHOLE
    assert (spans[0]["parent_id"], spans[0]["tags"]["istio.canonical_service"]) == (parent, "sleep")
    shown = bookinfo.do("trace show", trace_id)
    assert [line.split()[0] for line in shown.splitlines()[1:]] == [service for _, service, _ in WHOLE]


def test_a_tenth_of_the_requests_is_traced_with_tags_of_ones_own(bookinfo: Mesh, sleeper: Caller) -> None:
    until(lambda: mixer_answers(bookinfo), 20, "the collector")
    with bookinfo.having(SAMPLING.format(percent=10)):
        began = time.time() * 1e6
        sleeper.requests("http://details:9080/details/0", 250, headers={"x-who": "anna"})
        # what one worker reports comes in order: when this one is there, those before it are
        last = some_id(32)
        sleeper.get("http://details:9080/details/0", headers={"traceparent": f"00-{last}-{some_id(16)}-01"})
        collected(bookinfo, last, 2)
        listed = bookinfo.api.get("v1", "traces", service="sleep", limit=1000)["traces"]
        mine = [trace["trace_id"] for trace in listed if trace["start"] >= began and trace["trace_id"] != last]
        assert 5 <= len(mine) <= 60
        assert bookinfo.api.get("v1", "traces", mine[0])["spans"][0]["tags"]["who"] == "anna"


def mixer_answers(mesh: Mesh) -> bool:
    """Whether traces can be read."""
    try:
        mesh.api.get("v1", "traces")
    except LateenError:
        return False
    return True
