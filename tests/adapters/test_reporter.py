"""Reports: instances reach their handlers in batches, and a handler that is slow loses its own only."""

import asyncio
from collections.abc import Sequence

import pytest

from lateen.adapters import reporter as reporting
from lateen.adapters import table
from lateen.adapters.handlers import Handlers
from lateen.adapters.reporter import Reporter
from lateen.mixer import rules
from lateen.mixer.directory import Directory
from lateen.mixer.ports import MadeInstance
from lateen.mixer.ready import make_ready
from lateen.mixer.values import Attributes
from lateen.model.workloads import Workloads

from ..mixer.mixes import config, document
from .surroundings import World

DOCUMENTS = (
    document("stdio", "istio-system/quick"),
    document("noop", "istio-system/slow"),
    document("logentry", "istio-system/entry", 'variables: {user: "request.headers[\\"user\\"]"}'),
    document("metric", "istio-system/size", "value: response.size | 0"),
    document(
        "rule",
        "istio-system/tell",
        "actions:\n- {handler: quick.stdio, instances: [entry.logentry, size.metric]}\n"
        "- {handler: slow.noop, instances: [entry.logentry]}",
    ),
)


class Heard:
    """A handler that notes what it is told, or never comes back."""

    def __init__(self) -> None:
        self.batches: list[list[MadeInstance]] = []
        self.is_stuck = False

    async def report(self, instances: Sequence[MadeInstance]) -> None:
        self.batches.append(list(instances))
        if self.is_stuck:
            await asyncio.Event().wait()

    async def close(self) -> None:
        pass


class Told:
    """A reporter with two handlers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.quick, self.slow = Heard(), Heard()
        rows = {**table.ADAPTERS, "stdio": lambda *_: self.quick, "noop": lambda *_: self.slow}
        monkeypatch.setattr("lateen.adapters.handlers.ADAPTERS", rows)
        found = config(*DOCUMENTS)
        resolved = rules.resolve(found, "istio-system")
        assert (resolved.violations, resolved.unresolved) == ((), ())
        self.handlers = Handlers(World().surroundings, lambda name: None)
        self.handlers.take(resolved, found, fails_open=False)
        self.reporter = Reporter(self.handlers)
        self.reporter.take(resolved, make_ready(resolved), Directory(Workloads(), (), "x"))

    def tell(self, *users: str | None) -> None:
        self.reporter.tell(
            Attributes(
                {
                    "context.reporter.kind": "inbound",
                    "destination.namespace": "default",
                    "request.headers": {} if user is None else {"user": user},
                }
            )
            for user in users
        )

    async def until(self, count: int, heard: Heard) -> None:
        async with asyncio.timeout(5):
            while sum(map(len, heard.batches)) < count:
                await asyncio.sleep(0)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch)


async def test_instances_reach_their_handlers_in_batches_of_one_template(told: Told) -> None:
    told.tell("anna", "jason")
    await told.until(4, told.quick)
    await told.until(2, told.slow)
    assert all(len({each.template for each in batch}) == 1 for batch in told.quick.batches)
    users = [each.fields["variables"] for batch in told.slow.batches for each in batch]
    assert users == [{"user": "anna"}, {"user": "jason"}]
    await told.reporter.close()


async def test_what_cannot_be_made_is_counted(told: Told) -> None:
    told.tell(None)
    await told.until(1, told.quick)
    assert told.reporter._lost.value("slow.noop.istio-system", "instance") == 1
    assert told.slow.batches == []
    await told.reporter.close()


async def test_a_handler_that_is_stuck_loses_its_own_only(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "MOST_WAITING", 10)
    told.slow.is_stuck = True
    told.tell("first")
    await told.until(1, told.slow)
    for _ in range(20):
        told.tell("more")
        await asyncio.sleep(0)
    await told.until(42, told.quick)
    assert told.reporter._lost.value("slow.noop.istio-system", "full") == 10
    assert told.reporter._lost.value("quick.stdio.istio-system", "full") == 0
    await told.reporter.close()
