"""Counts in a real Redis: the same as those in memory, shared, and back within a second of Redis."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from lateen.adapters.redis_counts import RedisCounts
from lateen.errors import Unavailable
from lateen.mixer import quota
from lateen.mixer.quota import Charge, Counts
from tests.adapters.redis_server import RedisServer, redis_server

SECOND, TICK, TIMEOUT = timedelta(seconds=1), timedelta(milliseconds=100), timedelta(seconds=2)
KINDS = (quota.fixed(5, SECOND), quota.rolling(5, SECOND, TICK), quota.refilled(7, SECOND, 3), quota.held(5))
charges = st.builds(
    Charge, st.sampled_from("ab"), st.sampled_from(KINDS), st.sampled_from([1, 1, 1, 2, 4, 9, -1]), st.booleans()
)
questions = st.lists(charges, min_size=1, max_size=3, unique_by=lambda one: (one.key, one.quota.counting))


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 500), questions), min_size=1, max_size=25))
def test_it_counts_as_memory_does(server: RedisServer, asked: list[tuple[int, list[Charge]]]) -> None:
    with Redis.from_url(server.url) as plain:
        plain.flushall()
    asyncio.run(_compare(server.url, asked))


async def _compare(url: str, asked: list[tuple[int, list[Charge]]]) -> None:
    now, memory = 10**12, Counts()
    store = RedisCounts(url, TIMEOUT, 1, clock=lambda: now)
    for step, wanted in asked:
        now += step
        assert tuple(await store.charge(wanted)) == memory.charge(wanted, now)
    await store.close()


async def test_processes_share_what_they_count_however_many_ask_at_once(server: RedisServer) -> None:
    stores = [RedisCounts(server.url, TIMEOUT, 4) for _ in range(3)]
    kind = quota.fixed(100, timedelta(days=1))
    asked = [store.charge((Charge("shared", kind),)) for store in stores for _ in range(60)]
    assert sum(grants[0].granted for grants in await asyncio.gather(*asked)) == 100
    for store in stores:
        await store.close()


async def test_every_count_expires(server: RedisServer) -> None:
    store = RedisCounts(server.url, TIMEOUT, 1)
    limited = [one for one in KINDS if one.counting is not quota.Counting.HELD]
    await store.charge([Charge("gone", replace(one)) for one in limited])
    with Redis.from_url(server.url) as plain:
        left = [plain.pttl(f"lateen:{one.counting}:gone") for one in limited]
    assert all(isinstance(one, int) and 0 < one <= 1100 for one in left), left
    await store.close()


async def test_a_redis_that_comes_back_counts_within_a_second() -> None:
    charge = (Charge("k", quota.fixed(10, timedelta(days=1))),)
    with redis_server() as server:
        store = RedisCounts(server.url, timedelta(milliseconds=250), 4)
        await store.charge(charge)
        server.kill()
        with pytest.raises(Unavailable, match="redis does not count"):
            await store.charge(charge)
        server.start()
        begun = time.monotonic()
        assert (await store.charge(charge))[0].granted == 1
        assert time.monotonic() - begun < 1
        await store.close()


async def test_a_redis_that_hangs_holds_nobody_up_and_counts_when_it_is_back() -> None:
    charge = (Charge("k", quota.fixed(1000, timedelta(days=1))),)
    with redis_server() as server:
        store = RedisCounts(server.url, timedelta(milliseconds=250), 2)
        await store.charge(charge)
        server.hang()
        outcomes = await asyncio.gather(*(store.charge(charge) for _ in range(20)), return_exceptions=True)
        assert {type(one) for one in outcomes} == {Unavailable}
        server.hang(hangs=False)
        assert (await store.charge(charge))[0].granted == 1
        await store.close()


async def test_hosts_of_the_mesh_are_asked_where_they_run(server: RedisServer) -> None:
    asked: list[tuple[str, int]] = []

    def locate(host: str, port: int) -> tuple[str, int]:
        asked.append((host, port))
        return "127.0.0.1", 1

    store = RedisCounts("redis://counts.default:6380/0", timedelta(milliseconds=250), 2, locate=locate)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        await store.charge((Charge("k", quota.held(1)),))
    assert set(asked) == {("counts.default", 6380)}
