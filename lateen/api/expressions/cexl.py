"""Mixer's own expression language: a part of Go's expressions, statically typed.

Names with dots, texts in `"…"` or backquotes (a text that reads as a duration is one), numbers, `true`, `false`,
`m["key"]`, `==` `!=` `<` `<=` `>` `>=` `&&` `||` `+`, functions and methods. `a | b` is the
first of them that is there.
As in Go `|` and `+` bind most tightly, then comparisons, then `&&`, then `||`; nothing negates.
"""

import re
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from lateen.api.expressions import literals
from lateen.api.expressions.faults import BadExpression
from lateen.api.expressions.tokens import Reader, Token, TokenKind, check_depth, scan
from lateen.api.expressions.tree import CHAINED, COMPARISONS, Attribute, Call, Constant, ConstantKind, Index, Node
from lateen.api.fields import format_duration, parse_duration

_LEXICON: Final = re.compile(
    r"""
    (?P<space>\s+)
    | (?P<name>[^\W\d]\w*)
    | (?P<number>0[xX][0-9a-fA-F]+(?!\w)|(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?(?!\w))
    | (?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    | (?P<sign>\|\||&&|==|!=|<=|>=|[|+<>()\[\],.])
    """,
    re.VERBOSE,
)
_STRANGERS: Final = (
    (re.compile(r"'"), 'must have texts in "double quotes" or backquotes'),
    (re.compile(r"!"), "must not negate: Mixer's language has no NOT; compare with != or == false"),
    (re.compile(r"-"), "must not contain a minus: Mixer's language has none"),
    (re.compile(r"\?"), "must use conditional(condition, a, b) for a choice"),
    (re.compile(r"="), "must compare with =="),
    (re.compile(r"&"), "must combine with &&"),
    (re.compile(r"[*/%]"), "must not calculate with anything but +"),
    (re.compile(r"\d"), "must have numbers apart from names"),
)
_PRECEDENCE: Final = (("||",), ("&&",), COMPARISONS, ("+", "|"))
_TIGHTEST: Final = len(_PRECEDENCE)
_CONSTANTS: Final = MappingProxyType({"true": True, "false": False})


@lru_cache(maxsize=8192)
def parse(text: str) -> Node:
    """Return the tree of an expression; raises `BadExpression`."""
    reader = Reader(_tokens(text))
    if reader.is_done:
        raise BadExpression("must not be empty", 0)
    root = _binary(reader, 0)
    if not reader.is_done:
        raise reader.unexpected("an operator or the end")
    return check_depth(root)


def _tokens(text: str) -> list[Token]:
    try:
        return scan(text, _LEXICON)
    except BadExpression as bad:
        for stranger, advice in _STRANGERS:
            if stranger.match(text, bad.fault.position):
                raise BadExpression(advice, bad.fault.position) from None
        raise


def _binary(reader: Reader, level: int) -> Node:
    """Read operators of this precedence and of all that bind more tightly."""
    if level == _TIGHTEST:
        return _member(reader)
    left = _binary(reader, level + 1)
    while reader.is_sign(*_PRECEDENCE[level]):
        sign = reader.take()
        operands = [left, _binary(reader, level + 1)]
        while sign.text in CHAINED and reader.skip(sign.text):
            operands.append(_binary(reader, level + 1))
        left = Call(sign.text, tuple(operands), position=sign.position)
    return left


def _member(reader: Reader) -> Node:
    """Read what stands alone, with the indexes and methods behind it."""
    node = _single(reader)
    while reader.is_sign("[", "."):
        sign = reader.take()
        if sign.text == "[":
            node = Index(node, _nested(reader), position=sign.position)
            reader.expect("]", "after the key")
        else:
            node = _method(reader, node)
    return node


def _method(reader: Reader, receiver: Node) -> Node:
    name = reader.take()
    if name.kind is not TokenKind.NAME:
        raise BadExpression(f"must have a name after the point, not {name}", name.position)
    if not reader.is_sign("("):
        raise BadExpression(f"must call {name.text} as a method, with parentheses", name.position)
    arguments = _arguments(reader)
    if name.text == "matches" and len(arguments) == 1:
        return Call("matches", (receiver,), arguments[0], position=name.position)
    return Call(name.text, arguments, receiver, position=name.position)


def _single(reader: Reader) -> Node:
    token = reader.take()
    if token.kind is TokenKind.NUMBER:
        return _number(token)
    if token.kind is TokenKind.STRING:
        return _text(token)
    if token.kind is TokenKind.NAME:
        return _named(reader, token)
    if token.text == "(":
        node = _nested(reader)
        reader.expect(")", f"for the parenthesis at character {token.position + 1}")
        return node
    raise BadExpression(f"must have a value here, not {token}", token.position)


def _nested(reader: Reader) -> Node:
    reader.enter()
    node = _binary(reader, 0)
    reader.leave()
    return node


def _named(reader: Reader, first: Token) -> Node:
    """Read a constant, the call of a function, or an attribute with the method that may be called on it."""
    if first.text in _CONSTANTS:
        return Constant(ConstantKind.BOOL, _CONSTANTS[first.text], position=first.position)
    if reader.is_sign("("):
        return Call(first.text, _arguments(reader), position=first.position)
    name = first.text
    while reader.skip("."):
        part = reader.next
        if part.kind is not TokenKind.NAME:
            raise reader.unexpected("a name after the point")
        attribute = Attribute(name, position=first.position)
        if reader.is_call():
            return _method(reader, attribute)
        reader.take()
        name = f"{name}.{part.text}"
    return Attribute(name, position=first.position)


def _arguments(reader: Reader) -> tuple[Node, ...]:
    reader.expect("(", "before the arguments")
    arguments: list[Node] = []
    while not reader.skip(")"):
        if arguments:
            reader.expect(",", "or ) after an argument")
        arguments.append(_nested(reader))
    return tuple(arguments)


def _number(token: Token) -> Constant:
    if token.text.isdigit() or token.text[:2] in ("0x", "0X"):
        value = literals.whole_number(token.text, token.position, bits=63)
        return Constant(ConstantKind.INT, value, position=token.position)
    return Constant(ConstantKind.FLOAT, literals.finite(token.text, token.position), position=token.position)


def _text(token: Token) -> Constant:
    raw = token.text[0] == "`"
    text = token.text[1:-1] if raw else literals.unescape(token.text[1:-1], token.position)
    return text_constant(text, token.position)


def text_constant(text: str, position: int = 0) -> Constant:
    """Return what a text in quotes is: a duration if it reads as one, else a string."""
    try:
        duration = parse_duration(text)
    except ValueError:
        return Constant(ConstantKind.STRING, text, position=position)
    return Constant(ConstantKind.DURATION, duration, text, position=position)


def render(node: Node) -> str:
    """Return the text of a tree; parsing it gives an equal tree. Only for trees that this language can say."""
    return _rendered(node, 0)


def _rendered(node: Node, level: int) -> str:
    match node:
        case Constant():
            return _constant_text(node)
        case Attribute(name=name):
            return name
        case Index(operand=operand, key=key):
            return f"{_rendered(operand, _TIGHTEST)}[{render(key)}]"
        case Call(function="matches", receiver=subject, arguments=(pattern,)) if subject is not None:
            return f"{_rendered(pattern, _TIGHTEST)}.matches({render(subject)})"
        case Call(function=function, receiver=receiver, arguments=arguments) if function.isidentifier():
            listed = ", ".join(map(render, arguments))
            return f"{_rendered(receiver, _TIGHTEST)}.{function}({listed})" if receiver else f"{function}({listed})"
        case Call(function=sign, arguments=operands):
            own = next((at for at, signs in enumerate(_PRECEDENCE) if sign in signs), None)
            if own is not None and len(operands) > 1:
                return _operation(sign, operands, own, level)
    raise ValueError(f"{type(node).__name__} cannot be said in Mixer's language: {node}")


def _operation(sign: str, operands: tuple[Node, ...], own: int, level: int) -> str:
    """Put an operator between its operands; only the first may have the same precedence without parentheses."""
    first, *others = operands
    is_same = isinstance(first, Call) and first.function == sign and sign in CHAINED
    parts = [_rendered(first, own + 1 if is_same else own), *(_rendered(other, own + 1) for other in others)]
    text = f" {sign} ".join(parts)
    return f"({text})" if level > own else text


def _constant_text(constant: Constant) -> str:
    match constant.value:
        case bool():
            return "true" if constant.value else "false"
        case str():
            return literals.quoted(constant.value)
        case timedelta():
            return literals.quoted(constant.text or format_duration(constant.value))
        case float():
            return literals.float_text(constant.value)
        case int() if constant.kind is ConstantKind.INT:
            return str(constant.value)
    raise ValueError(f"a constant of the kind {constant.kind} cannot be said in Mixer's language")
