"""Which patches of EnvoyFilters concern a class of proxies, in the order in which they act."""

import re
from collections.abc import Mapping
from typing import Final

from lateen.api.networking.envoy_filter import ConfigPatch
from lateen.model import node_metadata
from lateen.model.view import ProxyView
from lateen.plan.diagnostics import Notes
from lateen.plan.types import Origin, Patch, PatchSet

FOLLOWED_VERSION: Final = "1.32.0"
"""The version of Istio that patches are written for which ask for one."""


def patches(view: ProxyView, notes: Notes | None = None) -> tuple[PatchSet, ...]:
    """List the patches for a class: the root namespace's first, then by priority, then the oldest first."""
    if notes is not None:
        _note_metadata(view, notes)
    root = view.mesh.root_namespace
    in_order = sorted(view.envoy_filters, key=lambda item: (item.namespace != root, item.spec.priority))
    return tuple(
        PatchSet(
            item.key,
            tuple(
                Patch(Origin(item.key, f"spec.configPatches[{position}]"), written)
                for position, written in enumerate(item.spec.config_patches)
                if _is_for_version(written) and _is_for_node(written, dict(view.key.metadata))
            ),
        )
        for item in in_order
    )


def _is_for_version(written: ConfigPatch) -> bool:
    asked = written.match.proxy.proxy_version if written.match and written.match.proxy else None
    return asked is None or re.search(asked, FOLLOWED_VERSION) is not None


def _is_for_node(written: ConfigPatch, known: Mapping[str, str]) -> bool:
    """Tell whether a proxy's node has all that is asked of it, word for word."""
    return all(known.get(key) == text for key, text in _metadata(written).items())


def _metadata(written: ConfigPatch) -> Mapping[str, str]:
    return written.match.proxy.metadata if written.match and written.match.proxy else {}


def _note_metadata(view: ProxyView, notes: Notes) -> None:
    for item in view.envoy_filters:
        for position, written in enumerate(item.spec.config_patches):
            for key in _metadata(written):
                if key not in node_metadata.ALIKE:
                    place = Origin(item.key, f"spec.configPatches[{position}].match.proxy.metadata.{key}")
                    known = ", ".join(node_metadata.ALIKE)
                    notes.add(place, f"matches no proxy: they are told apart by {known}, and by a workloadSelector")
