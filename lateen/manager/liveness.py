"""Answers "is it live?": have all proxies that an object concerns acknowledged it, and are its workloads ready?"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from lateen.api.apps.deployment import Deployment
from lateen.api.apps.stateful_set import StatefulSet
from lateen.api.core.pod import Pod
from lateen.api.objects import ObjectKey
from lateen.api.violations import Violation
from lateen.manager.records import Item
from lateen.manager.store import Store
from lateen.model.workload import WorkloadKey

_LOOK_AGAIN_SECONDS: Final = 0.1


class Instance(Protocol):
    """One running workload, as far as waiting for it goes; `owner` is like `Deployment/reviews-v1`."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def is_ready(self) -> bool: ...
    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str: ...


class Generations(Protocol):
    """Knows when an object changed, whom it concerns, and who has acknowledged that: the control loop."""

    @property
    def generation(self) -> int:
        """The generation that contains all that has been reported so far."""
        ...

    @property
    def changed_at(self) -> Mapping[ObjectKey, int]:
        """The generation of each object's last change."""
        ...

    def concerns(self, key: ObjectKey) -> Callable[[WorkloadKey], bool]:
        """Return a test of which proxies an object matters to."""
        ...

    async def wait_settled(
        self, generation: int, timeout_seconds: float, concerned: Callable[[WorkloadKey], bool] | None = None
    ) -> tuple[str, ...]:
        """Wait for all proxies concerned; return those, as `workload.namespace`, that have not acknowledged in time."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an object is live, and what is missing if it is not.

    `concerned` are the connected proxies that can see the object, `unsettled` those of them that have not acknowledged
    it, `unready` the object's own workloads that get no traffic yet, `missing` how many do not even exist, `refused`
    the faults of a later version.
    """

    generation: int
    concerned: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()
    unready: tuple[Instance, ...] = ()
    missing: int = 0
    refused: tuple[Violation, ...] = ()

    @property
    def is_live(self) -> bool:
        """Tell whether nothing is missing."""
        return not (self.unsettled or self.unready or self.missing or self.refused)


class Liveness:
    """Waits for objects to become live.

    `instances` lists the workloads of the platform, `connected` the connected proxies as `workload.namespace`.
    `others` waits, so many seconds at most, for what else has to know an object (all of them where none is given), and
    returns what does not know it yet.
    """

    def __init__(
        self,
        store: Store,
        generations: Generations,
        instances: Callable[[], Sequence[Instance]],
        connected: Callable[[], Iterable[str]],
        others: Callable[[ObjectKey | None, float], Awaitable[tuple[str, ...]]] | None = None,
    ) -> None:
        self._store = store
        self._generations = generations
        self._instances = instances
        self._connected = connected
        self._others = others

    async def wait(self, key: ObjectKey, timeout_seconds: float) -> Verdict:
        """Return when the object is live, or what is missing when the time is over.

        A later version that was refused makes it not live at once. Raises `KeyError` where there is no such object.
        """
        status = self._store.status(key)
        if status is None:
            raise KeyError(key)
        clock = asyncio.get_running_loop().time
        deadline = clock() if status.refused else clock() + timeout_seconds
        unready, missing = await self._wait_ready(status.object, deadline - clock())
        generation, is_concerned = self._generation_of(status.object), self._generations.concerns(key)
        unsettled = await self._generations.wait_settled(generation, max(0.0, deadline - clock()), is_concerned)
        unsettled += await self._lagging(key, deadline - clock())
        concerned = tuple(proxy for proxy in self._connected() if is_concerned(_workload_of(proxy)))
        return Verdict(generation, concerned, unsettled, unready, missing, status.refused)

    async def wait_for_all(self, timeout_seconds: float) -> Verdict:
        """Return when every proxy works by all that has been accepted so far, or what is missing when time is over."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout_seconds
        generation = self._generations.generation
        unsettled = await self._generations.wait_settled(generation, timeout_seconds)
        unsettled += await self._lagging(None, deadline - clock())
        return Verdict(generation, tuple(self._connected()), unsettled)

    async def _lagging(self, key: ObjectKey | None, timeout_seconds: float) -> tuple[str, ...]:
        return () if self._others is None else await self._others(key, max(0.0, timeout_seconds))

    def _generation_of(self, item: Item) -> int:
        """Return the generation that contains an object: one with workloads is newer than its last change, as it
        contains their readiness, too.
        """
        if _replicas(item) is not None:
            return self._generations.generation
        return self._generations.changed_at.get(item.key, 0)

    async def _wait_ready(self, item: Item, timeout_seconds: float) -> tuple[tuple[Instance, ...], int]:
        """Wait for the object's own workloads; return what is still lacking when the time is over."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while any(_lacking(item, self._instances())):  # noqa: ASYNC110 - the platform tells nobody
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        except TimeoutError:
            pass
        return _lacking(item, self._instances())


def _lacking(item: Item, instances: Iterable[Instance]) -> tuple[tuple[Instance, ...], int]:
    """Return the object's own workloads that are not ready, and the number of those that do not exist yet."""
    wanted = _replicas(item)
    if wanted is None:
        return (), 0
    owner = f"{item.key.kind}/{item.name}"
    own = [each for each in instances if each.namespace == item.namespace and each.owner == owner]
    ready = sum(each.is_ready for each in own)
    if ready >= wanted:
        return (), 0
    return tuple(each for each in own if not each.is_ready), max(0, wanted - len(own))


def _replicas(item: Item) -> int | None:
    """Return how many workloads an object wants; None for one that wants none by its nature."""
    if isinstance(item.spec, Deployment | StatefulSet):
        return item.spec.replicas
    return 1 if isinstance(item.spec, Pod) else None


def _workload_of(proxy: str) -> WorkloadKey:
    name, _, namespace = proxy.rpartition(".")
    return WorkloadKey(namespace, name)
