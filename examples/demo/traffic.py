"""Asks the product page through the ingress gateway, as browsers do: a few kept connections, at a gentle rate."""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Final, NamedTuple, Self

import aiohttp
import answers
from answers import JASON, OTHERS, Answer

_TIMEOUT: Final = aiohttp.ClientTimeout(total=15.0)
# How long requests that are under way may take, and each one that is still to be made where the rate says nothing.
_PATIENCE_SECONDS: Final = 20.0
_PATIENCE_SECONDS_EACH: Final = 0.1
# Nobody asks for older answers, and the demo may stay up for days.
_KEPT_ANSWERS: Final = 10_000


class Request(NamedTuple):
    """What is asked, and as whom."""

    path: str
    user: str


# One request in three is jason's; pages and calls of the API alternate for both.
CYCLE: Final = tuple(
    Request(path, user) for user in (OTHERS, JASON, OTHERS) for path in ("/productpage", "/api/v1/products/0/reviews")
)


class Traffic:
    """Traffic that flows, rests, or counts out an exact number of requests; at rest when it is made.

    `rate` is requests a second, None for as fast as the answers come. Used as an asynchronous context.
    """

    def __init__(self, url: str, rate: float | None, connections: int = 8) -> None:
        self.sent = 0
        self.failed = 0
        self._url = url
        self._rate = rate
        self._connections = connections
        self._requests: Iterator[Request] = itertools.cycle(CYCLE)
        self._allowed: float = 0
        self._under_way = 0
        self._next_start = 0.0
        self._answers: deque[Answer] = deque(maxlen=_KEPT_ANSWERS)
        self._turn = asyncio.Condition()
        self._workers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Open the connections."""
        connector = aiohttp.TCPConnector(limit=self._connections)
        self._session = aiohttp.ClientSession(
            self._url, connector=connector, timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()
        )
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._connections)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop asking, at once."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self._session.close()

    async def flow(self) -> None:
        """Ask without end, from now on."""
        await self._allow(float("inf"))

    async def rest(self) -> tuple[Answer, ...]:
        """Ask nothing more, wait for what is under way, and return the answers since the last rest."""
        await self._allow(0)
        return await self._finished()

    async def ask(self, requests: int) -> tuple[Answer, ...]:
        """Ask exactly so often, rest, and return the answers; raises TimeoutError when they take too long."""
        await self.rest()
        await self._allow(requests)
        return await self._finished(requests * (1 / self._rate if self._rate else _PATIENCE_SECONDS_EACH))

    async def first_good_answer(self, timeout_seconds: float) -> Answer:
        """Ask until the page comes; return the last answer, good or not, when the time is over."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            answer = await self._answer(CYCLE[0])
            if answer.is_good or time.monotonic() > deadline:
                return answer
            await asyncio.sleep(0.05)

    async def _allow(self, requests: float) -> None:
        async with self._turn:
            self._allowed = requests
            self._turn.notify_all()

    async def _finished(self, seconds: float = 0.0) -> tuple[Answer, ...]:
        async with asyncio.timeout(seconds + _PATIENCE_SECONDS), self._turn:
            await self._turn.wait_for(lambda: not self._allowed and not self._under_way)
            found = tuple(self._answers)
            self._answers.clear()
        return found

    async def _work(self) -> None:
        while True:
            request = await self._next_request()
            answer = await self._answer(request)
            async with self._turn:
                self._under_way -= 1
                self._count(answer)
                self._turn.notify_all()

    def _count(self, answer: Answer) -> None:
        self.sent += 1
        self.failed += not answer.is_good
        self._answers.append(answer)

    async def _next_request(self) -> Request:
        async with self._turn:
            await self._turn.wait_for(lambda: self._allowed)
            self._allowed -= 1
            self._under_way += 1
            request = next(self._requests)
        await asyncio.sleep(self._time_until_start())
        return request

    def _time_until_start(self) -> float:
        if self._rate is None:
            return 0.0
        now = time.monotonic()
        start = max(now, self._next_start)
        self._next_start = start + 1 / self._rate
        return start - now

    async def _answer(self, request: Request) -> Answer:
        began = time.monotonic()
        status, body = 0, ""
        headers = {"cookie": f"user={request.user}"} if request.user else {}
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._session.get(request.path, headers=headers) as response:
                status, body = response.status, await response.text()
        return answers.read(request.user, status, body, time.monotonic() - began)
