"""EnvoyFilters whose operations do not do what they seem to."""

from collections.abc import Iterator
from typing import Final

from lateen.api.networking.envoy_filter import ApplyTo, ConfigPatch, EnvoyFilter, PatchOperation
from lateen.api.objects import ConfigObject
from lateen.plan.analysis.world import Found, World, at

_RELATIVE: Final = (
    PatchOperation.INSERT_BEFORE,
    PatchOperation.INSERT_AFTER,
    PatchOperation.MERGE,
    PatchOperation.REPLACE,
    PatchOperation.REMOVE,
)
_WHOLE: Final = (ApplyTo.ROUTE_CONFIGURATION, ApplyTo.HTTP_ROUTE)
_FILTERS: Final = (ApplyTo.HTTP_FILTER, ApplyTo.NETWORK_FILTER)


def _patches(world: World) -> Iterator[tuple[ConfigObject[EnvoyFilter], str, ConfigPatch]]:
    for item in world.all(EnvoyFilter):
        for position, patch in enumerate(item.spec.config_patches):
            yield item, f"spec.configPatches[{position}]", patch


def unordered(world: World) -> Found:
    """Yield patches that depend on others without a priority that settles their order."""
    for item, path, patch in _patches(world):
        if patch.patch.operation in _RELATIVE and not item.spec.priority:
            says = "depends on what other EnvoyFilters did before: set priority, or use INSERT_FIRST or ADD"
            yield at(item.key, f"{path}.patch.operation"), f"{patch.patch.operation} {says}"


def bad_replacements(world: World) -> Found:
    """Yield REPLACE where it is of no use."""
    for item, path, patch in _patches(world):
        if patch.patch.operation is PatchOperation.REPLACE and patch.apply_to not in _FILTERS:
            says = f"has no effect: REPLACE is for HTTP_FILTER and NETWORK_FILTER, not {patch.apply_to}"
            yield at(item.key, f"{path}.patch.operation"), says


def bad_additions(world: World) -> Found:
    """Yield ADD where it is of no use."""
    for item, path, patch in _patches(world):
        if patch.patch.operation is PatchOperation.ADD and patch.apply_to in _WHOLE:
            yield at(item.key, f"{path}.patch.operation"), f"has no effect: ADD is not for {patch.apply_to}, use MERGE"


def bad_removals(world: World) -> Found:
    """Yield REMOVE where it is of no use."""
    for item, path, patch in _patches(world):
        if patch.patch.operation is PatchOperation.REMOVE and patch.apply_to in _WHOLE:
            yield at(item.key, f"{path}.patch.operation"), f"has no effect: REMOVE is not for {patch.apply_to}"


def bound_to_versions(world: World) -> Found:
    """Yield patches that depend on others and on the version of the proxy."""
    for item, path, patch in _patches(world):
        proxy = patch.match.proxy if patch.match is not None else None
        if patch.patch.operation in _RELATIVE and proxy is not None and proxy.proxy_version:
            says = "acts for some versions of proxies only: after an upgrade it may not act any more"
            yield at(item.key, f"{path}.match.proxy.proxyVersion"), f"{patch.patch.operation} {says}"
