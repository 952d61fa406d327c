"""Expressions as syntax trees, which rules take. They are in Envoy's own attributes."""

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Final

from google.api.expr.v1alpha1 import syntax_pb2

from lateen.api.expressions.tree import Attribute, Call, Constant, Index, ListOf, MapOf, Node, Select

_OPERATORS: Final[Mapping[tuple[str, int], str]] = {
    ("!", 1): "!_",
    ("-", 1): "-_",
    ("in", 2): "@in",
    ("conditional", 3): "_?_:_",
    **{(sign, 2): f"_{sign}_" for sign in ("==", "!=", "<", "<=", ">", ">=", "&&", "||", "+", "-", "*", "/", "%")},
}


def syntax_tree(expression: Node) -> Any:
    """Say an expression as a tree; every node has a number of its own, as Envoy asks for."""
    return _node(expression, count(1))


def _node(expression: Node, numbers: Iterator[int]) -> Any:
    made = syntax_pb2.Expr(id=next(numbers))
    match expression:
        case Constant():
            made.const_expr.CopyFrom(_constant(expression))
        case Attribute(name):
            _write_path(made, name, numbers)
        case Select(operand, name):
            made.select_expr.operand.CopyFrom(_node(operand, numbers))
            made.select_expr.field = name
        case Index(operand, key):
            _write_call(made, "_[_]", (operand, key), numbers)
        case Call("has", (Attribute(path),)):
            _write_path(made, path, numbers)
            made.select_expr.test_only = True
        case Call(function, arguments, None) if len(arguments) > 2 and function in ("&&", "||"):
            return _node(Call(function, (Call(function, arguments[:-1]), arguments[-1])), numbers)
        case Call(function, arguments, receiver):
            _write_call(made, _OPERATORS.get((function, len(arguments)), function), arguments, numbers)
            if receiver is not None:
                made.call_expr.target.CopyFrom(_node(receiver, numbers))
        case ListOf(items):
            made.list_expr.elements.extend(_node(item, numbers) for item in items)
        case MapOf(entries):
            for key, value in entries:
                found = {"map_key": _node(key, numbers), "value": _node(value, numbers)}
                made.struct_expr.entries.add(id=next(numbers), **found)
    return made


def _write_path(made: Any, path: str, numbers: Iterator[int]) -> None:
    operand, _, name = path.rpartition(".")
    if not operand:
        made.ident_expr.name = name
        return
    inner = syntax_pb2.Expr(id=next(numbers))
    _write_path(inner, operand, numbers)
    made.select_expr.operand.CopyFrom(inner)
    made.select_expr.field = name


def _write_call(made: Any, function: str, arguments: tuple[Node, ...], numbers: Iterator[int]) -> None:
    made.call_expr.function = function
    made.call_expr.args.extend(_node(one, numbers) for one in arguments)


def _constant(constant: Constant) -> Any:
    fields = {"bool": "bool_value", "int": "int64_value", "uint": "uint64_value", "float": "double_value"}
    fields |= {"string": "string_value", "bytes": "bytes_value", "null": "null_value"}
    value = 0 if constant.value is None else constant.value
    return syntax_pb2.Constant(**{fields[constant.kind]: value})
