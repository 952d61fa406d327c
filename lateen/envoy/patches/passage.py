"""Which patches touch what one request passes: they are laid over it one after the other, and what changes is told."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from lateen import names
from lateen.envoy.cache import ResourceCache
from lateen.envoy.patches import patching
from lateen.envoy.patches.bench import Bench
from lateen.envoy.resources import resource_set
from lateen.plan.explain.ports import Passing, TouchedPart
from lateen.plan.types import ProxyPlan
from lateen.xds.order import CLUSTER, LISTENER, ROUTE
from lateen.xds.resources import ResourceSet

_Parts = Mapping[tuple[str, str], bytes]
_LISTENER: Final = "listener"
_VIRTUAL_HOST: Final = "virtual host"
_CLUSTER: Final = "cluster"


def touched(plan: ProxyPlan, passing: Passing) -> Iterator[TouchedPart]:
    """Yield each part that a patch has changed, added or removed of what a request passes, in the order of the patches.

    Of an inbound listener only the chains for the request's port count, of a route table only its virtual host.
    """
    at = Bench(_passed(plan, passing), plan.role)
    before = dict(_parts(at, passing))
    for patch in patching.steps(at, plan.patches, []):
        after = dict(_parts(at, passing))
        for part, name in dict.fromkeys((*before, *after)):
            if before.get((part, name)) != after.get((part, name)):
                yield TouchedPart(part, name, patch)
        before = after


def _passed(plan: ProxyPlan, passing: Passing) -> ResourceSet:
    """Make those resources only that the request passes."""
    is_inbound = names.VIRTUAL_INBOUND in passing.listeners
    captured = names.VIRTUAL_OUTBOUND in passing.listeners
    part = replace(
        plan,
        clusters=tuple(one for one in plan.clusters if one.name in passing.clusters),
        route_tables=tuple(one for one in plan.route_tables if one.name == passing.table),
        outbound=tuple(one for one in plan.outbound if names.listener(one.address, one.port) in passing.listeners),
        outbound_fallback=plan.outbound_fallback if captured else None,
        inbound=plan.inbound if is_inbound else (),
        inbound_fallback=plan.inbound_fallback if is_inbound else None,
        gateway=tuple(one for one in plan.gateway if names.listener(one.address, one.port) in passing.listeners),
        secrets=(),
        dns=(),
    )
    return resource_set(part, lambda *_: (), ResourceCache())


def _parts(at: Bench, passing: Passing) -> Iterator[tuple[tuple[str, str], bytes]]:
    for name in at.names(LISTENER):
        if name in passing.listeners:
            yield (_LISTENER, name), _bytes(_for_port(at.message(LISTENER, name), passing.port))
    for name in at.names(ROUTE):
        if name == passing.table:
            yield from _of_table(at.message(ROUTE, name), passing)
    for name in at.names(CLUSTER):
        if name in passing.clusters:
            yield (_CLUSTER, name), _bytes(at.message(CLUSTER, name))


def _of_table(table: Any, passing: Passing) -> Iterator[tuple[tuple[str, str], bytes]]:
    alone = type(table)()
    alone.CopyFrom(table)
    del alone.virtual_hosts[:]
    for host in table.virtual_hosts:
        if host.name == passing.virtual_host:
            yield (_VIRTUAL_HOST, host.name), _bytes(alone) + _bytes(host)


def _for_port(listener: Any, port: int) -> Any:
    """Leave out the chains of an inbound listener that are for other ports."""
    if listener.name != names.VIRTUAL_INBOUND:
        return listener
    found = type(listener)()
    found.CopyFrom(listener)
    own = [one for one in found.filter_chains if one.filter_chain_match.destination_port.value in (0, port)]
    del found.filter_chains[:]
    found.filter_chains.extend(own)
    return found


def _bytes(message: Any) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))
