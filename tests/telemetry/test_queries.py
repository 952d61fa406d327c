"""Questions in PromQL, and their answers from two readings."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.telemetry import queries, query_parser, query_tree, readings
from lateen.telemetry.query_parser import BadQuery
from lateen.telemetry.readings import Interval

BEFORE = """
calls_total{app="a",code="200",pod="1",namespace="n"} 10
calls_total{app="a",code="500",pod="1",namespace="n"} 5
calls_total{app="b",code="200",pod="2",namespace="n"} 100
took_bucket{le="10",pod="1"} 0
took_bucket{le="20",pod="1"} 0
took_bucket{le="+Inf",pod="1"} 0
"""
AFTER = """
calls_total{app="a",code="200",pod="1",namespace="n"} 30
calls_total{app="a",code="500",pod="1",namespace="n"} 10
calls_total{app="a",code="404",pod="1",namespace="n"} 4
calls_total{app="b",code="200",pod="2",namespace="n"} 20
calls_total{app="c",code="200",pod="3",namespace="n"} 900
took_bucket{le="10",pod="1"} 5
took_bucket{le="20",pod="1"} 10
took_bucket{le="+Inf",pod="1"} 10
zone{pod="1"} 3
width{pod="1"} 2
"""
OVER = Interval(readings.reading(100, BEFORE), readings.reading(110, AFTER))


def asked(query: str) -> dict[str, float]:
    """The answer by labels."""
    found = queries.answer(query_parser.parse(query), OVER)
    return {",".join(f"{name}={value}" for name, value in row.labels): row.value for row in found}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("2 + 3 * 4 - -1", {"": 15.0}),
        ("2 ^ 3 ^ 2 / 2", {"": 256.0}),
        ("-2 ^ 2", {"": -4.0}),
        ("10 % 4 == 2", {"": 1.0}),
        ('zone{pod=~"1|9"} * 2 > 5', {"pod=1": 6.0}),
        ("zone > 3", {}),
        ("sum by (app) (increase(calls_total[5m]))", {"app=a": 29.0, "app=b": 20.0}),
        ("sum(rate(calls_total{code!~'4..'}[1m])) by (app)", {"app=a": 2.5, "app=b": 2.0}),
        ("sum without (code, pod, namespace) (calls_total)", {"app=a": 44.0, "app=b": 20.0, "app=c": 900.0}),
        ("max(calls_total) - min(calls_total)", {"": 896.0}),
        ("count(calls_total)", {"": 5.0}),
        ("avg(calls_total{app='a'})", {"": 44 / 3}),
        (
            "sum(increase(calls_total{code='500'}[1m])) by (app) / sum(increase(calls_total[1m])) by (app)",
            {"app=a": 5 / 29},
        ),
        ("histogram_quantile(0.5, sum(rate(took_bucket[1m])) by (le))", {"": 10.0}),
        ("histogram_quantile(0.75, rate(took_bucket[1m]))", {"pod=1": 15.0}),
        ('count({__name__=~"took.*"})', {"": 3.0}),
        ("nothing_there", {}),
    ],
)
def test_a_question_is_answered(query: str, expected: dict[str, float]) -> None:
    assert asked(query) == pytest.approx(expected)


def test_a_counter_that_began_anew_counts_from_nothing() -> None:
    assert asked("increase(calls_total{app='b'}[1m])") == {"app=b,code=200,namespace=n,pod=2": 20.0}


def test_a_workload_that_was_not_seen_before_has_not_grown() -> None:
    assert asked("increase(calls_total{app='c'}[1m])") == {}


REFUSED = {
    "": ("the query ends too early", 0),
    "sum(": ("the query ends too early", 4),
    "sum(foo) by (pod": ("',' is expected here", 16),
    "topk(3, foo)": (
        "the function topk is not known here; there are rate, increase, histogram_quantile, sum, avg, min, max and count",
        0,
    ),
    "rate(foo)": ("rate() needs a range, such as foo[1m]", 5),
    "foo[5m]": ("a range such as [1m] only stands inside rate() or increase()", 7),
    "foo offset 5m": ("'offset' is not expected here", 4),
    "foo{a=1}": ("a text in quotes is expected here, not '1'", 6),
    'foo{a=~"("}': ("'(' is no regular expression: missing ), unterminated subpattern at position 0", 7),
    'foo{a>"x"}': ("after label a one of = != =~ !~ is expected, not '>'", 5),
    "{}": ("a selector needs a name or a condition", 0),
    "foo ! bar": ("'! bar' is nothing that a query can have", 4),
    "1 + (" + "(" * 60: ("the query is nested too deeply", 53),
}


@pytest.mark.parametrize("query", REFUSED)
def test_a_question_that_cannot_be_answered_is_refused_at_its_place(query: str) -> None:
    with pytest.raises(BadQuery) as refused:
        query_parser.parse(query)
    assert (str(refused.value), refused.value.position) == REFUSED[query]


def test_sides_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadQuery, match="several series with the same labels"):
        asked('{__name__=~"zone|width"} + zone')


@pytest.mark.parametrize("query", ["sum(1)", "histogram_quantile(foo, bar)"])
def test_a_number_is_no_series(query: str) -> None:
    with pytest.raises(BadQuery):
        asked(query)


def test_only_growth_needs_two_readings() -> None:
    needs = [
        query_tree.needs_growth(query_parser.parse(query))
        for query in ("sum(a) / b", "histogram_quantile(1, rate(a[1m]))")
    ]
    assert needs == [False, True]


@pytest.mark.parametrize(
    ("query", "expected"), [("1 / 0", math.inf), ("-1 / 0", -math.inf), ("0 ^ -1", math.inf), ("10 ^ 400", math.inf)]
)
def test_calculations_never_fail(query: str, expected: float) -> None:
    assert asked(query) == {"": expected}


WORDS = [
    "sum",
    "by",
    "(",
    ")",
    "rate",
    "calls_total",
    "[1m]",
    "{",
    "}",
    "app",
    "=~",
    '"a.*"',
    ",",
    "+",
    "^",
    "1",
    "took_bucket",
]


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_words_in_any_order_are_answered_or_refused(words: list[str]) -> None:
    try:
        asked(" ".join(words))
    except BadQuery as refused:
        assert str(refused)


@given(st.text(max_size=60))
def test_any_text_is_answered_or_refused(text: str) -> None:
    try:
        asked(text)
    except BadQuery as refused:
        assert 0 <= refused.position <= len(text)
