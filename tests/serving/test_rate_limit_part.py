"""Envoy's rate-limit service as proxies see it: verdicts, what is left, and what a store that is gone means."""

from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
from envoy.service.ratelimit.v3 import rls_pb2
from hypothesis import given
from hypothesis import strategies as st

from lateen.api.mesh.extension_providers import RedisStore
from lateen.api.status_codes import StatusCode
from lateen.errors import Unavailable
from lateen.mixer.quota import Charge, Counts, CountStore, Grant
from lateen.serving.grpc_services import GrpcRefusal
from lateen.serving.rate_limit_part import RateLimitPart
from tests.plan import worlds

LIMITS = """
apiVersion: lateen.dev/v1
kind: RateLimit
metadata: {name: few}
spec:
  scope: GLOBAL
  %s
  limits:
  - {rate: 2/minute, by: [source.ip]}
  - {rate: 3/10s}
"""
MESH = {"extensionProviders": [{"name": "counts", "redis": {"url": "redis://counts"}}]}
OK, OVER = rls_pb2.RateLimitResponse.OK, rls_pb2.RateLimitResponse.OVER_LIMIT


class Store:
    """A store in memory that can fail."""

    def __init__(self) -> None:
        self.fails = self.closed = False
        self._counts = Counts()

    async def charge(self, charges: Sequence[Charge]) -> Sequence[Grant]:
        if self.fails:
            raise Unavailable("gone")
        return self._counts.charge(charges, 0)

    async def close(self) -> None:
        self.closed = True


def part(extra: str = "", store: CountStore | None = None) -> RateLimitPart:
    """A part that counts by two limits, at a time that stands still."""

    def opened(_: RedisStore) -> CountStore:
        assert store is not None
        return store

    made = RateLimitPart(opened, clock=lambda: 1_000_000)
    made.take(worlds.snapshot(LIMITS % extra, MESH))
    return made


def question(*descriptors: tuple[tuple[str, str], ...], cost: int = 0) -> bytes:
    entries = [{"entries": [{"key": key, "value": value} for key, value in one]} for one in descriptors]
    asked: bytes = rls_pb2.RateLimitRequest(domain="lateen", descriptors=entries, hits_addend=cost).SerializeToString()
    return asked


def by_address(address: str) -> tuple[tuple[str, str], ...]:
    return (("limit", "default/few[0]"), ("0", f"={address}"))


ALL = (("limit", "default/few[1]"),)


async def answer(asked: RateLimitPart, sent: bytes) -> Any:
    (service,) = asked.services()
    got = service.unary["ShouldRateLimit"](sent)
    return rls_pb2.RateLimitResponse.FromString(await got if isinstance(got, Awaitable) else got)


async def test_a_request_is_refused_when_one_of_its_limits_has_nothing_left() -> None:
    made = part()
    codes = [(await answer(made, question(by_address("a"), ALL))).overall_code for _ in range(3)]
    assert codes == [OK, OK, OVER]
    refused = await answer(made, question(by_address("a"), ALL))
    assert [one.code for one in refused.statuses] == [OVER, OK]
    assert (await answer(made, question(by_address("b"), ALL))).overall_code == OK


async def test_it_tells_how_much_is_left_and_when_there_is_more() -> None:
    by_minute, by_window = (await answer(part(), question(by_address("a"), ALL))).statuses
    unit = rls_pb2.RateLimitResponse.RateLimit
    assert (by_minute.current_limit.requests_per_unit, by_minute.current_limit.unit) == (2, unit.MINUTE)
    assert (by_minute.limit_remaining, by_minute.duration_until_reset.seconds) == (1, 20)
    assert (by_window.current_limit.requests_per_unit, by_window.current_limit.unit) == (3, unit.UNKNOWN)


async def test_a_request_may_cost_more_than_one() -> None:
    made = part()
    assert (await answer(made, question(by_address("a"), cost=2))).overall_code == OK
    assert (await answer(made, question(by_address("a"), cost=1))).overall_code == OVER


async def test_what_is_not_known_yet_passes() -> None:
    got = await answer(part(), question((("limit", "default/new[0]"),)))
    assert (got.overall_code, len(got.statuses)) == (OK, 1)


async def test_new_limits_hold_at_once_and_what_was_counted_stays() -> None:
    made = part()
    await answer(made, question(by_address("a")))
    made.take(worlds.snapshot((LIMITS % "").replace("2/minute", "1/minute"), MESH))
    assert (await answer(made, question(by_address("a")))).overall_code == OVER


async def test_a_store_that_is_gone_leaves_the_decision_to_the_proxy() -> None:
    store = Store()
    made = part("store: {name: counts}", store)
    assert (await answer(made, question(ALL))).overall_code == OK
    store.fails = True
    with pytest.raises(GrpcRefusal) as refusal:
        await answer(made, question(ALL))
    assert refusal.value.status is StatusCode.UNAVAILABLE
    assert "lateen_rate_limit_store_failures_total 1" in "\n".join(made.metrics())
    store.fails = False
    assert (await answer(made, question(ALL))).overall_code == OK


async def test_numbers_tell_which_limit_was_exceeded() -> None:
    made = part()
    for _ in range(3):
        await answer(made, question(by_address("a")))
    lines = list(made.metrics())
    assert 'lateen_rate_limit_requests_total{limit="default/few[0]",result="ok"} 2' in lines
    assert 'lateen_rate_limit_requests_total{limit="default/few[0]",result="over_limit"} 1' in lines


@given(st.binary(max_size=200))
async def test_whatever_is_asked_gets_an_answer_or_a_refusal(sent: bytes) -> None:
    try:
        assert await answer(part(), sent) is not None
    except GrpcRefusal as refusal:
        assert refusal.status is StatusCode.INVALID_ARGUMENT
