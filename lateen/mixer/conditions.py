"""From a rule's match to what a proxy can check itself.

What is absent equals nothing and differs from everything, so that a match is always true or false.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address
from itertools import product
from typing import Final

from lateen.api.expressions.tree import Attribute, Call, Constant, Index, ListOf, Node
from lateen.mixer import comparisons, operands, peers
from lateen.mixer.attributes import current_name
from lateen.mixer.operands import (
    NOTHING,
    Alternative,
    Alternatives,
    Fixed,
    Header,
    Known,
    Operand,
    Peer,
    PeerFact,
    Scalar,
    Spoken,
    Unsayable,
    always,
    spoken,
)
from lateen.mixer.places import Place
from lateen.plan.conditions import (
    ALWAYS,
    NEVER,
    Condition,
    Says,
    all_of,
    any_of,
    negated,
)

_TESTS: Final = ("match", "startsWith", "endsWith", "matches", "contains")


def holds(expression: Node, place: Place) -> Condition:
    """Say when an expression is true; raises `Unsayable` where a proxy cannot decide it."""
    match expression:
        case Call("&&" | "||" as sign, parts):
            return _joined(sign, parts, place)
        case Call("!", (part,)):
            return negated(holds(part, place))
        case Call("==", (left, right)):
            return _compared(left, right, place)
        case Call("!=", (left, right)):
            return negated(_compared(left, right, place))
        case Call(sign, (left, right)) if sign in comparisons.ORDER:
            return _ordered(sign, left, right, place)
        case Call("match", (subject, pattern)):
            return _tested("match", subject, pattern, place)
        case Call(test, (pattern,), subject) if test in _TESTS and subject is not None:
            return _tested(test, subject, pattern, place)
        case Call("in", (item, ListOf(items))):
            return any_of(_compared(item, each, place) for each in items)
        case Call("in", (key, mapping)):
            return _contained(key, mapping, place)
        case Call("has", (part,)):
            return any_of(one.known for one in operand(part, place))
        case _:
            return _where(operand(expression, place), lambda one: comparisons.equal(one, Fixed(True)))


def may_hold(expression: Node, place: Place, *, wanted: bool = True) -> Condition:
    """Say when an expression may be true; what a proxy cannot decide always may."""
    match expression:
        case Call("&&" | "||" as sign, parts):
            join = all_of if (sign == "&&") is wanted else any_of
            return join(may_hold(part, place, wanted=wanted) for part in parts)
        case Call("!", (part,)):
            return may_hold(part, place, wanted=not wanted)
    try:
        found = holds(expression, place)
    except Unsayable:
        return ALWAYS
    return found if wanted else negated(found)


def _joined(sign: str, parts: Iterable[Node], place: Place) -> Condition:
    """Join what can be said; a part that cannot be does not matter where another one decides alone."""
    said, unsaid = [], None
    for part in parts:
        try:
            said.append(holds(part, place))
        except Unsayable as reason:
            unsaid = unsaid or reason
    if unsaid is not None and (NEVER if sign == "&&" else ALWAYS) not in said:
        raise unsaid
    return all_of(said) if sign == "&&" else any_of(said)


def _where(found: Alternatives, test: Callable[[Operand], Condition]) -> Condition:
    return any_of(_if(one, test(one.operand)) for one in found if one.known != NEVER)


def _if(one: Alternative, test: Condition) -> Condition:
    """Say that a value is the one and passes a test; what is not there passes no native test anyway."""
    is_native = (
        isinstance(one.operand, Header | Peer | PeerFact | Known) and not isinstance(test, Says) and test != ALWAYS
    )
    return all_of((one.when if is_native else one.known, test))


def _compared(left: Node, right: Node, place: Place) -> Condition:
    found = []
    for one, other in product(operand(left, place), operand(right, place)):
        first, second = (other, one) if isinstance(one.operand, Fixed) else (one, other)
        if all_of((first.known, second.known)) != NEVER:
            found.append(all_of((second.known, _if(first, comparisons.equal(first.operand, second.operand)))))
    return any_of(found)


def _tested(test: str, subject: Node, pattern: Node, place: Place) -> Condition:
    text = comparisons.pattern(test, pattern)
    return _where(operand(subject, place), lambda one: comparisons.fits(one, text))


def _ordered(sign: str, left: Node, right: Node, place: Place) -> Condition:
    def compare(one: Operand, other: Operand) -> Condition:
        if isinstance(one, Fixed) and isinstance(other, Fixed):
            return ALWAYS if comparisons.is_ordered(sign, one.value, other.value) else NEVER
        return Says(Call(sign, (spoken(one), spoken(other))))

    return any_of(
        all_of((one.known, other.known, compare(one.operand, other.operand)))
        for one, other in product(operand(left, place), operand(right, place))
    )


def _contained(key: Node, mapping: Node, place: Place) -> Condition:
    if not isinstance(key, Constant) or not isinstance(mapping, Attribute):
        raise Unsayable("`in` asks for a fixed key of an attribute")
    return any_of(one.known for one in _entry(current_name(mapping.name), str(key.value), place))


def operand(expression: Node, place: Place) -> Alternatives:
    """Say what a value is, and when; raises `Unsayable` where a proxy does not have it."""
    match expression:
        case Constant():
            return always(Fixed(_scalar(expression)))
        case Attribute(name):
            return _attribute(current_name(name), place)
        case Index(Attribute(name), Constant(value=key)):
            return _entry(current_name(name), str(key), place)
        case Call("|", parts):
            return _first_of(parts, place)
        case Call("conditional", (condition, first, second)):
            return (
                *_only(holds(condition, place), operand(first, place)),
                *_only(negated(holds(condition, place)), operand(second, place)),
            )
        case Call(function, arguments, receiver):
            return _called(function, arguments, receiver, place)
    raise Unsayable("Envoy has no such value")


def with_receiver(arguments: tuple[Node, ...], receiver: Node | None) -> tuple[Node, ...]:
    """Return what a call reads, the receiver first."""
    return arguments if receiver is None else (receiver, *arguments)


def is_condition(function: str) -> bool:
    """Tell whether a call is true or false, and so never missing."""
    return function in comparisons.ORDER or function in (*_TESTS, "&&", "||", "!", "==", "!=", "in", "has")


def _scalar(node: Constant) -> Scalar:
    if isinstance(node.value, bytes):
        raise Unsayable("a proxy compares no bytes")
    return node.value


def _only(when: Condition, found: Alternatives) -> Alternatives:
    return tuple(replace(one, when=all_of((when, one.when))) for one in found if when != NEVER)


def _first_of(parts: Iterable[Node], place: Place) -> Alternatives:
    """Choose the first part that is there; what comes after one that always is, is not looked at."""
    found: list[Alternative] = []
    before: Condition = ALWAYS
    for part in parts:
        alternatives = operand(part, place)
        found.extend(_only(before, alternatives))
        before = all_of((before, negated(any_of(one.known for one in alternatives))))
        if before == NEVER:
            break
    return tuple(found)


def _attribute(name: str, place: Place) -> Alternatives:
    if name in place.facts:
        return always(Fixed(place.facts[name]))
    if name in place.absent or (name.startswith("request.") and not place.is_http):
        return NOTHING
    if operands.is_unknown(name, is_outbound=place.is_outbound):
        return NOTHING
    if name == "context.protocol":
        return operands.of_protocol() if place.is_http else always(Fixed("tcp"))
    if place.is_outbound and name.startswith("destination."):
        return operands.of_callee(name)
    if name.startswith("source.") and name != "source.ip" and not place.is_outbound:
        return peers.attribute(name)
    native = operands.of_request(name)
    if native is not None:
        return native
    return always(Spoken(operands.of_stream(name, is_outbound=place.is_outbound, at_end=place.at_end)))


def _entry(name: str, key: str, place: Place) -> Alternatives:
    """Say an entry of a map."""
    if name == ("source.labels" if place.is_outbound else "destination.labels"):
        return always(Fixed(place.labels[key])) if key in place.labels else NOTHING
    if name == "source.labels":
        return peers.label(key, place)
    if name == "destination.labels":
        return operands.of_callee(f'destination.labels["{key}"]')
    if name == "response.headers" and place.at_end:
        found = Attribute("response.headers")
        there = Says(Call("in", (operands.string(key), found)))
        return (Alternative(Spoken(Index(found, operands.string(key))), there=there),)
    if name == "request.headers":
        return operands.of_header(key) if place.is_http and key == key.lower() else NOTHING
    if name in place.absent:
        return NOTHING
    raise Unsayable(f"a proxy has no {name}")


_FIXED: Final[Mapping[str, Callable[[str], Scalar]]] = {
    "ip": ip_address,
    "timestamp": datetime.fromisoformat,
    "dnsName": lambda text: text.removesuffix(".").lower(),
}


def _called(function: str, arguments: tuple[Node, ...], receiver: Node | None, place: Place) -> Alternatives:
    if function in _FIXED and len(arguments) == 1 and isinstance(arguments[0], Constant):
        return always(Fixed(_FIXED[function](str(arguments[0].value))))
    parts = (*arguments, *(() if receiver is None else (receiver,)))
    if function in VALUES:
        return _computed(function, arguments, receiver, place)
    if is_condition(function):
        yes = holds(Call(function, arguments, receiver), place)
        return (Alternative(Fixed(value=True), yes), Alternative(Fixed(value=False), negated(yes)))
    raise Unsayable(f"a proxy does not evaluate {function}() of {len(parts)}")


VALUES: Final = {"+": "+", "-": "-", "*": "*", "/": "/", "%": "%", "size": "size", "toLower": "lowerAscii"}
_METHODS: Final = {"lowerAscii"}


def _computed(function: str, arguments: tuple[Node, ...], receiver: Node | None, place: Place) -> Alternatives:
    """Compute by an expression of Envoy's, wherever all that goes into it is there."""
    found = []
    for chosen in product(*(operand(one, place) for one in with_receiver(arguments, receiver))):
        said = tuple(spoken(one.operand) for one in chosen)
        name = VALUES[function]
        made = Call(name, (), said[0]) if name in _METHODS else Call(name, said)
        found.append(Alternative(Spoken(made), all_of(one.known for one in chosen)))
    return tuple(found)
