"""When pushes start."""

import pytest

from lateen.manager.debounce import Debounce


def test_the_first_change_after_a_quiet_time_is_pushed_at_once() -> None:
    debounce = Debounce()
    assert debounce.delay(100.0) == 0
    debounce.pushed(100.0, 100.001)
    assert debounce.delay(200.0) == 0


@pytest.mark.parametrize(
    "cost_ms, expected",
    [
        (0.5, [0, 10, 10, 10, 10, 10, 10]),
        (3, [0, 10, 20, 30, 30, 30, 30]),
        (20, [0, 40, 80, 100, 100, 100, 100]),
        (80, [0, 100, 100, 100, 100, 100, 100]),
    ],
)
def test_changes_that_keep_coming_are_bundled_in_windows_that_grow_with_what_a_push_costs(
    cost_ms: float, expected: list[int]
) -> None:
    debounce, now, gaps = Debounce(), 100.0, []
    for _ in expected:
        gap = debounce.delay(now)
        gaps.append(round(1000 * gap))
        now += gap
        debounce.pushed(now, now + cost_ms / 1000)
        now += cost_ms / 1000
    assert gaps == expected


def test_a_pause_makes_the_next_push_quick_again() -> None:
    debounce = Debounce(window=0.1, last_end=100.0)
    debounce.pushed(101.0, 101.001)
    assert debounce.delay(101.001) == pytest.approx(0.010)


def test_a_costly_push_leaves_time_for_other_work() -> None:
    debounce = Debounce()
    debounce.pushed(100.0, 100.04)
    assert debounce.delay(100.04) == pytest.approx(0.08)
