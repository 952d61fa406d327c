"""When keys are fetched again, and how long old ones count."""

from datetime import UTC, datetime, timedelta

from lateen.manager import key_care
from lateen.model.key_sets import KeySet

START = datetime(2026, 1, 1, tzinfo=UTC)
URL = "https://issuer.example.com/keys"


def test_nothing_is_said_before_anything_is_known() -> None:
    record = key_care.wanted(URL, START)
    assert record.next_at == START
    assert key_care.key_set(record, START) is None


def test_good_keys_are_fetched_again_after_twenty_minutes() -> None:
    record = key_care.fetched(key_care.wanted(URL, START), "keys", START, 0)
    assert record.next_at == START + timedelta(minutes=20)
    assert key_care.key_set(record, START) == KeySet(URL, "keys")


def test_failures_are_tried_again_ever_later_up_to_a_minute() -> None:
    record, now, waits = key_care.wanted(URL, START), START, []
    for _ in range(9):
        record = key_care.failed(record, "gone", now, 0)
        waits.append((record.next_at - now).total_seconds())
        now = record.next_at
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_last_good_keys_count_for_a_week() -> None:
    record = key_care.fetched(key_care.wanted(URL, START), "keys", START, 0)
    record = key_care.failed(record, "gone", START + timedelta(hours=1), 0)
    assert key_care.key_set(record, START + timedelta(days=6)) == KeySet(URL, "keys", "gone")
    assert key_care.key_set(record, START + timedelta(days=8)) == KeySet(URL, "", "gone")


def test_a_success_ends_the_failures() -> None:
    record = key_care.failed(key_care.wanted(URL, START), "gone", START, 0)
    record = key_care.fetched(record, "keys", START, 0)
    assert (record.failure, record.failures) == ("", 0)
