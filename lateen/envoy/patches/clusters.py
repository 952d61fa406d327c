"""Patches of clusters."""

from lateen.api.networking.envoy_filter import PatchContext, PatchOperation
from lateen.envoy.patches import places
from lateen.envoy.patches.bench import Bench
from lateen.envoy.patches.lists import change
from lateen.model.proxy import Role
from lateen.plan.types import Patch
from lateen.xds.order import CLUSTER


def patch_clusters(at: Bench, patch: Patch) -> bool:
    """Add, change or remove clusters."""
    operation, match = patch.written.patch.operation, patch.written.match
    asked, context = (match.cluster, match.context) if match else (None, PatchContext.ANY)
    if operation is PatchOperation.ADD:
        if context is not PatchContext.ANY and (context is PatchContext.GATEWAY) != (at.role is Role.GATEWAY):
            return False
        at.add(CLUSTER, at.value(patch))
        return True
    found = [
        name
        for name in at.names(CLUSTER)
        if places.is_cluster(asked, name) and places.has_context(context, places.cluster_context(at.role, name))
    ]
    for name in found:
        if operation is PatchOperation.REMOVE:
            at.remove(CLUSTER, name)
        else:
            change(at.message(CLUSTER, name), operation, at.value(patch))
    return bool(found)
