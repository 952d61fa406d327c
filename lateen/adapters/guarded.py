"""A handler behind walls: one that is slow, that raises or that is gone keeps nobody but who asks it, and not for long.

What a handler cannot answer is answered by its fail policy: open lets pass, closed counts as `INTERNAL`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar, cast

from lateen.adapters.prometheus import Prometheus
from lateen.api.status_codes import StatusCode
from lateen.errors import LateenError
from lateen.mixer.ports import CheckResult, Handler, MadeInstance, QuotaRequest, QuotaResult
from lateen.mixer.status import OK, Status
from lateen.telemetry.exposition import Family

MOST_AT_ONCE: Final = 200
"""How many questions a handler may be thinking about; further ones are answered by its fail policy at once."""

FAILURES: Final = 5
"""After so many failures in a row a handler is left alone for a while."""

PAUSES_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
LONGEST: Final = timedelta(seconds=4.5)
"""Longest patience with any handler: Envoy's own with Mixer is 5 s."""

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class GuardedHandler:
    """Asks one handler. `failed` is told of each question that it did not answer."""

    def __init__(
        self,
        name: str,
        handler: Handler,
        patience: timedelta,
        clock: Callable[[], float],
        failed: Callable[[str], None],
        *,
        fails_open: bool,
    ) -> None:
        self.name = name
        self.fails_open = fails_open
        self._handler = cast(Any, handler)
        self._patience = min(patience, LONGEST).total_seconds()
        self._clock = clock
        self._failed = failed
        self._asked = 0
        self._failures = 0
        self._left_alone_until = 0.0
        self._problem = ""

    def check(self, instance: MadeInstance) -> CheckResult | Awaitable[CheckResult]:
        """Ask whether an instance may pass; answers always."""
        return self._ask(lambda: self._handler.check(instance), self.missing)

    def take(self, instance: MadeInstance, request: QuotaRequest) -> QuotaResult | Awaitable[QuotaResult]:
        """Take from a quota; answers always: all of it or nothing where the handler does not."""

        def instead(reason: str) -> QuotaResult:
            if self.fails_open:
                return QuotaResult(request.amount, timedelta())
            return QuotaResult(0, timedelta(), Status(StatusCode.INTERNAL, reason))

        return self._ask(lambda: self._handler.take(instance, request), instead)

    def report(self, instances: Sequence[MadeInstance]) -> bool | Awaitable[bool]:
        """Tell of instances; returns whether the handler took them."""

        async def told(taking: Awaitable[None]) -> bool:
            await taking
            return True

        def tell() -> bool | Awaitable[bool]:
            found = self._handler.report(instances)
            return True if found is None else told(found)

        return self._ask(tell, lambda reason: False)

    def families(self) -> Iterable[Family]:
        """Return the metrics that the handler keeps for Prometheus; most keep none."""
        return self._handler.families() if isinstance(self._handler, Prometheus) else ()

    def missing(self, reason: str) -> CheckResult:
        """Return what counts where a question has no answer; it is not remembered."""
        status = OK if self.fails_open else Status(StatusCode.INTERNAL, reason)
        return CheckResult(status, timedelta(), 0)

    async def close(self) -> None:
        """Close the handler."""
        try:
            async with asyncio.timeout(self._patience):
                await self._handler.close()
        except Exception as error:
            _log.warning("%s cannot be closed: %r", self.name, error)

    def _ask(
        self, ask: Callable[[], _Answer | Awaitable[_Answer]], instead: Callable[[str], _Answer]
    ) -> _Answer | Awaitable[_Answer]:
        if self._clock() < self._left_alone_until:
            return self._give_up(f"is left alone for a moment: {self._problem}", instead, counts=False)
        if self._asked >= MOST_AT_ONCE:
            return self._give_up(f"has {MOST_AT_ONCE} questions to answer already", instead, counts=False)
        try:
            found = ask()
        except Exception as error:
            return self._give_up(self._reason(error), instead)
        if isinstance(found, Awaitable):
            return self._wait(found, instead)
        self._failures = 0
        return found

    async def _wait(self, answer: Awaitable[_Answer], instead: Callable[[str], _Answer]) -> _Answer:
        self._asked += 1
        try:
            async with asyncio.timeout(self._patience):
                found = await answer
        except TimeoutError:
            return self._give_up(f"does not answer within {self._patience:g} s", instead)
        except Exception as error:
            return self._give_up(self._reason(error), instead)
        finally:
            self._asked -= 1
        self._failures = 0
        return found

    def _give_up(self, reason: str, instead: Callable[[str], _Answer], *, counts: bool = True) -> _Answer:
        """Answer in the handler's place; after several failures in a row it is left alone, longer each time."""
        self._failed(self.name)
        if counts:
            self._failures += 1
            self._problem = reason
            over = self._failures - FAILURES
            if over >= 0:
                self._left_alone_until = self._clock() + PAUSES_SECONDS[min(over, len(PAUSES_SECONDS) - 1)]
            if self._failures in (1, FAILURES):
                _log.warning("%s %s", self.name, reason)
        return instead(reason)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, LateenError):
            return f"fails: {error}"
        _log.error("%s raises", self.name, exc_info=error)
        return f"fails: {type(error).__name__}"
