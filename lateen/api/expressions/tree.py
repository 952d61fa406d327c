"""The tree of an expression, the same for both languages.

Operators are calls by their sign: `Call("==", (left, right))`. `&&`, `||` and `|` have two or more arguments, all other
operators have two, `!` and `-` in front of something have one. `a ? b : c` and `conditional(a, b, c)` are both
`Call("conditional", (a, b, c))`. The receiver of `matches` is what is looked at and its argument the pattern, in both
languages.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final


class Language(StrEnum):
    """In which language an expression is written."""

    CEXL = "CEXL"
    CEL = "CEL"


class ConstantKind(StrEnum):
    """What a constant is; durations are of Mixer's language only, unsigned numbers, bytes and null of CEL only."""

    BOOL = "bool"
    INT = "int"
    UINT = "uint"
    FLOAT = "float"
    STRING = "string"
    BYTES = "bytes"
    DURATION = "duration"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the text itself holds; `text` is what a duration was written as, like `10ms`."""

    kind: ConstantKind
    value: bool | int | float | str | bytes | timedelta | None
    text: str = ""
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Attribute:
    """A name with dots, like `request.headers`; in CEL also a chain of fields that begins with a name."""

    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Select:
    """A field of something that is no plain name, like `.version` after `metadata['x']`; in CEL only."""

    operand: "Node"
    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Index:
    """The entry of a map, or of a list in CEL: `request.headers["x"]`."""

    operand: "Node"
    key: "Node"
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """An operator, a function, or with a receiver a method: `request.path.startsWith("/a")`."""

    function: str
    arguments: "tuple[Node, ...]"
    receiver: "Node | None" = None
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list in CEL: `["GET", "HEAD"]`."""

    items: "tuple[Node, ...]"
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map in CEL: `{"a": 1}`."""

    entries: "tuple[tuple[Node, Node], ...]"
    position: int = field(default=0, compare=False)


Node = Constant | Attribute | Select | Index | Call | ListOf | MapOf

CHAINED: Final = ("||", "&&", "|")
"""The operators that take two or more operands."""

COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")


def children(node: Node) -> tuple[Node, ...]:
    """Return what stands directly below a node, from left to right."""
    match node:
        case Select(operand=operand):
            return (operand,)
        case Index(operand=operand, key=key):
            return (operand, key)
        case Call(arguments=arguments, receiver=receiver):
            return arguments if receiver is None else (receiver, *arguments)
        case ListOf(items=items):
            return items
        case MapOf(entries=entries):
            return tuple(part for entry in entries for part in entry)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all nodes below it, from left to right."""
    yield node
    for child in children(node):
        yield from walk(child)


def attribute_names(node: Node) -> tuple[str, ...]:
    """Return the names that an expression reads, each once, in the order of their first use."""
    return tuple(dict.fromkeys(each.name for each in walk(node) if isinstance(each, Attribute)))
