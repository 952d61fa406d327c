"""Rules made ready to be asked: expressions as functions, in the order in which they are needed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lateen.api.mixer.rule import Operation
from lateen.api.mixer.templates import Variety
from lateen.mixer import interpreter
from lateen.mixer.interpreter import Evaluate, Holds
from lateen.mixer.manifests import AttributeTypes
from lateen.mixer.ports import Field, MadeInstance
from lateen.mixer.rule_types import (
    FieldPath,
    HeaderChange,
    ResolvedAction,
    ResolvedHandler,
    ResolvedInstance,
    ResolvedRule,
)
from lateen.mixer.rules import RuleSet
from lateen.mixer.values import ABSENT, Bag, Value


class CannotMake(Exception):
    """A field of an instance has no value; the text says which."""


@dataclass(frozen=True, slots=True)
class ReadyInstance:
    """An instance with its fields as functions."""

    resolved: ResolvedInstance
    fields: tuple[tuple[FieldPath, str, Evaluate], ...]

    def make(self, bag: Bag) -> MadeInstance:
        """Return what comes out of a bag; raises `CannotMake` where a field comes to nothing."""
        made: dict[str, Field] = {}
        for at in self.resolved.maps:
            _place(made, at, {})
        for at, text, evaluate in self.fields:
            value = evaluate(bag)
            if value is ABSENT:
                raise CannotMake(f"{self.resolved.name}: {'.'.join(at)} has no value: {text}")
            _place(made, at, value)
        return MadeInstance(self.resolved.name, self.resolved.template, made)


@dataclass(frozen=True, slots=True)
class ReadyAction:
    """Instances for a handler."""

    resolved: ResolvedAction
    instances: tuple[ReadyInstance, ...]

    @property
    def handler(self) -> ResolvedHandler:
        """Where the instances go."""
        return self.resolved.handler


@dataclass(frozen=True, slots=True)
class ReadyHeader:
    """A change of a header with its values as functions."""

    name: str
    operation: Operation
    values: tuple[Evaluate, ...]


@dataclass(frozen=True, slots=True)
class ReadyRule:
    """A rule that can be asked."""

    resolved: ResolvedRule
    holds: Holds
    actions: Mapping[Variety, tuple[ReadyAction, ...]]
    request_headers: tuple[ReadyHeader, ...] = ()
    response_headers: tuple[ReadyHeader, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadyRules:
    """All rules of a set, ready; `by_namespace` are those that concern a namespace, `mesh_wide` those of all others."""

    rules: tuple[ReadyRule, ...] = ()
    mesh_wide: tuple[ReadyRule, ...] = ()
    by_namespace: Mapping[str, tuple[ReadyRule, ...]] = field(default_factory=dict)

    def matching(self, bag: Bag, namespace: str, variety: Variety) -> tuple[ReadyRule, ...]:
        """Return the rules with something to do of this variety, whose match holds in the bag."""
        concerned = self.by_namespace.get(namespace, self.mesh_wide)
        return tuple(rule for rule in concerned if variety in rule.actions and rule.holds(bag))


def make_ready(rule_set: RuleSet) -> ReadyRules:
    """Return the rules of a set, ready to be asked."""
    rules = tuple(_ready_rule(rule, rule_set.types) for rule in rule_set.rules)
    namespaces = {rule.resolved.namespace for rule in rules}
    return ReadyRules(
        rules,
        tuple(rule for rule in rules if rule.resolved.is_mesh_wide),
        {each: tuple(rule for rule in rules if rule.resolved.concerns(each)) for each in sorted(namespaces)},
    )


def _ready_rule(rule: ResolvedRule, types: AttributeTypes) -> ReadyRule:
    holds = _always if rule.match is None else interpreter.condition(rule.match, types)
    varieties = {instance.variety for action in rule.actions for instance in action.instances}
    if rule.request_headers or rule.response_headers:
        varieties.add(Variety.CHECK)
    actions = {variety: _ready_actions(rule, variety, types) for variety in sorted(varieties)}
    return ReadyRule(
        rule,
        holds,
        actions,
        _ready_headers(rule.request_headers, types),
        _ready_headers(rule.response_headers, types),
    )


def _always(_: Bag) -> bool:
    return True


def _ready_actions(rule: ResolvedRule, variety: Variety, types: AttributeTypes) -> tuple[ReadyAction, ...]:
    """Return the actions of a rule with those of their instances that are of this variety."""
    found = (
        ReadyAction(action, tuple(ready_instance(each, types) for each in action.instances if each.variety is variety))
        for action in rule.actions
    )
    return tuple(action for action in found if action.instances)


def ready_instance(instance: ResolvedInstance, types: AttributeTypes) -> ReadyInstance:
    """Return an instance that can be made."""
    fields = ((each.at, each.text, interpreter.evaluator(each.typed, types)) for each in instance.fields)
    return ReadyInstance(instance, tuple(fields))


def _ready_headers(changes: Iterable[HeaderChange], types: AttributeTypes) -> tuple[ReadyHeader, ...]:
    return tuple(
        ReadyHeader(
            change.name, change.operation, tuple(interpreter.evaluator(value, types) for value in change.values)
        )
        for change in changes
    )


def _place(made: dict[str, Field], at: FieldPath, value: Value) -> None:
    """Put a value to its place, below the fields that are in front of it."""
    *before, last = at
    for step in before:
        below = made.setdefault(step, {})
        if not isinstance(below, dict):
            raise CannotMake(f"{'.'.join(at)} is in two places")
        made = below
    made[last] = value
