"""CEL, as far as Envoy's runtime evaluates it: parsing, and checking texts that go to Envoy as they are.

Operators from loose to tight: `a ? b : c`, `||`, `&&`, comparisons and `in`, `+ -`, `* / %`, `! -` in front, then `.`,
`[]` and calls. Lists, maps, the macro `has`. Comprehensions (`all`, `exists`, `map`, …) are off in Envoy and are
refused here, and so are messages.
"""

import re
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from lateen.api.expressions import literals
from lateen.api.expressions.cel_functions import function_fault
from lateen.api.expressions.faults import BadExpression, ExpressionFault
from lateen.api.expressions.tokens import Reader, Token, TokenKind, check_depth, scan
from lateen.api.expressions.tree import (
    CHAINED,
    COMPARISONS,
    Attribute,
    Call,
    Constant,
    ConstantKind,
    Index,
    ListOf,
    MapOf,
    Node,
    Select,
    walk,
)

_LEXICON: Final = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
    | (?P<string>
        [bB]?[rR](?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"[^"\n]*"|'[^'\n]*')
        | [bB]?(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      )
    | (?P<name>[_a-zA-Z][_a-zA-Z0-9]*)
    | (?P<number>0[xX][0-9a-fA-F]+[uU]?(?!\w)|\d+[uU](?!\w)|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?(?!\w))
    | (?P<sign>\|\||&&|==|!=|<=|>=|[-+*/%!?:<>()\[\]{},.])
    """,
    re.VERBOSE | re.ASCII,
)
_RESERVED: Final = frozenset(
    (
        *("as", "break", "const", "continue", "else", "for", "function", "if", "import", "in", "let", "loop"),
        *("package", "namespace", "return", "var", "void", "while"),
    )
)
_NO_FIELDS: Final = frozenset({"true", "false", "null", "in"})
_LEVELS: Final = (("||",), ("&&",), (*COMPARISONS, "in"), ("+", "-"), ("*", "/", "%"))
_TIGHTEST: Final = len(_LEVELS)
_PREFIX: Final = ("!", "-")
_CONSTANTS: Final = MappingProxyType(
    {
        "true": (ConstantKind.BOOL, True),
        "false": (ConstantKind.BOOL, False),
        "null": (ConstantKind.NULL, None),
    }
)


@lru_cache(maxsize=8192)
def parse(text: str) -> Node:
    """Return the tree of an expression; raises `BadExpression`."""
    reader = Reader(scan(text, _LEXICON))
    if reader.is_done:
        raise BadExpression("must not be empty", 0)
    root = _choice(reader)
    if not reader.is_done:
        raise reader.unexpected("an operator or the end")
    return check_depth(root)


def check(text: str) -> list[ExpressionFault]:
    """List what is wrong with a text of CEL that is meant for Envoy: syntax, unknown functions, wrong counts of
    arguments. What its names are is not checked.
    """
    try:
        root = parse(text)
    except BadExpression as bad:
        return [bad.fault]
    return [
        ExpressionFault(fault, node.position)
        for node in walk(root)
        if isinstance(node, Call) and (fault := _fault(node, text))
    ]


def _fault(call: Call, text: str) -> str:
    if call.function == "conditional" and text[call.position] != "?":
        return "must not call conditional(), which Envoy does not have: write condition ? a : b"
    return function_fault(call)


def _choice(reader: Reader) -> Node:
    """Read a whole expression: `a ? b : c`, or what binds more tightly."""
    reader.enter()
    condition = _binary(reader, 0)
    if reader.is_sign("?"):
        position = reader.take().position
        chosen = _binary(reader, 0)
        reader.expect(":", "between the two values of a choice")
        condition = Call("conditional", (condition, chosen, _choice(reader)), position=position)
    reader.leave()
    return condition


def _binary(reader: Reader, level: int) -> Node:
    """Read operators of this precedence and of all that bind more tightly."""
    if level == _TIGHTEST:
        return _prefixed(reader)
    left = _binary(reader, level + 1)
    while _is_operator(reader, level):
        sign = reader.take()
        operands = [left, _binary(reader, level + 1)]
        while sign.text in CHAINED and reader.skip(sign.text):
            operands.append(_binary(reader, level + 1))
        left = Call(sign.text, tuple(operands), position=sign.position)
    return left


def _is_operator(reader: Reader, level: int) -> bool:
    token = reader.next
    return token.text in _LEVELS[level] and token.kind in (TokenKind.SIGN, TokenKind.NAME)


def _prefixed(reader: Reader) -> Node:
    if not reader.is_sign(*_PREFIX):
        return _member(reader)
    reader.enter()
    sign = reader.take()
    operand = _prefixed(reader)
    reader.leave()
    if sign.text == "-" and (negative := _negative(operand, sign.position)) is not None:
        return negative
    return Call(sign.text, (operand,), position=sign.position)


def _negative(operand: Node, position: int) -> Constant | None:
    """Return a number with the minus that stands in front of it; None for anything else."""
    if isinstance(operand, Constant) and operand.kind in (ConstantKind.INT, ConstantKind.FLOAT):
        value = operand.value
        if isinstance(value, int | float) and value >= 0:
            return Constant(operand.kind, -value, position=position)
    return None


def _member(reader: Reader) -> Node:
    """Read what stands alone, with the fields, indexes and methods behind it."""
    node = _single(reader)
    while reader.is_sign("[", "."):
        sign = reader.take()
        if sign.text == "[":
            node = Index(node, _choice(reader), position=sign.position)
            reader.expect("]", "after the key")
        else:
            node = _field(reader, node)
    return node


def _field(reader: Reader, operand: Node) -> Node:
    token = reader.take()
    if token.kind is not TokenKind.NAME or token.text in _NO_FIELDS:
        raise BadExpression(f"must have a name after the point, not {token}", token.position)
    if reader.is_sign("("):
        return Call(token.text, _arguments(reader), operand, position=token.position)
    if isinstance(operand, Attribute):
        return Attribute(f"{operand.name}.{token.text}", position=operand.position)
    return Select(operand, token.text, position=token.position)


def _single(reader: Reader) -> Node:
    token = reader.take()
    match token.kind, token.text:
        case TokenKind.NUMBER, _:
            return _number(token)
        case TokenKind.STRING, _:
            return _text(token)
        case TokenKind.NAME, _:
            return _named(reader, token)
        case TokenKind.SIGN, "(":
            node = _choice(reader)
            reader.expect(")", f"for the parenthesis at character {token.position + 1}")
            return node
        case TokenKind.SIGN, "[":
            return ListOf(_items(reader, "]"), position=token.position)
        case TokenKind.SIGN, "{":
            return MapOf(_entries(reader), position=token.position)
        case _:
            raise BadExpression(f"must have a value here, not {token}", token.position)


def _named(reader: Reader, token: Token) -> Node:
    if token.text in _CONSTANTS:
        kind, value = _CONSTANTS[token.text]
        return Constant(kind, value, position=token.position)
    if token.text in _RESERVED:
        raise BadExpression(f"must not use the reserved word {token.text} as a name", token.position)
    if reader.is_sign("("):
        return Call(token.text, _arguments(reader), position=token.position)
    return Attribute(token.text, position=token.position)


def _arguments(reader: Reader) -> tuple[Node, ...]:
    reader.expect("(", "before the arguments")
    return _items(reader, ")")


def _items(reader: Reader, end: str) -> tuple[Node, ...]:
    """Read values with commas between them up to the end; a list may have a comma behind its last item."""
    items: list[Node] = []
    while not reader.skip(end):
        if items:
            reader.expect(",", f"or {end}")
            if end == "]" and reader.skip(end):
                break
        items.append(_choice(reader))
    return tuple(items)


def _entries(reader: Reader) -> tuple[tuple[Node, Node], ...]:
    entries: list[tuple[Node, Node]] = []
    while not reader.skip("}"):
        if entries:
            reader.expect(",", "or }")
            if reader.skip("}"):
                break
        key = _choice(reader)
        reader.expect(":", "after the key")
        entries.append((key, _choice(reader)))
    return tuple(entries)


def _number(token: Token) -> Constant:
    text = token.text
    if text[-1] in "uU" and not text.isalpha():
        value = literals.whole_number(text[:-1], token.position)
        return Constant(ConstantKind.UINT, value, position=token.position)
    if text.isdigit() or text[:2] in ("0x", "0X"):
        value = literals.whole_number(text, token.position, bits=63)
        return Constant(ConstantKind.INT, value, position=token.position)
    return Constant(ConstantKind.FLOAT, literals.finite(text, token.position), position=token.position)


def _text(token: Token) -> Constant:
    prefix = token.text[: min(token.text.find(quote) % len(token.text) for quote in "\"'" if quote in token.text)]
    body = token.text[len(prefix) :]
    width = 3 if body[:3] in ('"""', "'''") and len(body) >= 6 else 1
    text = body[width:-width]
    is_raw, is_bytes = "r" in prefix.lower(), "b" in prefix.lower()
    if is_bytes:
        content = text.encode(errors="surrogatepass") if is_raw else literals.unescape_bytes(text, token.position)
        return Constant(ConstantKind.BYTES, content, position=token.position)
    return Constant(
        ConstantKind.STRING, text if is_raw else literals.unescape(text, token.position), position=token.position
    )


def render(node: Node) -> str:
    """Return the text of a tree; parsing it gives an equal tree. Only for trees that CEL can say: no `|`."""
    return _rendered(node, -1)


def _rendered(node: Node, level: int) -> str:
    """Return the text, in parentheses where an operator is looser than the level asks for; -1 is a choice's."""
    match node:
        case Constant():
            return _constant_text(node, level)
        case Attribute(name=name):
            return name
        case Select(operand=operand, name=name):
            return f"{_rendered(operand, _TIGHTEST + 1)}.{name}"
        case Index(operand=operand, key=key):
            return f"{_rendered(operand, _TIGHTEST + 1)}[{render(key)}]"
        case ListOf(items=items):
            return f"[{', '.join(map(render, items))}]"
        case MapOf(entries=entries):
            return "{" + ", ".join(f"{render(key)}: {render(value)}" for key, value in entries) + "}"
        case Call():
            return _call_text(node, level)


def _call_text(call: Call, level: int) -> str:
    operands = call.arguments
    if call.function == "conditional" and call.receiver is None and len(operands) == 3:
        text = f"{_rendered(operands[0], 0)} ? {_rendered(operands[1], 0)} : {render(operands[2])}"
        return f"({text})" if level > -1 else text
    own = next((at for at, signs in enumerate(_LEVELS) if call.function in signs), None)
    if own is not None and len(operands) > 1 and call.receiver is None:
        return _operation(call.function, operands, own, level)
    if call.function in _PREFIX and len(operands) == 1:
        text = call.function + _rendered(operands[0], _TIGHTEST)
        return f"({text})" if level > _TIGHTEST else text
    if not call.function.isidentifier():
        raise ValueError(f"{call.function} cannot be said in CEL")
    listed = ", ".join(map(render, operands))
    if call.receiver is None:
        return f"{call.function}({listed})"
    return f"{_rendered(call.receiver, _TIGHTEST + 1)}.{call.function}({listed})"


def _operation(sign: str, operands: tuple[Node, ...], own: int, level: int) -> str:
    first, *others = operands
    is_same = isinstance(first, Call) and first.function == sign and sign in CHAINED
    parts = [_rendered(first, own + 1 if is_same else own), *(_rendered(other, own + 1) for other in others)]
    text = f" {sign} ".join(parts)
    return f"({text})" if level > own else text


def _constant_text(constant: Constant, level: int) -> str:
    value = constant.value
    match constant.kind, value:
        case ConstantKind.NULL, _:
            return "null"
        case ConstantKind.BOOL, _:
            return "true" if value else "false"
        case ConstantKind.UINT, int():
            return f"{value}u"
        case ConstantKind.BYTES, bytes():
            return 'b"' + "".join(f"\\x{byte:02x}" for byte in value) + '"'
        case ConstantKind.STRING, str():
            return literals.quoted(value)
        case ConstantKind.INT | ConstantKind.FLOAT, int() | float():
            text = literals.float_text(value) if isinstance(value, float) else str(value)
            return f"({text})" if text.startswith("-") and level > _TIGHTEST else text
    raise ValueError(f"a constant of the kind {constant.kind} cannot be said in CEL")
