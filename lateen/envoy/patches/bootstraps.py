"""Patches of the bootstrap: laid over what a proxy is started with, once Envoy has taken them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from envoy.config.bootstrap.v3 import bootstrap_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict

from lateen.api.networking.envoy_filter import ApplyTo, PatchContext, PatchOperation
from lateen.envoy.patches import bench, values
from lateen.envoy.patches.trial import surroundings
from lateen.envoy.patches.values import BadValue
from lateen.model.proxy import Role
from lateen.plan.types import Diagnostic, Origin, Patch, PatchSet

_TYPE: Final = "@type"
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
    """Return a bootstrap, as JSON with the fields' own names, with patches that have no fault laid over it.

    It stays JSON: a bootstrap says more than the generated messages know.
    """
    found = dict(said)
    for one in sets:
        for patch in one.patches:
            value = MessageToDict(bench.value(patch), preserving_proto_field_name=True)
            found = _merged(found, value, bootstrap_pb2.Bootstrap.DESCRIPTOR)
    return found


def trial(sets: Iterable[PatchSet], place: str) -> bytes:
    """Write a bootstrap with patches as Envoy is asked about it, as JSON; `place` is a folder for its sockets."""
    return json.dumps(patched(surroundings(place, metrics=True), sets), sort_keys=True).encode()


def _merged(into: Mapping[str, Any], patch: Mapping[str, Any], kind: Descriptor | None) -> dict[str, Any]:
    """Lay the fields of a patch over those of a message: lists grow, messages and maps are merged, texts replaced.

    Of fields of which only one can be set, the patch's is.
    """
    found = dict(into)
    for name, value in patch.items():
        field = kind.fields_by_name.get(name) if kind is not None else None
        for other in field.containing_oneof.fields if field is not None and field.containing_oneof else ():
            if other.name != name:
                found.pop(other.name, None)
        before = found.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping) and before.get(_TYPE) == value.get(_TYPE):
            found[name] = _merged(before, value, _inside(field, value))
        elif isinstance(before, list) and isinstance(value, list):
            found[name] = [*before, *value]
        else:
            found[name] = value
    return found


def _inside(field: FieldDescriptor | None, value: Mapping[str, Any]) -> Descriptor | None:
    """Find what a message inside a field is; nothing is known of maps and free structures."""
    if isinstance(name := value.get(_TYPE), str):
        return cast(Descriptor, values.message_class(name.rpartition("/")[2]).DESCRIPTOR)
    inside: Descriptor | None = field.message_type if field is not None else None
    return None if inside is None or inside.GetOptions().map_entry else inside


def _is_for(patch: Patch, role: Role) -> bool:
    context = patch.written.match.context if patch.written.match else PatchContext.ANY
    if patch.written.apply_to is not ApplyTo.BOOTSTRAP or context is PatchContext.WAYPOINT:
        return False
    return context is PatchContext.ANY or (context is PatchContext.GATEWAY) == (role is Role.GATEWAY)
