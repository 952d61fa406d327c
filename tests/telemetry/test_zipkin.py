"""Spans in Zipkin's JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.errors import ProtocolError
from lateen.telemetry import zipkin
from lateen.telemetry.traces import Span

SPAN = {
    "traceId": "94E9817898d0759e6d2610bdf3e2ae44",
    "id": "6d2610bdf3e2ae44",
    "parentId": "97d81c77ed2c628f",
    "name": "reviews.default.svc.cluster.local:9080/*",
    "kind": "SERVER",
    "timestamp": 1795420253159905,
    "duration": 12230,
    "localEndpoint": {"serviceName": "reviews.default", "ipv4": "10.244.1.7"},
    "tags": {"http.status_code": "200", "component": "proxy"},
}


def test_a_span_is_read() -> None:
    assert zipkin.read_spans(json.dumps([SPAN]).encode()) == (
        (
            Span(
                trace_id="94e9817898d0759e6d2610bdf3e2ae44",
                span_id="6d2610bdf3e2ae44",
                parent_id="97d81c77ed2c628f",
                name="reviews.default.svc.cluster.local:9080/*",
                kind="server",
                service="reviews.default",
                start=1795420253159905,
                duration=12230,
                tags=(("component", "proxy"), ("http.status_code", "200")),
            ),
        ),
        0,
    )


def test_entries_that_are_no_spans_are_counted() -> None:
    body = json.dumps([SPAN, {"traceId": "xyz"}, 7, {**SPAN, "timestamp": None}]).encode()
    spans, unreadable = zipkin.read_spans(body)
    assert (len(spans), unreadable) == (1, 3)


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        zipkin.read_spans(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(SPAN)), inner, max_size=9),
    max_leaves=20,
)


@given(st.lists(JSON, max_size=4))
def test_any_json_is_read_or_counted(content: list[object]) -> None:
    spans, unreadable = zipkin.read_spans(json.dumps(content).encode())
    assert len(spans) + unreadable == len(content)
