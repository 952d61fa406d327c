"""Which quotas proxies can count: what is taken from them, when, and in which dimensions."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lateen.api.expressions import cel
from lateen.api.expressions.tree import Attribute, Call, Node
from lateen.api.mixer.quotas import MemoryOverride, MemoryQuota, MemQuotaParams
from lateen.api.mixer.templates import Variety
from lateen.api.policy.dimensions import Aspect, Dimension
from lateen.mixer import anyones, conditions, spoken_values
from lateen.mixer.compiled_checks import match_of
from lateen.mixer.operands import Unsayable
from lateen.mixer.places import Place
from lateen.mixer.quota_clauses import when_charged
from lateen.mixer.rule_types import ResolvedAction, ResolvedHandler, ResolvedInstance, ResolvedRule
from lateen.mixer.rules import RuleSet
from lateen.plan.types import Origin

_SHORTEST: Final = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class Taken:
    """An instance that a charge is taken from, and the rule and action that say so."""

    rule: ResolvedRule
    action: ResolvedAction
    instance: ResolvedInstance

    @property
    def origin(self) -> Origin:
        """The action in its rule."""
        return Origin(self.rule.written.key, self.action.path)


def is_local_quota(handler: ResolvedHandler) -> bool:
    """Tell whether proxies count the quotas of a handler: in memory, and for a time only."""
    params = handler.settings
    return isinstance(params, MemQuotaParams) and all(map(_is_local, params.quotas))


def _is_local(quota: MemoryQuota) -> bool:
    amounts: tuple[MemoryQuota | MemoryOverride, ...] = (quota, *quota.overrides)
    return all(each.max_amount > 0 for each in amounts) and all(
        (each.valid_duration or quota.valid_duration) >= _SHORTEST for each in amounts
    )


def counted_by_proxies(rule_set: RuleSet) -> frozenset[str]:
    """Return the names of the handlers whose quotas proxies count, for whatever they are charged."""
    charges = rule_set.charges
    try:
        for rule in (rule for bound in charges.bound for rule in bound.written.spec.rules):
            when_charged(rule, anyones.INBOUND, gated=False)
    except Unsayable:
        return frozenset()
    used = [(rule, taken) for rule in rule_set.rules for taken in quota_instances(rule)]
    by_mixer = {taken.action.handler.name for rule, taken in used if not _is_sayable(rule, taken.instance)}
    return frozenset(
        taken.action.handler.name
        for _, taken in used
        if is_local_quota(taken.action.handler) and taken.action.handler.name not in by_mixer
    )


def quotas_need_mixer(rule_set: RuleSet) -> bool:
    """Tell whether any proxy may ask Mixer because of a quota: to count it, or to refuse what has no dimensions."""
    counted = counted_by_proxies(rule_set)
    return any(
        taken.action.handler.name not in counted
        or not all(spoken_values.always_there(field.typed.root, anyones.INBOUND) for field in taken.instance.fields)
        for rule in rule_set.rules
        for taken in quota_instances(rule)
    )


def _is_sayable(rule: ResolvedRule, instance: ResolvedInstance) -> bool:
    """Tell whether every proxy can say when a rule takes from a quota, and in which dimensions."""
    try:
        for leaf in anyones.leaves(match_of(rule).root):
            spoken_values.as_expression(conditions.holds(leaf, anyones.INBOUND))
        for field in instance.fields:
            dimension(field.typed.root, anyones.INBOUND)
            spoken_values.as_expression(spoken_values.there(field.typed.root, anyones.INBOUND))
    except Unsayable:
        return False
    return True


def quota_instances(rule: ResolvedRule) -> Iterator[Taken]:
    """Yield the quotas that a rule takes from."""
    for action in rule.actions:
        for instance in action.instances:
            if instance.variety is Variety.QUOTA:
                yield Taken(rule, action, instance)


def dimension(root: Node, place: Place) -> Dimension:
    """Say what requests are told apart by; raises `Unsayable`."""
    if _is_source_address(root):
        return Dimension(Aspect.SOURCE_IP)
    return Dimension(Aspect.EXPRESSION, (text(spoken_values.value(root, place)),))


def _is_source_address(root: Node) -> bool:
    """Tell whether a dimension is the caller's address, which always is there whatever stands behind it."""
    first = root.arguments[0] if isinstance(root, Call) and root.function == "|" else root
    return isinstance(first, Attribute) and first.name == "source.ip"


def text(expression: Node) -> str:
    """Return an expression as text; raises `Unsayable` for what Envoy does not evaluate in texts."""
    text = cel.render(expression)
    if faults := cel.check(text):
        raise Unsayable(str(faults[0]))
    return text
