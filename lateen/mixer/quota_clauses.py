"""When the rules of QuotaSpecs charge, as conditions of a proxy."""

from lateen.api.expressions.tree import Attribute, Call, Node
from lateen.api.mixer.services import AttributeMatch, QuotaRule, StringMatch
from lateen.mixer import conditions
from lateen.mixer.attributes import current_name
from lateen.mixer.operands import string
from lateen.mixer.places import Place
from lateen.plan.conditions import ALWAYS, Condition, all_of, any_of


def when_charged(rule: QuotaRule, place: Place, *, gated: bool) -> Condition:
    """Say when a rule of a QuotaSpec charges."""
    if not rule.match:
        return ALWAYS
    return any_of(_matches(match, place, gated=gated) for match in rule.match)


def _matches(match: AttributeMatch, place: Place, *, gated: bool) -> Condition:
    parts = (_clause(Attribute(current_name(name)), wanted) for name, wanted in match.clause.items())
    return all_of(conditions.may_hold(one, place) if gated else conditions.holds(one, place) for one in parts)


def _clause(attribute: Node, wanted: StringMatch) -> Node:
    if wanted.exact is not None:
        return Call("==", (attribute, string(wanted.exact)))
    if wanted.prefix is not None:
        return Call("startsWith", (string(wanted.prefix),), attribute)
    return Call("matches", (string(f"^(?:{wanted.regex})$"),), attribute)
