"""Patches of the bootstrap: laid over what a proxy is started with, once Envoy has taken them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from envoy.config.bootstrap.v3 import bootstrap_pb2
from google.protobuf.json_format import MessageToDict

from lateen.api.networking.envoy_filter import ApplyTo, PatchContext, PatchOperation
from lateen.envoy.patches import bench, values
from lateen.envoy.patches.merging import merge
from lateen.envoy.patches.trial import surroundings
from lateen.envoy.patches.values import BadValue
from lateen.model.proxy import Role
from lateen.plan.types import Diagnostic, Origin, Patch, PatchSet

_OWN: Final = ("node", "admin", "dynamic_resources")
"""By this a proxy is known and reached: without it nobody could tell it anything any more."""


def of_role(sets: Iterable[PatchSet], role: Role) -> tuple[PatchSet, ...]:
    """Return what EnvoyFilters say of the bootstraps of a role; those that say nothing of them are left out."""
    found = (replace(one, patches=tuple(patch for patch in one.patches if _is_for(patch, role))) for one in sets)
    return tuple(one for one in found if one.patches)


def fault(one: PatchSet) -> Diagnostic | None:
    """Say what keeps the patches of an EnvoyFilter from being laid over any bootstrap, before Envoy is asked."""
    for patch in one.patches:
        operation = patch.written.patch.operation
        if operation is not PatchOperation.MERGE:
            return Diagnostic(patch.origin, f"has no effect: a bootstrap takes MERGE, not {operation.value}")
        try:
            touched = [name for name in _OWN if bench.value(patch).HasField(name)]
        except BadValue as bad:
            place = Origin(patch.origin.key, f"{patch.origin.path}.patch.value")
            return Diagnostic(place, f"{bad}; nothing of this EnvoyFilter is done")
        if touched:
            return Diagnostic(patch.origin, f"has no effect: it must leave {', '.join(touched)} as the mesh says them")
    return None


def patched(said: Mapping[str, object], sets: Iterable[PatchSet]) -> dict[str, Any]:
    """Return a bootstrap with patches that have no fault laid over it."""
    return dict(MessageToDict(_merged(said, sets), preserving_proto_field_name=True))


def trial(sets: Iterable[PatchSet], place: str) -> bytes:
    """Write a bootstrap with patches as Envoy is asked about it; `place` is a folder for its sockets."""
    return bytes(_merged(surroundings(place), sets).SerializeToString(deterministic=True))


def _merged(said: Mapping[str, object], sets: Iterable[PatchSet]) -> Any:
    message = values.read(bootstrap_pb2.Bootstrap, said)
    for one in sets:
        for patch in one.patches:
            merge(message, bench.value(patch))
    return message


def _is_for(patch: Patch, role: Role) -> bool:
    context = patch.written.match.context if patch.written.match else PatchContext.ANY
    if patch.written.apply_to is not ApplyTo.BOOTSTRAP or context is PatchContext.WAYPOINT:
        return False
    return context is PatchContext.ANY or (context is PatchContext.GATEWAY) == (role is Role.GATEWAY)
