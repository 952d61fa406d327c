"""Tells handlers what happened, off the path of calls: each has a bounded queue of its own.

A handler that is slow or gone loses what it does not take in time, and no other one loses anything.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from lateen.adapters.handlers import Handlers
from lateen.mixer import generators, report
from lateen.mixer.directory import Directory
from lateen.mixer.ports import MadeInstance
from lateen.mixer.ready import ReadyRules
from lateen.mixer.rules import RuleSet
from lateen.mixer.values import Bag
from lateen.model.workloads import Workloads
from lateen.telemetry.instruments import Counter, Gauge, Instrument

MOST_WAITING: Final = 10_000
"""How many instances may wait for a handler."""

MOST_AT_ONCE: Final = 500
_NAMESPACES: Final = {"inbound": "destination.namespace", "outbound": "source.namespace"}


@dataclass(slots=True)
class _Queue:
    """What one handler is still to be told."""

    waiting: deque[MadeInstance] = field(default_factory=deque)
    work: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Reporter:
    """Makes instances of what happened, and tells handlers. Must live in a running event loop."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._rules = RuleSet()
        self._ready = ReadyRules()
        self._directory = Directory(Workloads(), (), "")
        self._queues: dict[str, _Queue] = {}
        self._told = Counter("lateen_mixer_reports_total", "Instances that handlers took.", "handler")
        self._lost = Counter("lateen_mixer_reports_lost_total", "Instances that were lost, and why.", "handler", "why")
        self.instruments: tuple[Instrument, ...] = (
            self._told,
            self._lost,
            Gauge("lateen_mixer_reports_waiting", "Instances that wait for handlers.", read=self._waiting),
        )

    def take(self, rules: RuleSet, ready_rules: ReadyRules, directory: Directory) -> None:
        """Report by these from now on."""
        self._rules, self._ready, self._directory = rules, ready_rules, directory

    def tell(self, calls: Iterable[Bag]) -> None:
        """Take calls that are over; never waits."""
        for bag in calls:
            namespace = bag.get(_NAMESPACES.get(str(bag.get("context.reporter.kind")), "destination.namespace"))
            namespace = namespace if isinstance(namespace, str) else ""
            known = generators.with_generated(self._ready, bag, namespace, self._directory, self._rules.types)
            for observation in report.observe(self._ready, known, namespace):
                if observation.instance is None:
                    self._lost.add(1, observation.handler, "instance")
                else:
                    self._queue(observation.handler, observation.instance)

    async def close(self) -> None:
        """Tell no more."""
        tasks = [queue.task for queue in self._queues.values() if queue.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _queue(self, handler: str, instance: MadeInstance) -> None:
        queue = self._queues.get(handler)
        if queue is None:
            queue = self._queues[handler] = _Queue()
            queue.task = asyncio.get_running_loop().create_task(self._empty(handler, queue))
        if len(queue.waiting) >= MOST_WAITING:
            self._lost.add(1, handler, "full")
            return
        queue.waiting.append(instance)
        queue.work.set()

    async def _empty(self, name: str, queue: _Queue) -> None:
        """Tell one handler what waits for it, for ever."""
        while True:
            await queue.work.wait()
            queue.work.clear()
            while queue.waiting:
                await self._tell(name, _next(queue.waiting))

    async def _tell(self, name: str, instances: Sequence[MadeInstance]) -> None:
        handler = self._handlers.find(name)
        found = handler.report(instances) if handler is not None else False
        is_taken = found if isinstance(found, bool) else await found
        if is_taken:
            self._told.add(len(instances), name)
        else:
            self._lost.add(len(instances), name, "handler")

    def _waiting(self) -> dict[tuple[str, ...], float]:
        return {(): float(sum(len(queue.waiting) for queue in self._queues.values()))}


def _next(waiting: deque[MadeInstance]) -> list[MadeInstance]:
    """Take the instances off a queue that can be told together: the first ones of one template."""
    found = [waiting.popleft()]
    while waiting and waiting[0].template == found[0].template and len(found) < MOST_AT_ONCE:
        found.append(waiting.popleft())
    return found
