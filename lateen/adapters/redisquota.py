"""Counts quotas in Redis, for all who use the same one."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from lateen.adapters import quotas
from lateen.adapters.quotas import OverriddenQuota, Quotas
from lateen.adapters.surroundings import Surroundings
from lateen.api.mixer.quotas import RateLimitAlgorithm, RedisQuota, RedisQuotaParams
from lateen.mixer import quota
from lateen.mixer.ports import MadeInstance, QuotaRequest, QuotaResult
from lateen.mixer.quota import CountStore, Deduplication, Quota

_PATIENCE: Final = timedelta(seconds=1)
_DEDUPLICATION: Final = timedelta(seconds=1)


class RedisQuotaHandler:
    """A handler of the adapter redisquota. An answer that a question got is remembered in this process only."""

    def __init__(self, params: RedisQuotaParams, store: CountStore, clock: Callable[[], float]) -> None:
        self._quotas = Quotas((one.name, _quota(one)) for one in params.quotas)
        self._store = store
        self._known: Deduplication[QuotaResult] = Deduplication(_DEDUPLICATION)
        self._clock = clock

    async def take(self, instance: MadeInstance, request: QuotaRequest) -> QuotaResult:
        """Grant of a quota what is left of it; what nobody limits is granted. Raises `Unavailable`."""
        now = round(self._clock() * 1000)
        asked = quotas.question(instance, request)
        known = self._known.known(asked, now) if asked else None
        if known is not None:
            return known
        answer = await self._take(instance, request)
        if asked:
            self._known.remember(asked, answer, now)
        return answer

    async def close(self) -> None:
        """Close the connections; the counts stay."""
        await self._store.close()

    async def _take(self, instance: MadeInstance, request: QuotaRequest) -> QuotaResult:
        charge = self._quotas.charge(instance, request)
        if charge is None:
            return QuotaResult(request.amount)
        (grant,) = await self._store.charge((charge,))
        return quotas.result(charge, grant)


def make(params: RedisQuotaParams, surroundings: Surroundings) -> RedisQuotaHandler:
    """Make a handler; it connects when there is something to count."""
    # The client of Redis is loaded where there is one: it is large.
    from lateen.adapters.redis_counts import RedisCounts

    address = params.redis_server_url
    url = address if "://" in address else f"redis://{address}"
    store = RedisCounts(url, _PATIENCE, params.connection_pool_size, locate=surroundings.locate)
    return RedisQuotaHandler(params, store, surroundings.clock)


def _quota(written: RedisQuota) -> OverriddenQuota:
    overrides = ((one.dimensions, _counted(written, one.max_amount)) for one in written.overrides)
    return OverriddenQuota(_counted(written, written.max_amount), tuple(overrides))


def _counted(written: RedisQuota, amount: int) -> Quota:
    if written.rate_limit_algorithm is RateLimitAlgorithm.ROLLING_WINDOW:
        return quota.rolling(amount, written.valid_duration, written.bucket_duration)
    return quota.fixed(amount, written.valid_duration)
