"""Objects of which only one can count for a workload: Sidecars and Telemetries."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from lateen.api.networking.sidecar import Sidecar
from lateen.api.objects import ConfigObject
from lateen.api.structs import Struct
from lateen.api.telemetry.telemetry import Telemetry
from lateen.plan.analysis.world import Found, Labels, World, at

_NO_PROVIDER: Final = "names no provider: name one of MeshConfig's, or leave it out"
_Scoped = tuple[ConfigObject[Struct], Labels]


def _sidecars(world: World) -> list[_Scoped]:
    return [
        (one, one.spec.workload_selector.labels if one.spec.workload_selector else {}) for one in world.all(Sidecar)
    ]


def _telemetries(world: World) -> list[_Scoped]:
    found = [one for one in world.all(Telemetry) if not one.spec.targets]
    return [(one, one.spec.selector.match_labels if one.spec.selector else {}) for one in found]


def sidecars_for_same_workloads(world: World) -> Found:
    """Yield Sidecars that select workloads which an older one selects too."""
    yield from _overlapping(world, _sidecars(world), "spec.workloadSelector")


def sidecars_for_same_namespace(world: World) -> Found:
    """Yield Sidecars for a whole namespace that has an older one."""
    yield from _repeated(_sidecars(world))


def telemetries_for_same_workloads(world: World) -> Found:
    """Yield Telemetries that select workloads which an older one selects too."""
    yield from _overlapping(world, _telemetries(world), "spec.selector")


def telemetries_for_same_namespace(world: World) -> Found:
    """Yield Telemetries for a whole namespace that has an older one."""
    yield from _repeated(_telemetries(world))


def _overlapping(world: World, items: Iterable[_Scoped], path: str) -> Found:
    taken: dict[object, ConfigObject[Struct]] = {}
    for item, labels in items:
        if not labels:
            continue
        for workload in world.selected(item.namespace, labels):
            winner = taken.setdefault(workload.key, item)
            if winner is not item:
                yield (
                    at(item.key, path),
                    f"has no effect on {workload.key}: {winner.key}, which is older, selects it too",
                )
                break


def _repeated(items: Iterable[_Scoped]) -> Found:
    first: dict[str, ConfigObject[Struct]] = {}
    for item, labels in items:
        if labels:
            continue
        winner = first.setdefault(item.namespace, item)
        if winner is not item:
            says = f"has no effect: {winner.key}, which is older, is already for all workloads of the namespace"
            yield at(item.key, "spec"), says


def empty_providers(world: World) -> Found:
    """Yield entries of a Telemetry that name no provider where the mesh has no default one."""
    defaults: Mapping[str, tuple[str, ...]] = defaultdict(tuple)
    providers = getattr(world.mesh, "default_providers", None)
    if providers is not None:
        defaults = {name: getattr(providers, name, ()) for name in ("tracing", "access_logging")}
    for item in world.all(Telemetry):
        for position, rule in enumerate(item.spec.tracing):
            if "providers" in rule.model_fields_set and not rule.providers and not defaults["tracing"]:
                yield (
                    at(item.key, f"spec.tracing[{position}]"),
                    "names no provider: name one of MeshConfig's, or leave it out",
                )
        for position, logs in enumerate(item.spec.access_logging):
            if "providers" in logs.model_fields_set and not logs.providers and not defaults["access_logging"]:
                yield at(item.key, f"spec.accessLogging[{position}]"), _NO_PROVIDER
