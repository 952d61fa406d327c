"""A process that is started again whenever it ends: at once after a good life, with growing pauses otherwise."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from typing import Self

from lateen.platforms.local import processes
from lateen.platforms.local.processes import Child
from lateen.platforms.local.protocol import Exit

GOOD_LIFE_SECONDS = 10.0
PAUSES_SECONDS = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0)
_log = logging.getLogger(__name__)


class KeptAlive:
    """Holds one process up until `stop`; `told` hears of every end that was not asked for."""

    def __init__(self, start: Callable[[], Child], told: Callable[[Exit], None] = lambda exit: None) -> None:
        self.restarts = 0
        self._start = start
        self._told = told
        self._child: Child | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process of this moment, None between two lives."""
        return None if self._child is None or self._child.ended.done() else self._child.pid

    def begin(self) -> Self:
        """Starts it for the first time; raises `OSError` if that is not possible at all."""
        self._child = self._start()
        self._keeping = asyncio.create_task(self._keep(self._child))
        return self

    async def stop(self, grace_seconds: float, hurry: asyncio.Event) -> None:
        """Ends it for good."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
        if self._child is not None:
            await processes.end(self._child, signal.SIGTERM, grace_seconds, hurry)

    async def _keep(self, child: Child) -> None:
        early_ends = 0
        while True:
            exit = await asyncio.shield(child.ended)
            self._told(exit)
            early_ends = 0 if exit.at - child.started_at >= GOOD_LIFE_SECONDS else early_ends
            child = self._child = await self._start_after(early_ends)
            early_ends += 1
            self.restarts += 1

    async def _start_after(self, early_ends: int) -> Child:
        while True:
            await asyncio.sleep(PAUSES_SECONDS[min(early_ends, len(PAUSES_SECONDS) - 1)])
            try:
                return self._start()
            except OSError as error:
                # out of processes or memory: a moment that passes
                _log.warning("cannot start again, trying on: %s", error)
                early_ends += 1
