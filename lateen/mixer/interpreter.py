"""Typed expressions to functions over bags of attributes.

What is not there is `ABSENT`, and so is whatever is made of it. `a | b` is the first that is there. Comparisons and
tests of text are never absent: with an operand that is not there they are false, and `!=` is true, because what is not
there differs from everything. Where a condition is needed, an absent one counts as false. A proxy that has the same
rules compiled decides in the same way.
"""

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from lateen.api.expressions.tree import Attribute, Call, Constant, Index, ListOf, MapOf, Node, Select
from lateen.api.expressions.types import ValueType
from lateen.mixer import constructors, patterns
from lateen.mixer.manifests import AttributeTypes
from lateen.mixer.typing import Typed, type_of
from lateen.mixer.values import ABSENT, Absent, Bag, Value

Evaluate = Callable[[Bag], Value | Absent]
"""What an expression comes to in a bag."""

Holds = Callable[[Bag], bool]
"""Whether a condition holds in a bag."""

_ORDER: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}
)
_TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = MappingProxyType(
    {
        "startsWith": str.startswith,
        "endsWith": str.endswith,
        "contains": str.__contains__,
        "match": patterns.fits_glob,
        "matches": lambda text, pattern: patterns.is_found(pattern, text),
    }
)
_NORMAL: Final[Mapping[ValueType, Callable[[Any], Any]]] = MappingProxyType(
    {
        ValueType.DNS_NAME: constructors.normal_dns_name,
        ValueType.EMAIL_ADDRESS: constructors.normal_email,
        ValueType.URI: constructors.normal_uri,
        ValueType.IP_ADDRESS: constructors.plain_address,
    }
)
_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1


def evaluator(typed: Typed, types: AttributeTypes) -> Evaluate:
    """Return what evaluates an expression."""
    return _Compiler(types).value(typed.root)


def condition(typed: Typed, types: AttributeTypes) -> Holds:
    """Return what tells whether an expression of the type BOOL holds."""
    return _Compiler(types).holds(typed.root)


class _Compiler:
    """Turns nodes to functions; knows the types of attributes, for what is compared in a normal form."""

    def __init__(self, types: AttributeTypes) -> None:
        self._types = types

    def holds(self, node: Node) -> Holds:
        match node:
            case Call(function="&&" | "||" as sign, arguments=arguments):
                return _joined(sign, tuple(map(self.holds, arguments)))
            case Call(function="!", arguments=(operand,)):
                return _not(self.holds(operand))
            case Call(function=function) if function in _ORDER:
                return self._comparison(node)
            case Call(function=function) if function in _TESTS:
                return self._test(node)
            case Call(function="in", arguments=(item, container)):
                return self._membership(item, container)
            case Call(function="has", arguments=(operand,)):
                return _is_there(self.value(operand))
        return _is_true(self.value(node))

    def value(self, node: Node) -> Evaluate:
        match node:
            case Constant(value=value):
                return _constantly(value)  # type: ignore[arg-type]
            case Attribute(name=name):
                return _attribute(name)
            case Index(operand=Attribute(name=name), key=Constant(value=str() as key)):
                return _entry(name, key)
            case Index(operand=operand, key=key_node):
                return _entry_of(self.value(operand), self.value(key_node))
            case MapOf(entries=entries):
                return _map([(self.value(key), self.value(value)) for key, value in entries])
            case Call(function="|", arguments=arguments):
                return _first(tuple(map(self.value, arguments)))
            case Call(function="conditional", arguments=(test, chosen, other)):
                return _choice(self.holds(test), self.value(chosen), self.value(other))
            case Call(function=function) if function in _CONDITIONS:
                return self.holds(node)
            case Call(function=function, receiver=receiver, arguments=arguments):
                operands = arguments if receiver is None else (receiver, *arguments)
                return _applied(_FUNCTIONS[function], tuple(map(self.value, operands)))
            case Select() | ListOf():
                raise TypeError(f"{node} was not typed")
        raise TypeError(f"{node} is no expression")

    def _comparison(self, node: Call) -> Holds:
        compare, is_absent_true = _ORDER[node.function], node.function == "!="
        normal = _NORMAL.get(type_of(node.arguments[0], self._types))
        left, right = (self._normal(operand, normal) for operand in node.arguments)

        def holds(bag: Bag) -> bool:
            one, other = left(bag), right(bag)
            if one is ABSENT or other is ABSENT:
                return is_absent_true
            return bool(compare(one, other))

        return holds

    def _normal(self, node: Node, normal: Callable[[Any], Any] | None) -> Evaluate:
        value = self.value(node)
        return value if normal is None else _applied(normal, (value,))

    def _test(self, node: Call) -> Holds:
        test = _TESTS[node.function]
        subject, pattern = node.arguments if node.receiver is None else (node.receiver, node.arguments[0])
        left, right = self.value(subject), self.value(pattern)

        def holds(bag: Bag) -> bool:
            text, wanted = left(bag), right(bag)
            return isinstance(text, str) and isinstance(wanted, str) and test(text, wanted)

        return holds

    def _membership(self, item: Node, container: Node) -> Holds:
        if not isinstance(container, ListOf):
            return _is_key(self.value(item), self.value(container))
        normal = _NORMAL.get(type_of(item, self._types))
        wanted = self._normal(item, normal)
        listed = tuple(self._normal(each, normal) for each in container.items)

        def holds(bag: Bag) -> bool:
            value = wanted(bag)
            return value is not ABSENT and any(each(bag) == value for each in listed)

        return holds


def _joined(sign: str, operands: tuple[Holds, ...]) -> Holds:
    if sign == "&&":
        return lambda bag: all(operand(bag) for operand in operands)
    return lambda bag: any(operand(bag) for operand in operands)


def _not(operand: Holds) -> Holds:
    return lambda bag: not operand(bag)


def _is_true(value: Evaluate) -> Holds:
    return lambda bag: value(bag) is True


def _is_there(value: Evaluate) -> Holds:
    return lambda bag: value(bag) is not ABSENT


def _is_key(key: Evaluate, mapping: Evaluate) -> Holds:
    entry = _entry_of(mapping, key)
    return lambda bag: entry(bag) is not ABSENT


def _constantly(value: Value) -> Evaluate:
    return lambda _: value


def _attribute(name: str) -> Evaluate:
    return lambda bag: bag.get(name)


def _entry(name: str, key: str) -> Evaluate:
    return lambda bag: bag.entry(name, key)


def _entry_of(mapping: Evaluate, key: Evaluate) -> Evaluate:
    def evaluate(bag: Bag) -> Value | Absent:
        found, wanted = mapping(bag), key(bag)
        return found.get(wanted, ABSENT) if isinstance(found, Mapping) and isinstance(wanted, str) else ABSENT

    return evaluate


def _map(entries: list[tuple[Evaluate, Evaluate]]) -> Evaluate:
    def evaluate(bag: Bag) -> Value | Absent:
        made: dict[str, str] = {}
        for key_of, value_of in entries:
            key, value = key_of(bag), value_of(bag)
            if not isinstance(key, str) or not isinstance(value, str):
                return ABSENT
            made[key] = value
        return made

    return evaluate


def _first(operands: tuple[Evaluate, ...]) -> Evaluate:
    def evaluate(bag: Bag) -> Value | Absent:
        for operand in operands:
            if (value := operand(bag)) is not ABSENT:
                return value
        return ABSENT

    return evaluate


def _choice(test: Holds, chosen: Evaluate, other: Evaluate) -> Evaluate:
    return lambda bag: chosen(bag) if test(bag) else other(bag)


def _applied(function: Callable[..., Any], operands: tuple[Evaluate, ...]) -> Evaluate:
    """Return what applies a function to values; absent with an absent operand, or where the function has no result."""

    def evaluate(bag: Bag) -> Value | Absent:
        values = [operand(bag) for operand in operands]
        if ABSENT in values:
            return ABSENT
        try:
            return _within_bounds(function(*values))
        except (ValueError, ArithmeticError):
            return ABSENT

    return evaluate


def _within_bounds(value: Value) -> Value | Absent:
    """Return a value; absent where it is a whole number that does not fit 64 bits."""
    is_too_large = isinstance(value, int) and not _SMALLEST <= value <= _LARGEST
    return ABSENT if is_too_large else value


def _minus(left: Any, right: Any = None) -> Any:
    return -left if right is None else left - right


def _divided(left: Any, right: Any) -> Any:
    """Divide as CEL does: whole numbers towards zero, floats beyond all bounds."""
    if isinstance(left, float):
        return left / right if right else float("nan") if not left else float("inf") * (1 if left > 0 else -1)
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _rest(left: int, right: int) -> int:
    return left - right * int(_divided(left, right))


def _reversed(text: str) -> str:
    return text[::-1]


_CONDITIONS: Final = frozenset({"&&", "||", "!", "in", "has", *_ORDER, *_TESTS})
_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        "+": operator.add,
        "-": _minus,
        "*": operator.mul,
        "/": _divided,
        "%": _rest,
        "ip": constructors.address,
        "timestamp": constructors.time,
        "duration": constructors.duration,
        "dnsName": constructors.dns_name,
        "email": constructors.email,
        "uri": constructors.uri,
        "toLower": str.lower,
        "size": len,
        "reverse": _reversed,
        "emptyStringMap": dict,
        "double": float,
        "int": int,
    }
)
"""What is applied to values that are all there."""
