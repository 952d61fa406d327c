"""Probe results and what they mean, on a clock of the test's own."""

from lateen.platforms.local.health import Health, ProbeKind, Thresholds, begin

STARTUP, LIVENESS, READINESS = ProbeKind.STARTUP, ProbeKind.LIVENESS, ProbeKind.READINESS


def health(known_good: bool = False, **probes: Thresholds) -> Health:
    states = (begin(ProbeKind(kind), each, 0.0, known_good=known_good) for kind, each in probes.items())
    return Health(probes=tuple(states))


def run(health: Health, answers: str, kind: ProbeKind) -> Health:
    """Ask at every due time; `+` is a good answer, `-` a bad one."""
    for answer in answers:
        due_at = health.due_at()
        assert due_at is not None
        assert kind in health.due(due_at)
        health = health.observe(kind, answer == "+", due_at)
    return health


def test_a_container_without_probes_is_ready_and_never_asked() -> None:
    assert (health().ready, health().due_at()) == (True, None)


def test_readiness_begins_bad_and_turns_at_the_first_good_answer() -> None:
    first = health(readiness=Thresholds())
    assert not first.ready
    assert run(first, "+", READINESS).ready


def test_a_container_that_is_not_ready_yet_is_asked_early_and_a_ready_one_at_its_period() -> None:
    asked = run(health(readiness=Thresholds(period=10)), "-", READINESS)
    assert asked.due_at() == 0.1
    assert run(asked, "+", READINESS).due_at() == 10.0


def test_readiness_is_lost_only_after_enough_failures_in_a_row_and_found_after_enough_successes() -> None:
    ready = run(health(readiness=Thresholds(period=1, failures=3, successes=2)), "++", READINESS)
    assert run(ready, "--+--", READINESS).ready
    lost = run(ready, "---", READINESS)
    assert not lost.ready
    assert [run(lost, "+", READINESS).ready, run(lost, "++", READINESS).ready] == [False, True]


def test_liveness_begins_good_and_is_deadly_after_its_failures() -> None:
    alive = health(liveness=Thresholds(period=5, failures=2, initial_delay=3))
    assert alive.due_at() == 3
    assert run(alive, "-", LIVENESS).deadly is None
    assert run(alive, "--", LIVENESS).deadly is LIVENESS


def test_startup_holds_the_other_probes_back() -> None:
    starting = health(startup=Thresholds(period=1, failures=30), liveness=Thresholds(), readiness=Thresholds())
    assert starting.due(100.0) == (STARTUP,)
    started = starting.observe(STARTUP, True, 0.5)
    assert set(started.due(0.5)) == {LIVENESS, READINESS}
    assert not started.ready


def test_startup_failures_count_once_a_period_although_it_is_asked_more_often() -> None:
    starting = health(startup=Thresholds(period=1, failures=2))
    asked = 0
    while starting.deadly is None:
        starting = run(starting, "-", STARTUP)
        asked += 1
    assert asked > 2
    assert starting.probes[0].regular_at == 2.0


def test_a_container_that_is_taken_over_in_health_stays_ready_until_its_probe_says_no() -> None:
    taken = health(known_good=True, readiness=Thresholds(period=1, failures=1))
    assert taken.ready
    assert not run(taken, "-", READINESS).ready


def test_a_probe_that_is_asked_once_ends_with_its_success() -> None:
    assert run(health(readiness=Thresholds(once=True)), "-+", READINESS).due_at() is None
