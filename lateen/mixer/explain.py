"""Where each action of Mixer's rules ends up: which proxies do it, with what, or why Mixer is asked."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lateen.api.mixer.rule import Rule
from lateen.api.objects import ConfigObject
from lateen.errors import ProtocolError
from lateen.mixer.compile import RuleSets, Surveyed, survey
from lateen.mixer.compiled import Placement, Where
from lateen.mixer.rules import RuleSet, resolve
from lateen.model.workload import Workload
from lateen.plan.explain.plans import Plans


@dataclass(frozen=True, slots=True)
class PlacedAction:
    """What becomes of an action at some workloads: for calls to them (`in`, maybe with a port), or by them (`out`)."""

    field: str
    place: str
    what: str
    where: str
    why: str
    calls: str
    workloads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExplainedRule:
    """A rule and where its actions ended up; with `faults` it takes no part."""

    name: str
    namespace: str
    place: str
    match: str
    mesh_wide: bool
    actions: tuple[PlacedAction, ...] = ()
    faults: tuple[str, ...] = field(default=())


def rules(plans: Plans) -> tuple[ExplainedRule, ...]:
    """Explain all rules of a mesh, in the order in which they are asked."""
    surveyed = list(_surveys(plans))
    config, root = plans.snapshot.config, plans.snapshot.mesh.root_namespace
    found = resolve(config, root)
    return tuple(_explained(item, surveyed, found, root) for item in config.of(Rule))


def rule(plans: Plans, namespace: str, name: str) -> ExplainedRule:
    """Explain one rule. Raises `ProtocolError` when there is none of that name."""
    found = rules(plans)
    for one in found:
        if (one.namespace, one.name) == (namespace, name):
            return one
    near = difflib.get_close_matches(name, [one.name for one in found], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    elsewhere = [one.namespace for one in found if one.name == name]
    hint = f"; there is one in {', '.join(elsewhere)}" if elsewhere else hint
    raise ProtocolError(f"there is no rule {name} in the namespace {namespace}{hint}")


def _surveys(plans: Plans) -> Iterator[tuple[tuple[str, ...], Surveyed]]:
    """Compile the rules for each class of workloads that have a proxy."""
    classes: dict[object, list[Workload]] = {}
    for workload in plans.snapshot.workloads:
        if workload.proxied:
            classes.setdefault(plans.place(workload), []).append(workload)
    rule_sets = RuleSets()
    for members in classes.values():
        view = plans.view(members[0])
        if view.mixer:
            yield _names(members), survey(view, rule_sets.of(view))


def _names(members: Iterable[Workload]) -> tuple[str, ...]:
    return tuple(sorted({f"{one.owner or one.key.name}.{one.key.namespace}" for one in members}))


def _explained(
    item: ConfigObject[Rule], surveyed: list[tuple[tuple[str, ...], Surveyed]], known: RuleSet, root: str
) -> ExplainedRule:
    placed: dict[tuple[str, Placement], list[str]] = {}
    for workloads, found in surveyed:
        for calls, placement in found.placements:
            if placement.origin.key == item.key:
                placed.setdefault((calls, placement), []).extend(workloads)
    faults = [one for one in (*known.violations, *known.unresolved) if one.subject == str(item.key)]
    return ExplainedRule(
        item.name,
        item.namespace,
        item.source.place("spec"),
        item.spec.match or "",
        item.namespace == root,
        tuple(_action(item, calls, one, workloads) for (calls, one), workloads in _ordered(placed)),
        tuple(map(str, faults)),
    )


def _ordered(placed: dict[tuple[str, Placement], list[str]]) -> list[tuple[tuple[str, Placement], list[str]]]:
    """Order places by action; those where the rule never matches come last."""
    return sorted(placed.items(), key=lambda one: (one[0][1].origin.path, one[0][1].where is Where.NEVER))


def _action(item: ConfigObject[Rule], calls: str, placement: Placement, workloads: list[str]) -> PlacedAction:
    path = placement.origin.path
    return PlacedAction(
        path,
        item.source.place(path),
        placement.what,
        placement.where,
        placement.why,
        calls,
        tuple(sorted(set(workloads))),
    )
