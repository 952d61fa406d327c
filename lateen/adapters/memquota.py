"""Counts quotas in the memory of this process."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from lateen.adapters import quotas
from lateen.adapters.quotas import OverriddenQuota, Quotas
from lateen.api.mixer.quotas import MemoryQuota, MemQuotaParams
from lateen.mixer import quota
from lateen.mixer.ports import MadeInstance, QuotaRequest, QuotaResult
from lateen.mixer.quota import Counts, Deduplication, Quota

TICK: Final = timedelta(milliseconds=100)
"""By how much a window moves."""


class MemQuota:
    """A handler of the adapter memquota; `clock` counts seconds steadily."""

    def __init__(self, params: MemQuotaParams, clock: Callable[[], float]) -> None:
        self._quotas = Quotas((one.name, _quota(one)) for one in params.quotas)
        self._counts = Counts()
        self._known: Deduplication[QuotaResult] = Deduplication(params.min_deduplication_duration)
        self._clock = clock

    def take(self, instance: MadeInstance, request: QuotaRequest) -> QuotaResult:
        """Grant of a quota what is left of it; what nobody limits is granted."""
        now = round(self._clock() * 1000)
        asked = quotas.question(instance, request)
        known = self._known.known(asked, now) if asked else None
        if known is not None:
            return known
        answer = self._take(instance, request, now)
        if asked:
            self._known.remember(asked, answer, now)
        return answer

    async def close(self) -> None:
        """Forget what was counted, with the handler."""

    def _take(self, instance: MadeInstance, request: QuotaRequest, now: int) -> QuotaResult:
        charge = self._quotas.charge(instance, request)
        if charge is None:
            return QuotaResult(request.amount)
        (grant,) = self._counts.charge((charge,), now)
        return quotas.result(charge, grant)


def _quota(written: MemoryQuota) -> OverriddenQuota:
    overrides = (
        (one.dimensions, _counted(one.max_amount, one.valid_duration or written.valid_duration))
        for one in written.overrides
    )
    return OverriddenQuota(_counted(written.max_amount, written.valid_duration), tuple(overrides))


def _counted(amount: int, duration: timedelta) -> Quota:
    return quota.rolling(amount, duration, TICK) if duration else quota.held(amount)
