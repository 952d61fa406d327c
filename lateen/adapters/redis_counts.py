"""Counts in Redis, for as many processes as ask: one round trip for each question, however many charges it has."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from importlib import resources
from itertools import chain
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from lateen.adapters.surroundings import Locate
from lateen.errors import Unavailable
from lateen.mixer.quota import Charge, Grant

_OWN_TIME = 0
_PREFIX = "lateen"


class RedisCounts:
    """The counts of one Redis. All keys begin with `lateen:`; each expires when it counts nothing any more."""

    def __init__(
        self,
        url: str,
        timeout: timedelta,
        pool_size: int,
        *,
        locate: Locate = lambda host, port: None,
        clock: Callable[[], int] = lambda: _OWN_TIME,
    ) -> None:
        """Connect when there is something to count; `clock` 0 is the time of Redis, which all share."""
        self._clock = clock
        seconds = timeout.total_seconds()
        pool = BlockingConnectionPool.from_url(
            url,
            connection_class=_located(locate),
            max_connections=pool_size,
            timeout=seconds,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            # A connection that Redis has closed, by a restart perhaps, is made anew at once.
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        )
        self._redis = Redis.from_pool(pool)
        self._charge = self._redis.register_script(_script())

    async def charge(self, charges: Sequence[Charge]) -> Sequence[Grant]:
        """Grant all charges, or none where one that is not best effort cannot be granted. Raises `Unavailable`."""
        keys = [f"{_PREFIX}:{one.quota.counting}:{one.key}" for one in charges]
        arguments = [self._clock(), *chain.from_iterable(map(_arguments, charges))]
        try:
            answer = await self._charge(keys=keys, args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            raise Unavailable(f"redis does not count: {error}") from error
        return tuple(Grant(*map(int, one)) for one in answer)

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()


def _located(locate: Locate) -> type[Connection]:
    """Make connections to hosts of the mesh where they run at that time: this process has no proxy that would do it."""

    class Located(Connection):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self._written = (str(self.host), int(self.port))

        async def connect(self) -> None:
            self.host, self.port = locate(*self._written) or self._written
            await super().connect()  # type: ignore[no-untyped-call]

    return Located


def _arguments(charge: Charge) -> Iterator[str | int]:
    quota = charge.quota
    yield from (quota.counting.value, quota.most, quota.window, quota.amount, quota.tick)
    yield from (charge.amount, int(charge.best_effort))


@cache
def _script() -> str:
    return resources.files("lateen.adapters").joinpath("charge.lua").read_text()
