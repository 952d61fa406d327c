"""Counting for the whole mesh: the part of the Mixer process that proxies ask before they let a request pass."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from aiohttp import web

from lateen.api.mesh.extension_providers import RedisStore
from lateen.api.status_codes import StatusCode
from lateen.errors import Unavailable
from lateen.mixer import rate_limits
from lateen.mixer.quota import Charge, Counts, CountStore, Grant
from lateen.mixer.rate_limits import Counted
from lateen.model.snapshot import Snapshot
from lateen.serving.grpc_services import GrpcRefusal, GrpcService
from lateen.serving.rate_limit_service import Answers, Described, names, rate_limit_service
from lateen.telemetry import exposition
from lateen.telemetry.instruments import Counter, Registry

OpenStore = Callable[[RedisStore], CountStore]


def now() -> int:
    """Return the time in milliseconds, as all processes of this machine know it."""
    return time.time_ns() // 1_000_000


class RateLimitPart:
    """Counts in memory, or in the stores that limits name."""

    def __init__(self, open_store: OpenStore, clock: Callable[[], int] = now) -> None:
        self._open_store = open_store
        self._clock = clock
        self._limits = rate_limits.NO_LIMITS
        self._memory = Counts()
        self._stores: dict[RedisStore, CountStore] = {}
        self._retired: list[CountStore] = []
        self._asked = Counter(
            "lateen_rate_limit_requests_total", "Requests that a limit was asked about.", "limit", "result"
        )
        self._failed = Counter("lateen_rate_limit_store_failures_total", "Questions that the store did not answer.")
        self._metrics = Registry()
        self._metrics.add(self._asked, self._failed)

    def services(self) -> Iterable[GrpcService]:
        """Serve Envoy's rate-limit service."""
        return (rate_limit_service(self._decide),)

    def routes(self) -> Iterable[web.RouteDef]:
        """Everything that there is to read is in the metrics."""
        return ()

    def take(self, snapshot: Snapshot) -> None:
        """Count by the limits of this state from now on; what was counted stays."""
        self._limits = rate_limits.mesh_limits(snapshot)
        needed = rate_limits.stores_of(self._limits)
        self._retired += [self._stores.pop(one) for one in self._stores.keys() - needed]
        for one in needed - self._stores.keys():
            self._stores[one] = self._open_store(one)

    async def run(self) -> None:
        """Close stores that nothing is counted in any more."""
        try:
            while True:
                await asyncio.sleep(1)
                await self._close(self._retired)
        finally:
            await self._close([*self._retired, *self._stores.values()])

    def metrics(self) -> Iterable[str]:
        """Write down how often which limit was asked about and exceeded."""
        return exposition.write(self._metrics.families()).splitlines()

    async def _close(self, stores: list[CountStore]) -> None:
        while stores:
            with suppress(Unavailable):
                await stores.pop().close()

    def _decide(self, described: Described) -> Answers | Awaitable[Answers]:
        found = [rate_limits.counted(self._limits, entries, cost) for entries, cost in described]
        if any(one is not None and one.limit.store is not None for one in found):
            return self._decide_with_stores(found)
        charges = [one.charge for one in found if one is not None and one.charge is not None]
        return self._answers(found, {None: self._memory.charge(charges, self._clock())})

    async def _decide_with_stores(self, found: Sequence[Counted | None]) -> Answers:
        """Ask each store once. One that does not answer leaves the decision to the proxy, which knows what to do."""
        charges: defaultdict[RedisStore | None, list[Charge]] = defaultdict(list)
        for one in found:
            if one is not None and one.charge is not None:
                charges[one.limit.store].append(one.charge)
        try:
            grants = {store: await self._charge(store, wanted) for store, wanted in charges.items()}
        except Unavailable as problem:
            self._failed.add()
            raise GrpcRefusal(StatusCode.UNAVAILABLE, str(problem)) from problem
        return self._answers(found, grants)

    async def _charge(self, store: RedisStore | None, charges: Sequence[Charge]) -> Sequence[Grant]:
        return await self._stores[store].charge(charges) if store else self._memory.charge(charges, self._clock())

    def _answers(self, found: Sequence[Counted | None], grants: Mapping[RedisStore | None, Sequence[Grant]]) -> Answers:
        """Put what was granted beside what it was granted for, in the order of the question."""
        left = {store: iter(each) for store, each in grants.items()}
        answers = [
            (one, next(left[one.limit.store]) if one is not None and one.charge is not None else None) for one in found
        ]
        for name, is_over in names(answers):
            self._asked.add(1, name, "over_limit" if is_over else "ok")
        return answers
