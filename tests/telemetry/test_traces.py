"""Traces, as they are kept and shown."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lateen.telemetry import traces
from lateen.telemetry.traces import Span, TraceStore


def span(span_id: str, parent: str = "", *, trace: str = "a1", start: int = 0, service: str = "shop.default") -> Span:
    """A span of ten microseconds."""
    return Span(trace, span_id, parent, "GET", "server", service, start, 10)


def test_a_waterfall_has_each_span_below_its_cause_and_brothers_in_time() -> None:
    found = traces.waterfall([span("3", "1", start=9), span("4", "2", start=5), span("2", "1", start=4), span("1")])
    assert [(row.span.span_id, row.depth) for row in found] == [("1", 0), ("2", 1), ("4", 2), ("3", 1)]


def test_spans_of_unknown_or_circular_cause_are_shown_all_the_same() -> None:
    found = traces.waterfall([span("1", "9"), span("2", "3"), span("3", "2"), span("4", "4", start=7)])
    assert [(row.span.span_id, row.depth) for row in found] == [("1", 0), ("4", 0), ("2", 0), ("3", 0)]


@given(st.lists(st.tuples(st.sampled_from("123456"), st.sampled_from("0123456")), max_size=12))
def test_every_span_is_shown_once(ids: list[tuple[str, str]]) -> None:
    found = traces.waterfall(span(one, parent) for one, parent in ids)
    assert sorted(row.span.span_id for row in found) == sorted({one for one, _ in ids})


def test_the_oldest_traces_make_way_and_full_ones_take_no_more() -> None:
    store = TraceStore(most_traces=2, most_spans=2)
    store.add([span("1", trace="a"), span("1", trace="b"), span("1", trace="c"), span("2", trace="c")])
    store.add([span("3", trace="c"), span("2", trace="b")])
    assert [trace.trace_id for trace in store.last(9)] == ["c", "b"]
    assert (store.received, store.dropped, len(store)) == (6, 1, 2)


def test_the_spans_in_all_are_limited_too() -> None:
    store = TraceStore(most_traces=9, most_spans=3, most_spans_in_all=4)
    store.add(span(number, trace=trace) for trace in "abc" for number in "12")
    assert [trace.trace_id for trace in store.last(9)] == ["c", "b"]
    store.add(span(number, trace="d") for number in "123")
    assert [trace.trace_id for trace in store.last(9)] == ["d"]


def test_traces_are_found_by_who_took_part_how_long_they_took_and_whether_they_failed() -> None:
    store = TraceStore()
    failed = replace(span("1", trace="bad"), tags=(("http.status_code", "503"),))
    store.add([failed, span("1", trace="slow"), replace(span("2", trace="slow", service="cart.bank"), duration=900)])
    assert [trace.trace_id for trace in store.last(9, service="cart")] == ["slow"]
    assert [trace.trace_id for trace in store.last(9, at_least=500)] == ["slow"]
    assert [trace.trace_id for trace in store.last(9, only_errors=True)] == ["bad"]
    assert [trace.trace_id for trace in store.find("sl")] == ["slow"]
    assert not store.find("")
    assert store.find("slow")[0].services == ("shop.default", "cart.bank")
