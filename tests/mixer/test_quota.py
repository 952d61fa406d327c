"""Counts in memory: what each way of counting grants, and what is remembered of questions."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.mixer import quota
from lateen.mixer.quota import Charge, Counts, Deduplication, Grant, Quota

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
FIXED = quota.fixed(3, SECOND)
ROLLING = quota.rolling(3, SECOND, timedelta(milliseconds=100))
REFILLED = quota.refilled(10, SECOND, 3)
HELD = quota.held(3)


def granted(counts: Counts, kind: Quota, times: list[int], amount: int = 1) -> list[int]:
    """What a count grants at these times."""
    return [counts.charge((Charge("a", kind, amount),), now)[0].granted for now in times]


@pytest.mark.parametrize(
    ("kind", "times", "expected"),
    [
        (FIXED, [0, 1, 2, 3, 999, 1000], [1, 1, 1, 0, 0, 1]),
        (FIXED, [900, 901, 902, 1000, 1001, 1002, 1003], [1, 1, 1, 1, 1, 1, 0]),
        (ROLLING, [900, 901, 902, 1000, 1899, 1900], [1, 1, 1, 0, 0, 1]),
        (REFILLED, [0, 0, 0, 0, 99, 100, 101, 400], [1, 1, 1, 0, 0, 1, 0, 1]),
        (HELD, [0, 0, 0, 0, 10**9], [1, 1, 1, 0, 0]),
    ],
)
def test_a_quota_grants_what_its_kind_promises(kind: Quota, times: list[int], expected: list[int]) -> None:
    assert granted(Counts(), kind, times) == expected


def test_what_is_given_back_can_be_had_again_but_never_more_than_there_was() -> None:
    counts = Counts()
    granted(counts, HELD, [0, 0, 0])
    assert granted(counts, HELD, [1], amount=-5) == [-5]
    assert granted(counts, HELD, [2, 2, 2, 2]) == [1, 1, 1, 0]


def test_best_effort_takes_what_there_is_and_others_all_or_nothing() -> None:
    counts = Counts()
    assert counts.charge((Charge("a", FIXED, 5),), 0) == (Grant(0, 3, 1000),)
    assert counts.charge((Charge("a", FIXED, 5, best_effort=True),), 0) == (Grant(3, 0, 1000),)
    assert counts.charge((Charge("a", FIXED, 5, best_effort=True),), 0) == (Grant(0, 0, 1000),)


def test_a_refused_request_is_charged_nowhere() -> None:
    counts = Counts()
    granted(counts, FIXED, [0, 0, 0])
    together = (Charge("b", FIXED), Charge("a", FIXED))
    assert [one.granted for one in counts.charge(together, 1)] == [0, 0]
    assert counts.charge((Charge("b", FIXED, 3),), 2)[0].granted == 3


def test_it_tells_how_much_is_left_and_when_there_is_more() -> None:
    counts = Counts()
    assert counts.charge((Charge("a", FIXED),), 300) == (Grant(1, 2, 700),)
    assert counts.charge((Charge("r", ROLLING, 3),), 250) == (Grant(3, 0, 950),)
    assert counts.charge((Charge("t", REFILLED, 3),), 0) == (Grant(3, 0, 100),)
    assert counts.charge((Charge("t", REFILLED),), 40) == (Grant(0, 0, 60),)


def test_keys_are_counted_apart_and_the_one_not_used_longest_is_forgotten() -> None:
    counts = Counts(most=2)
    for key in ("a", "b", "a", "c"):
        counts.charge((Charge(key, HELD),), 0)
    assert len(counts) == 2
    assert counts.charge((Charge("a", HELD),), 0)[0].left == 0
    assert counts.charge((Charge("b", HELD),), 0)[0].left == 2


def test_another_quota_counts_at_once() -> None:
    counts = Counts()
    assert granted(counts, FIXED, [0, 0]) == [1, 1]
    assert granted(counts, quota.fixed(1, SECOND), [1]) == [0]
    assert granted(counts, quota.fixed(4, SECOND), [2, 3, 4]) == [1, 1, 0]


def test_a_question_that_is_asked_again_gets_the_same_answer_for_a_while() -> None:
    answers: Deduplication[int] = Deduplication(SECOND)
    assert answers.known("q", 0) is None
    answers.remember("q", 7, 10)
    assert answers.known("q", 1000) == 7
    assert answers.known("q", 5000) is None


@given(
    st.sampled_from([FIXED, ROLLING, HELD, quota.refilled(3, SECOND, 3)]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 4), st.booleans()), max_size=60),
)
def test_no_window_of_its_kind_ever_grants_more(kind: Quota, asked: list[tuple[int, int, bool]]) -> None:
    counts, now, taken = Counts(), 0, []
    for step, amount, best_effort in asked:
        now += step
        grant = counts.charge((Charge("a", kind, amount, best_effort),), now)[0]
        assert 0 <= grant.granted <= amount
        assert 0 <= grant.left <= kind.most
        taken.append((now, grant.granted))
    for end, _ in taken:
        window = _window(kind, end)
        most = kind.most + (kind.amount if kind.counting is quota.Counting.REFILLED else 0)
        assert sum(amount for at, amount in taken if at in window) <= most


def _window(kind: Quota, end: int) -> range:
    """The times of a window in which a quota may grant all of its amount once."""
    if kind.counting is quota.Counting.HELD:
        return range(end + 1)
    if kind.counting is quota.Counting.FIXED:
        first = end - end % kind.window
        return range(first, first + kind.window)
    if kind.counting is quota.Counting.ROLLING:
        first_tick = end // kind.tick - kind.window // kind.tick + 1
        return range(first_tick * kind.tick, (end // kind.tick + 1) * kind.tick)
    return range(end - kind.window + 1, end + 1)
