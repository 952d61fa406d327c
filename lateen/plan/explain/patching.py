"""Which patches of EnvoyFilters have changed what a request passes."""

from collections.abc import Iterable, Iterator
from typing import Final

from lateen import names
from lateen.api.networking.envoy_filter import PatchOperation
from lateen.plan.explain.journeys import Journey
from lateen.plan.explain.places import Places
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.ports import Passing, TouchedPart
from lateen.plan.explain.steps import Touch
from lateen.plan.types import OutboundListener, ProxyPlan

LISTENER: Final = "listener"
VIRTUAL_HOST: Final = "virtual host"
CLUSTER: Final = "cluster"


def of_way(
    plan: ProxyPlan, journey: Journey, port: int, clusters: Iterable[str], plans: Plans
) -> tuple[TouchedPart, ...]:
    """Return the patches that touch what a request to a port passes in its caller's proxy."""
    entered = journey.entered
    own = (names.listener(entered.address, entered.port),) if entered is not None else ()
    opens = plan.gateway or (isinstance(entered, OutboundListener) and entered.opens)
    return plans.touched(
        plan,
        Passing(
            listeners=own if opens else (names.VIRTUAL_OUTBOUND, *own),
            port=entered.port if entered is not None else port,
            table=journey.table,
            virtual_host=journey.host.host.name if journey.host is not None else "",
            clusters=tuple(clusters),
        ),
    )


def of_server(plan: ProxyPlan, port: int, plans: Plans, places: Places) -> tuple[Touch, ...]:
    """Return the patches that touch what a call to a workload's port passes there; gateways tell theirs apart."""
    if plan.gateway:
        return ()
    found = plans.touched(plan, Passing((names.VIRTUAL_INBOUND,), port, clusters=(names.inbound_cluster(port),)))
    return tuple(touches(found, (LISTENER, CLUSTER), places))


def touches(found: Iterable[TouchedPart], parts: Iterable[str], places: Places, name: str = "") -> Iterator[Touch]:
    """Yield the patches of some kinds of parts, or of the one of a name, in words."""
    wanted = tuple(parts)
    for one in found:
        if one.part in wanted and name in ("", one.name):
            written = one.patch.written
            operation = written.patch.operation
            done = "removes" if operation is PatchOperation.REMOVE else f"{operation.value} changes"
            what = f"{written.apply_to.value} of {one.patch.origin.key} {done} {one.part} {one.name}"
            yield Touch(f"{what}: what follows may differ", places.of(one.patch.origin))
