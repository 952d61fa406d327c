"""Rollouts, step by step: which pods start and which stop."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lateen.platforms.local.rollouts import Existing, Replicas, Step, Strategy, plan_step, resolve_share


def pods(text: str) -> list[Existing]:
    """Read `a:new+ b:old- c:old~`: + ready, - not ready, ~ stopping."""
    marks = {"+": (True, False), "-": (False, False), "~": (False, True)}
    found = []
    for word in text.split():
        name, _, rest = word.partition(":")
        ready, stopping = marks[rest[-1]]
        found.append(Existing(name=name, revision=rest[:-1], ready=ready, stopping=stopping))
    return found


def step(replicas: Replicas, existing: str) -> tuple[str, str]:
    suffixes = iter("123456789")
    planned = plan_step(replicas, pods(existing), lambda: next(suffixes))
    return " ".join(planned.start), " ".join(planned.stop)


def web(count: int, **strategy: object) -> Replicas:
    return Replicas(
        kind="Deployment", name="web", count=count, revision="new", strategy=Strategy(**strategy)  # type: ignore[arg-type]
    )  # fmt: skip


def db(count: int, **strategy: object) -> Replicas:
    return Replicas(
        kind="StatefulSet", name="db", count=count, revision="new", strategy=Strategy(**strategy)  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("replicas", "existing", "start", "stop"),
    [
        pytest.param(web(2), "", "web-new-1 web-new-2", "", id="from nothing"),
        pytest.param(web(2), "a:new+ b:new-", "", "", id="complete"),
        pytest.param(web(1), "a:new+ b:new-", "", "b", id="scaled down: who is not ready goes first"),
        pytest.param(web(1), "a:new+ b:new+", "", "b", id="scaled down: the youngest goes first"),
        pytest.param(web(0), "a:new+ b:old+", "", "a b", id="scaled to nothing"),
        pytest.param(web(1), "a:old+", "web-new-1", "", id="new first"),
        pytest.param(web(1), "a:old+ b:new-", "", "", id="old waits for new"),
        pytest.param(web(1), "a:old+ b:new+", "", "a", id="then old goes"),
        pytest.param(web(1), "a:old-", "web-new-1", "a", id="useless old ones go at once"),
        pytest.param(web(3), "a:old+ b:old+ c:old+", "web-new-1", "", id="one more at a time"),
        pytest.param(web(3, max_surge=0, max_unavailable=1), "a:old+ b:old+ c:old+", "", "a", id="one fewer at a time"),
        pytest.param(web(1), "a:new~", "web-new-1", "", id="one that is stopping does not count"),
        pytest.param(web(2, recreate=True), "a:old+ b:old+", "", "a b", id="recreate: all old ones first"),
        pytest.param(web(2, recreate=True), "a:old~", "", "", id="recreate: until they are gone"),
        pytest.param(web(1, recreate=True), "", "web-new-1", "", id="recreate: then new ones"),
        pytest.param(db(2), "", "db-0", "", id="in order"),
        pytest.param(db(2), "db-0:new-", "", "", id="the next one waits"),
        pytest.param(db(2), "db-0:new+", "db-1", "", id="until the one before is ready"),
        pytest.param(db(2, parallel=True), "", "db-0 db-1", "", id="parallel"),
        pytest.param(db(1), "db-0:new+ db-1:new+ db-2:new+", "", "db-2", id="scaled down from the top"),
        pytest.param(db(2), "db-0:old+ db-1:old+", "", "db-1", id="replaced from the top"),
        pytest.param(db(2), "db-0:old+ db-1:new-", "", "", id="one at a time"),
        pytest.param(db(2, on_delete=True), "db-0:old+ db-1:old+", "", "", id="on delete"),
        pytest.param(db(2, partition=1), "db-0:old+ db-1:new+", "", "", id="below the partition"),
        pytest.param(db(1), "db-0:old~", "", "", id="a name is free only when its pod is gone"),
    ],
)
def test_next_step(replicas: Replicas, existing: str, start: str, stop: str) -> None:
    assert step(replicas, existing) == (start, stop)


@pytest.mark.parametrize(
    ("share", "count", "up", "down"), [("25%", 1, 1, 0), ("25%", 4, 1, 1), ("50%", 3, 2, 1), (2, 1, 2, 2)]
)
def test_shares(share: int | str, count: int, up: int, down: int) -> None:
    assert resolve_share(share, count, upwards=True) == up
    assert resolve_share(share, count, upwards=False) == down


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 6), old=st.integers(1, 6), surge=st.integers(0, 3), unavailable=st.integers(0, 3))
def test_a_rollout_ends_and_never_has_fewer_ready_pods_than_it_may(
    count: int, old: int, surge: int, unavailable: int
) -> None:
    if surge == unavailable == 0:
        surge = 1
    replicas = web(count, max_surge=surge, max_unavailable=unavailable)
    present = {f"old-{n}": Existing(name=f"old-{n}", revision="old", ready=True) for n in range(old)}
    names = (str(n) for n in range(1000))
    floor = min(old, count - min(count, unavailable))
    for _ in range(50):
        planned = plan_step(replicas, present.values(), lambda: next(names))
        if planned == Step():
            break
        present = dict(_applied(present, planned))
        assert sum(pod.ready for pod in present.values()) >= floor
        assert len(present) <= max(old, count + surge)
        present = {name: Existing(name=name, revision=pod.revision, ready=True) for name, pod in present.items()}
    assert [pod.revision for pod in present.values()] == ["new"] * count


def _applied(present: dict[str, Existing], planned: Step) -> Iterator[tuple[str, Existing]]:
    yield from ((name, pod) for name, pod in present.items() if name not in planned.stop)
    yield from ((name, Existing(name=name, revision="new", ready=False)) for name in planned.start)
