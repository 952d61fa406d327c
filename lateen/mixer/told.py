"""Which reports are left for Mixer: those that proxies make themselves must not be made twice."""

from dataclasses import replace

from lateen.api.mixer.templates import Variety
from lateen.mixer.compiled_reports import why_told
from lateen.mixer.rule_types import ResolvedAction, ResolvedRule
from lateen.mixer.rules import RuleSet


def only_told(rules: RuleSet) -> RuleSet:
    """Return the rules without the report instances that proxies take care of."""
    return replace(rules, rules=tuple(_rule(rule) for rule in rules.rules))


def _rule(rule: ResolvedRule) -> ResolvedRule:
    actions = tuple(action if why_told(rule, action) else _without_reports(action) for action in rule.actions)
    return replace(rule, actions=actions)


def _without_reports(action: ResolvedAction) -> ResolvedAction:
    return replace(action, instances=tuple(each for each in action.instances if each.variety is not Variety.REPORT))
