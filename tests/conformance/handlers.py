"""What every handler of Mixer must do, whatever its adapter; an adapter's test makes one, and calls this."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from lateen.adapters.table import ADAPTERS
from lateen.api.mixer import adapters
from lateen.api.mixer.templates import Variety, template
from lateen.mixer.ports import CheckResult, Handler, MadeInstance, QuotaRequest, QuotaResult


@dataclass(frozen=True)
class Candidate:
    """An adapter's name, what makes a handler of it in a running loop, and instances that it takes."""

    adapter: str
    make: Callable[[], Handler]
    instances: Sequence[MadeInstance]


async def check(candidate: Candidate) -> None:
    """Run the whole suite."""
    has_its_row(candidate)
    for instance in candidate.instances:
        await answers(candidate, instance)
    await takes_many_questions_at_once(candidate)
    await closes_unused_and_twice(candidate)


def has_its_row(candidate: Candidate) -> None:
    """The table of adapters here, and the one that says which settings and templates an adapter has."""
    row = adapters.adapter(candidate.adapter)
    assert candidate.adapter in ADAPTERS
    assert row is not None
    assert {instance.template for instance in candidate.instances} <= set(row.templates)


async def answers(candidate: Candidate, instance: MadeInstance) -> None:
    """Each instance gets an answer of the kind that its template calls for."""
    handler = candidate.make()
    try:
        answer = await ask(handler, instance)
    finally:
        await handler.close()
    assert isinstance(answer, KINDS[variety(instance)])


async def takes_many_questions_at_once(candidate: Candidate) -> None:
    handler = candidate.make()
    try:
        found = await asyncio.gather(*(ask(handler, each) for each in candidate.instances for _ in range(20)))
    finally:
        await handler.close()
    assert len(found) == 20 * len(candidate.instances)


async def closes_unused_and_twice(candidate: Candidate) -> None:
    handler = candidate.make()
    await handler.close()
    await handler.close()


KINDS: dict[Variety, type] = {
    Variety.CHECK: CheckResult,
    Variety.QUOTA: QuotaResult,
    Variety.REPORT: type(None),
}


def variety(instance: MadeInstance) -> Variety:
    row = template(instance.template)
    assert row is not None
    return row.variety


async def ask(handler: Handler, instance: MadeInstance) -> object:
    """Hand an instance over as its template wants it, and wait where that has to be."""
    asked = cast(Any, handler)
    kind = variety(instance)
    if kind is Variety.REPORT:
        found = asked.report([instance])
    elif kind is Variety.QUOTA:
        found = asked.take(instance, QuotaRequest())
    else:
        found = asked.check(instance)
    return await found if isinstance(found, Awaitable) else found
