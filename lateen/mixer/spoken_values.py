"""Values and conditions as one expression of Envoy's: for metrics, logs, limits and headers."""

from lateen import names
from lateen.api.expressions.tree import Attribute, Call, Constant, Node
from lateen.mixer import conditions, operands
from lateen.mixer.operands import (
    PeerFact,
    Unsayable,
    spoken,
)
from lateen.mixer.places import Place
from lateen.plan.condition_expressions import expression as as_one_expression
from lateen.plan.condition_expressions import is_sayable
from lateen.plan.conditions import (
    ALWAYS,
    AllOf,
    Condition,
    all_of,
    any_of,
    negated,
)


def always_there(expression: Node, place: Place) -> bool:
    """Tell whether an expression surely has a value."""
    match expression:
        case Call("|", parts):
            return any(always_there(part, place) for part in parts)
        case Call("conditional", (_, first, second)):
            return always_there(first, place) and always_there(second, place)
        case Call(function) if conditions.is_condition(function):
            return True
        case Attribute("context.protocol" | "connection.mtls"):
            return True
        case Call(function, arguments, receiver) if function in conditions.VALUES:
            return all(always_there(part, place) for part in conditions.with_receiver(arguments, receiver))
    return any(one.known == ALWAYS for one in conditions.operand(expression, place))


def there(expression: Node, place: Place) -> Condition:
    """Say when an expression has a value."""
    if always_there(expression, place):
        return ALWAYS
    return any_of(one.known for one in conditions.operand(expression, place))


def value(expression: Node, place: Place) -> Node:
    """Say a value as one expression of Envoy's, for where it surely is; raises `Unsayable` where that cannot be."""
    *others, last = conditions.operand(expression, place) or (None,)
    if last is None:
        raise Unsayable("it never has a value here")
    said = spoken(last.operand)
    for position, one in reversed(list(enumerate(others))):
        assert one is not None
        before = {negated(each.known) for each in others[:position] if each is not None}
        said = Call("conditional", (as_expression(_without(one.known, before)), spoken(one.operand), said))
    return said


def _without(condition: Condition, known: set[Condition]) -> Condition:
    """Leave out of a condition what is known to hold."""
    parts = condition.parts if isinstance(condition, AllOf) else (condition,)
    return all_of(part for part in parts if part not in known)


def shown(expression: Node, place: Place) -> Node:
    """Say a value as an expression whose text is shown; a fact of the caller or else `unknown` is kept as such."""
    match expression:
        case Call("|", (first, Constant(value=names.UNKNOWN))):
            found = conditions.operand(first, place)
            if len(found) == 1 and isinstance(found[0].operand, PeerFact):
                return operands.kept_fact(found[0].operand.fact)
    return value(expression, place)


def as_expression(condition: Condition) -> Node:
    """Say a condition as one expression of Envoy's; raises `Unsayable` where that cannot be."""
    if not is_sayable(condition):
        raise Unsayable("Envoy's expressions know no blocks of addresses")
    return as_one_expression(condition)
