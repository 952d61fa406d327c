"""WorkloadGroups and their members: groups that do not exist, and what both say differently."""

from collections.abc import Iterator
from typing import cast

from lateen.api.networking.workload_entry import WorkloadEntry
from lateen.api.networking.workload_group import WorkloadGroup
from lateen.model import groups, proxy_settings
from lateen.model.groups import Group
from lateen.model.workload import Workload
from lateen.plan.analysis.world import Found, Template, World, at


def missing(world: World) -> Found:
    """Yield owners of pods that are to register in a group that does not exist."""
    for workload, name in _members(world):
        template = _template_of(world, workload)
        if template is not None and _group(world, workload) is None:
            says = f"there is no WorkloadGroup {workload.key.namespace}/{name} to register in"
            path = _annotation_path(template)
            yield at(template.owner.key, path), f"{says}: no service has its pods as endpoints until there is"


def contradicted(world: World) -> Found:
    """Yield fields of groups that a member contradicts."""
    for workload, _ in _members(world):
        group = _group(world, workload)
        if group is not None:
            for found in groups.contradictions(workload, group):
                yield at(group.key, found.path), found.message


def passed_over(world: World) -> Found:
    """Yield WorkloadEntries of a user's that keep a member from being registered."""
    for workload, name in _members(world):
        own = groups.entry_key(workload, name)
        for entry in world.config.of(WorkloadEntry, workload.key.namespace):
            has_address = bool(workload.address) and entry.spec.address == workload.address
            if has_address or entry.key == own:
                path = "spec.address" if has_address else ""
                says = f"stands for {workload.key}, which WorkloadGroup {name} would register"
                yield at(entry.key, path), f"{says}: what is written here counts, and its health is not asked"


def _members(world: World) -> Iterator[tuple[Workload, str]]:
    for workload in world.snapshot.workloads:
        if workload.membership is not None:
            yield workload, workload.membership.group


def _group(world: World, workload: Workload) -> Group | None:
    name = workload.membership.group if workload.membership is not None else ""
    return cast(Group | None, world.config.shelf(WorkloadGroup, workload.key.namespace).get(name))


def _template_of(world: World, workload: Workload) -> Template | None:
    home = (one for one in world.templates if one.owner.namespace == workload.key.namespace)
    return next((one for one in home if one.owner.name == (workload.owner or workload.key.name)), None)


def _annotation_path(template: Template) -> str:
    """Name the annotation that says the group, if one is there; else something that concerns more pods says it."""
    if groups.GROUP_VARIABLE not in template.annotations.get(proxy_settings.ANNOTATION, ""):
        return ""
    return ".".join(filter(None, (template.path, "metadata.annotations", proxy_settings.ANNOTATION)))
