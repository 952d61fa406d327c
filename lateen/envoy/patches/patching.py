"""The last step: finished resources with the patches of EnvoyFilters laid over them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lateen.api.networking.envoy_filter import ApplyTo, PatchContext
from lateen.envoy.patches import clusters, listeners, route_tables
from lateen.envoy.patches.bench import KINDS, Bench
from lateen.envoy.patches.values import BadValue
from lateen.model.proxy import Role
from lateen.plan.types import Diagnostic, Origin, Patch, PatchSet
from lateen.xds.resources import Resource, ResourceSet

_STEPS: Final[Mapping[ApplyTo, Callable[[Bench, Patch], bool]]] = {
    ApplyTo.LISTENER: listeners.patch_listeners,
    ApplyTo.LISTENER_FILTER: listeners.patch_listener_filters,
    ApplyTo.FILTER_CHAIN: listeners.patch_chains,
    ApplyTo.NETWORK_FILTER: listeners.patch_network_filters,
    ApplyTo.HTTP_FILTER: listeners.patch_http_filters,
    ApplyTo.EXTENSION_CONFIG: listeners.fill_in_extensions,
    ApplyTo.ROUTE_CONFIGURATION: route_tables.patch_tables,
    ApplyTo.VIRTUAL_HOST: route_tables.patch_virtual_hosts,
    ApplyTo.HTTP_ROUTE: route_tables.patch_routes,
    ApplyTo.CLUSTER: clusters.patch_clusters,
}
"""What is done for each kind of place, in this order: the outer before the inner, extensions when all have asked."""


@dataclass(frozen=True, slots=True)
class Patched:
    """Resources after patching.

    `changed` are those that differ, by type and name. `matched` are the patches that found a place. `faults` say what
    could not be read; nothing of an EnvoyFilter with a fault has been done.
    """

    resources: ResourceSet
    changed: Mapping[str, Mapping[str, Resource]]
    matched: frozenset[Origin]
    faults: tuple[Diagnostic, ...]


def patched(resources: ResourceSet, role: Role, sets: Iterable[PatchSet]) -> Patched:
    """Lay the patches of some EnvoyFilters, in their order, over the resources of a class."""
    at, faults = Bench(resources, role), list[Diagnostic]()
    for patch in steps(at, sets, faults):
        at.matched.add(patch.origin)
    finished = at.finished()
    return Patched(finished, at.changed(finished), frozenset(at.matched), tuple(faults))


def steps(at: Bench, sets: Iterable[PatchSet], faults: list[Diagnostic]) -> Iterator[Patch]:
    """Lay patches over what is on the bench, one after the other, and yield each that has found a place, once it has.

    What cannot be read is added to `faults`.
    """
    readable: list[Patch] = []
    for one in sets:
        found = [fault for patch in one.patches if (fault := _fault(at, patch)) is not None]
        faults += found
        if not found:
            readable += one.patches
    for place, step in _STEPS.items():
        for patch in readable:
            if patch.written.apply_to is place and step(at, patch):
                yield patch


def unmatched(patch: Patch) -> Diagnostic:
    """Say that a patch has no place in any proxy that it concerns."""
    match = patch.written.match
    if match is not None and match.context is PatchContext.WAYPOINT:
        return Diagnostic(patch.origin, "has no effect: there are no waypoints")
    return Diagnostic(patch.origin, "matches nothing in any proxy that it concerns")


def _fault(at: Bench, patch: Patch) -> Diagnostic | None:
    """Tell what Envoy could not read of a patch; None where all is well."""
    if patch.written.apply_to not in KINDS:
        return None
    try:
        at.value(patch)
    except BadValue as bad:
        place = Origin(patch.origin.key, f"{patch.origin.path}.patch.value")
        return Diagnostic(place, f"{bad}; nothing of this EnvoyFilter is done")
    return None
