"""WorkloadGroups and their members: groups that do not exist, and what both say differently."""

from collections import defaultdict
from collections.abc import Iterator
from typing import cast

from lateen.api.networking.workload_entry import WorkloadEntry
from lateen.api.networking.workload_group import WorkloadGroup
from lateen.api.objects import ObjectKey
from lateen.model import groups, proxy_settings
from lateen.model.groups import Group
from lateen.model.workload import Workload
from lateen.plan.analysis.world import Found, Template, World, at


def missing(world: World) -> Found:
    """Yield owners of pods that are to register in a group that does not exist."""
    templates = {(one.owner.namespace, one.owner.name): one for one in world.templates}
    for workload, name in _members(world):
        template = templates.get((workload.key.namespace, workload.owner or workload.key.name))
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
    written: defaultdict[tuple[str, str], list[ObjectKey]] = defaultdict(list)
    for entry in world.config.of(WorkloadEntry):
        written[entry.namespace, entry.spec.address].append(entry.key)
    for workload, name in _members(world):
        says = f"stands for {workload.key}, which WorkloadGroup {name} would register"
        counts = f"{says}: what is written here counts, and its health is not asked"
        at_address = written.get((workload.key.namespace, workload.address), []) if workload.address else []
        for key in at_address:
            yield at(key, "spec.address"), counts
        own = groups.entry_key(workload, name)
        if own in world.config and own not in at_address:
            says = f"has the name of the entry by which WorkloadGroup {name} would register {workload.key}"
            yield at(own), f"{says}, which therefore is no endpoint: give it another name"


def _members(world: World) -> Iterator[tuple[Workload, str]]:
    for workload in world.snapshot.workloads:
        if workload.membership is not None:
            yield workload, workload.membership.group


def _group(world: World, workload: Workload) -> Group | None:
    name = workload.membership.group if workload.membership is not None else ""
    return cast(Group | None, world.config.shelf(WorkloadGroup, workload.key.namespace).get(name))


def _annotation_path(template: Template) -> str:
    """Name the annotation that says the group, if one is there; else something that concerns more pods says it."""
    if groups.GROUP_VARIABLE not in template.annotations.get(proxy_settings.ANNOTATION, ""):
        return ""
    return ".".join(filter(None, (template.path, "metadata.annotations", proxy_settings.ANNOTATION)))
