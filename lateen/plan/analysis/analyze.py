"""The door of this room: from a snapshot to what is doubtful in it."""

from collections.abc import Iterable
from dataclasses import replace

from lateen.model.snapshot import Snapshot
from lateen.model.view import ClassKey
from lateen.plan.analysis.codes import CODES
from lateen.plan.analysis.world import World
from lateen.plan.explain.plans import Plans
from lateen.plan.types import Diagnostic, ProxyPlan


def analyze(snapshot: Snapshot) -> tuple[Diagnostic, ...]:
    """Find what is doubtful in a mesh as a whole, each thing once."""
    world = World(snapshot)
    found = {
        Diagnostic(origin, message, row.code): None
        for row in CODES
        if row.find is not None
        for origin, message in row.find(world)
    }
    return tuple(found)


def together(doubts: Iterable[Diagnostic], found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Add what was found in the whole to what was noticed while plans were made.

    What both notice, by one code in one field, is told in the words of the plan, which knows what comes of it.
    """
    noticed = tuple(dict.fromkeys(doubts))
    taken = {(doubt.code, doubt.origin) for doubt in noticed}
    return (*noticed, *(one for one in found if (one.code, one.origin) not in taken))


def doubts_of_proxies(snapshot: Snapshot) -> tuple[Diagnostic, ...]:
    """Make the plans of a mesh that does not run, and return what is noticed on the way.

    Proxies that differ in their own ports only notice the same: one of them is asked.
    """
    plans = Plans(snapshot)
    asked: dict[ClassKey, ProxyPlan] = {}
    for workload in snapshot.workloads:
        if workload.proxied:
            place = replace(plans.place(workload), own_ports=())
            if place not in asked:
                asked[place] = plans.plan(workload)
    return tuple(dict.fromkeys(one for plan in asked.values() for one in plan.diagnostics))
