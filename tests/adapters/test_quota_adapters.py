"""The adapters memquota and redisquota: which quota counts for an instance, and what is granted of it."""

from collections.abc import Awaitable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from lateen.adapters.memquota import MemQuota
from lateen.adapters.redis_counts import RedisCounts
from lateen.adapters.redisquota import RedisQuotaHandler
from lateen.api.mixer.quotas import MemQuotaParams, RedisQuotaParams
from lateen.errors import Unavailable
from lateen.mixer.ports import FOREVER, MadeInstance, QuotaHandler, QuotaRequest, QuotaResult
from tests.adapters.redis_server import RedisServer, redis_server

NAME = "requestcount.quota.istio-system"
QUOTAS = [
    {
        "name": NAME,
        "maxAmount": 5,
        "validDuration": "60s",
        "overrides": [
            {"dimensions": {"destination": "reviews", "source": "10.0.0.1"}, "maxAmount": 1},
            {"dimensions": {"destination": "reviews"}, "maxAmount": 2},
        ],
    }
]


HOURS = count(1)
"""Each test counts in an hour of its own."""


class Clock:
    """Seconds that pass when they are told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


def memory(clock: Clock, quotas: Any = QUOTAS) -> MemQuota:
    return MemQuota(MemQuotaParams.model_validate({"quotas": quotas}), clock)


def redis(server: RedisServer, clock: Clock, **changed: object) -> RedisQuotaHandler:
    written = {"quotas": [{**QUOTAS[0], **changed}], "redisServerUrl": server.url}
    params = RedisQuotaParams.model_validate(written)
    store = RedisCounts(server.url, timedelta(seconds=2), 2, clock=lambda: round(clock() * 1000))
    return RedisQuotaHandler(params, store, clock)


def instance(name: str = NAME, **dimensions: object) -> MadeInstance:
    return MadeInstance(name, "quota", {"dimensions": dimensions})  # type: ignore[dict-item]


async def take(
    handler: QuotaHandler, made: MadeInstance, amount: int = 1, best_effort: bool = False, question: str = ""
) -> QuotaResult:
    result = handler.take(made, QuotaRequest(amount, best_effort, question))
    return await result if isinstance(result, Awaitable) else result


async def granted(handler: QuotaHandler, made: MadeInstance, times: int) -> int:
    return sum([(await take(handler, made)).granted for _ in range(times)])


@pytest.fixture(params=["memory", "redis"])
def handler(request: pytest.FixtureRequest, server: RedisServer) -> QuotaHandler:
    """A handler of each adapter, whose counts nobody has used."""
    if request.param == "memory":
        return memory(Clock())
    clock = Clock()
    clock.now += 3600 * next(HOURS)
    return redis(server, clock)


async def test_the_first_override_that_fits_counts(handler: QuotaHandler) -> None:
    assert await granted(handler, instance(destination="reviews", source="10.0.0.1"), 9) == 1
    assert await granted(handler, instance(destination="reviews", source="10.0.0.2"), 9) == 2
    assert await granted(handler, instance(destination="ratings", source="10.0.0.1"), 9) == 5


async def test_best_effort_is_granted_what_is_left(handler: QuotaHandler) -> None:
    made = instance(destination="details")
    assert (await take(handler, made, 9)).granted == 0
    result = await take(handler, made, 9, best_effort=True)
    assert (result.granted, result.valid_duration.total_seconds()) == (5, 60)


async def test_the_same_question_is_charged_once(handler: QuotaHandler) -> None:
    made = instance(destination="asked")
    assert [(await take(handler, made, 5, question="id")).granted for _ in range(3)] == [5, 5, 5]
    assert (await take(handler, made, 1, question="other")).granted == 0


async def test_what_nobody_limits_is_granted(handler: QuotaHandler) -> None:
    assert (await take(handler, instance("other.quota.default"), 1000)).granted == 1000


async def test_a_window_in_memory_moves_along() -> None:
    clock = Clock()
    handler = memory(clock)
    made = instance(destination="details")
    await take(handler, made, 3)
    clock.now += 30
    await take(handler, made, 2)
    assert (await take(handler, made)).granted == 0
    clock.now += 30.2
    assert (await take(handler, made, 9, best_effort=True)).granted == 3


async def test_without_a_duration_it_is_held_until_it_is_given_back() -> None:
    handler = memory(Clock(), [{"name": "slots", "maxAmount": 2}])
    slots = instance("slots.quota.default")
    results = [await take(handler, slots) for _ in range(3)]
    assert [one.granted for one in results] == [1, 1, 0]
    assert results[0].valid_duration == FOREVER
    await take(handler, slots, -1)
    assert (await take(handler, slots)).granted == 1


async def test_windows_in_redis_begin_anew_or_move_along(server: RedisServer) -> None:
    clock = Clock()
    clock.now = 60 * 10**6 + 50
    kinds = {
        "anew": redis(server, clock),
        "along": redis(server, clock, rateLimitAlgorithm="ROLLING_WINDOW", bucketDuration="1s"),
    }
    for name, handler in kinds.items():
        assert await granted(handler, instance(destination=name), 9) == 5
    clock.now += 20
    assert await granted(kinds["anew"], instance(destination="anew"), 9) == 5
    assert await granted(kinds["along"], instance(destination="along"), 9) == 0
    clock.now += 41
    assert await granted(kinds["along"], instance(destination="along"), 9) == 5


async def test_without_redis_nothing_is_known() -> None:
    with redis_server() as gone:
        handler = redis(gone, Clock())
    with pytest.raises(Unavailable):
        await take(handler, instance(destination="details"))


@pytest.mark.parametrize("written", [NAME, "requestcount", "RequestCount", "requestcount.istio-system"])
async def test_a_quota_is_named_in_the_ways_that_mixer_knew(written: str) -> None:
    handler = memory(Clock(), [{**QUOTAS[0], "name": written}])
    assert await granted(handler, instance(destination="reviews"), 9) == 2
