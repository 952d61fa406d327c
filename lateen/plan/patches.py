"""Which patches of EnvoyFilters concern a class of proxies, in the order in which they act."""

import re
from typing import Final

from lateen.api.networking.envoy_filter import ConfigPatch
from lateen.model.view import ProxyView
from lateen.plan.types import Origin, Patch, PatchSet

FOLLOWED_VERSION: Final = "1.32.0"
"""The version of Istio that patches are written for which ask for one."""


def patches(view: ProxyView) -> tuple[PatchSet, ...]:
    """List the patches for a class: the root namespace's first, then by priority, then the oldest first."""
    root = view.mesh.root_namespace
    in_order = sorted(view.envoy_filters, key=lambda item: (item.namespace != root, item.spec.priority))
    return tuple(
        PatchSet(
            item.key,
            tuple(
                Patch(Origin(item.key, f"spec.configPatches[{position}]"), written)
                for position, written in enumerate(item.spec.config_patches)
                if _is_for_version(written)
            ),
        )
        for item in in_order
    )


def _is_for_version(written: ConfigPatch) -> bool:
    asked = written.match.proxy.proxy_version if written.match and written.match.proxy else None
    return asked is None or re.search(asked, FOLLOWED_VERSION) is not None
