"""Handlers that are slow, that raise or that are gone: who asks gets the fail policy's answer, and soon."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, cast

import pytest

from lateen.adapters.guarded import FAILURES, MOST_AT_ONCE, GuardedHandler
from lateen.api.status_codes import StatusCode
from lateen.errors import Unavailable
from lateen.mixer.ports import CheckResult, MadeInstance, QuotaRequest, QuotaResult

INSTANCE = MadeInstance("i.instance.default", "checknothing")


class Moody:
    """A handler that answers at once, later, never, or wrongly."""

    def __init__(self, mood: str = "fine") -> None:
        self.mood = mood
        self.asked = 0
        self.closed = False

    def check(self, instance: MadeInstance) -> CheckResult | Awaitable[CheckResult]:
        self.asked += 1
        if self.mood == "raises":
            raise ZeroDivisionError
        return CheckResult() if self.mood == "fine" else self.later()

    async def later(self) -> CheckResult:
        if self.mood == "hangs":
            await asyncio.Event().wait()
        if self.mood == "raises later":
            raise Unavailable("the backend is gone")
        return CheckResult()

    async def take(self, instance: MadeInstance, request: QuotaRequest) -> QuotaResult:
        await self.later()
        return QuotaResult(request.amount)

    async def report(self, instances: list[MadeInstance]) -> None:
        await self.later()

    async def close(self) -> None:
        self.closed = True
        await self.later()


class Times:
    now = 0.0


def guarded(handler: Moody, *, fails_open: bool = False, patience: float = 0.05) -> tuple[GuardedHandler, list[str]]:
    failed: list[str] = []
    times = Times()
    made = GuardedHandler(
        "h", handler, timedelta(seconds=patience), lambda: times.now, failed.append, fails_open=fails_open
    )
    cast(Any, made).times = times
    return made, failed


async def asked(handler: GuardedHandler) -> CheckResult:
    found = handler.check(INSTANCE)
    return found if isinstance(found, CheckResult) else await found


async def test_answers_pass_through() -> None:
    for mood in ("fine", "later"):
        handler, failed = guarded(Moody(mood))
        assert await asked(handler) == CheckResult()
        assert failed == []


@pytest.mark.parametrize("mood", ["raises", "raises later", "hangs"])
async def test_what_is_not_answered_is_answered_by_the_fail_policy(mood: str) -> None:
    closed, failed = guarded(Moody(mood))
    result = await asked(closed)
    assert (result.status.code, result.valid_duration, result.valid_use_count) == (
        StatusCode.INTERNAL,
        timedelta(),
        0,
    )
    assert failed == ["h"]
    opened, _ = guarded(Moody(mood), fails_open=True)
    result = await asked(opened)
    assert (result.status.is_ok, result.valid_use_count) == (True, 0)


async def test_a_handler_that_keeps_failing_is_left_alone_for_a_while() -> None:
    moody = Moody("raises")
    handler, _ = guarded(moody)
    for _ in range(FAILURES + 3):
        await asked(handler)
    assert moody.asked == FAILURES
    cast(Any, handler).times.now = 0.6
    moody.mood = "fine"
    assert (await asked(handler)).status.is_ok
    assert (await asked(handler)).status.is_ok
    assert moody.asked == FAILURES + 2


async def test_a_handler_that_still_fails_is_left_alone_longer() -> None:
    moody = Moody("raises")
    handler, _ = guarded(moody)
    for _ in range(FAILURES):
        await asked(handler)
    cast(Any, handler).times.now = 0.6
    await asked(handler)
    cast(Any, handler).times.now = 1.5
    await asked(handler)
    assert moody.asked == FAILURES + 1


async def test_a_slow_handler_gets_only_so_many_questions() -> None:
    moody = Moody("hangs")
    handler, failed = guarded(moody, patience=1)
    waiting = [asyncio.ensure_future(asked(handler)) for _ in range(MOST_AT_ONCE)]
    await asyncio.sleep(0)
    result = await asked(handler)
    assert (result.status.code, "questions to answer already" in result.status.message) == (StatusCode.INTERNAL, True)
    assert moody.asked == MOST_AT_ONCE
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    moody.mood = "later"
    assert (await asked(handler)).status.is_ok
    assert failed == ["h"]


async def test_quotas_fail_as_said() -> None:
    handler, _ = guarded(Moody("raises later"))
    found = handler.take(INSTANCE, QuotaRequest(5))
    assert not isinstance(found, QuotaResult)
    assert (await found).granted == 0
    handler, _ = guarded(Moody("raises later"), fails_open=True)
    found = handler.take(INSTANCE, QuotaRequest(5))
    assert not isinstance(found, QuotaResult)
    assert (await found).granted == 5


async def test_a_report_that_is_not_taken_is_said_to_be_lost() -> None:
    for mood, is_taken in (("later", True), ("raises later", False), ("hangs", False)):
        handler, _ = guarded(Moody(mood))
        found = handler.report([INSTANCE])
        assert (found if isinstance(found, bool) else await found) is is_taken


async def test_a_handler_that_does_not_close_holds_nobody_up() -> None:
    moody = Moody("hangs")
    handler, _ = guarded(moody)
    await asyncio.wait_for(handler.close(), 1)
    assert moody.closed
