"""CEL: text to tree and back, and what Envoy would not take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.api.expressions import cel
from lateen.api.expressions.faults import BadExpression
from lateen.api.expressions.tree import (
    Attribute,
    Call,
    Constant,
    ConstantKind,
    Index,
    ListOf,
    MapOf,
    Node,
    Select,
)
from tests.api.expressions.trees import CEL

A, B, C = Attribute("a"), Attribute("b"), Attribute("c")


def text(value: str) -> Constant:
    return Constant(ConstantKind.STRING, value)


def number(value: int) -> Constant:
    return Constant(ConstantKind.INT, value)


TREES: dict[str, Node] = {
    "a.namespace": Attribute("a.namespace"),
    "a['k'].b.c": Select(Select(Index(A, text("k")), "b"), "c"),
    "a ? b : c": Call("conditional", (A, B, C)),
    "a ? b : c ? a : b": Call("conditional", (A, B, Call("conditional", (C, A, B)))),
    "a || b || c && a": Call("||", (A, B, Call("&&", (C, A)))),
    "!a == b": Call("==", (Call("!", (A,)), B)),
    "-1": number(-1),
    "1 - -1": Call("-", (number(1), number(-1))),
    "-a": Call("-", (A,)),
    "a in [1, 2,]": Call("in", (A, ListOf((number(1), number(2))))),
    "{'a': 1}": MapOf(((text("a"), number(1)),)),
    "5u": Constant(ConstantKind.UINT, 5),
    "null": Constant(ConstantKind.NULL, None),
    "b'\\xff\\101\\n'": Constant(ConstantKind.BYTES, b"\xffA\n"),
    "r'\\d'": text(r"\d"),
    "'''it's'''": text("it's"),
    '"it\'s \\"so\\""': text('it\'s "so"'),
    "a.matches('x')": Call("matches", (text("x"),), A),
    "a // says a\n== b": Call("==", (A, B)),
    "a + b * c": Call("+", (A, Call("*", (B, C)))),
    "a - b - c": Call("-", (Call("-", (A, B)), C)),
    "has(a.b)": Call("has", (Attribute("a.b"),)),
}

REFUSED = {
    "": "must not be empty (at character 1)",
    "a.": "must have a name after the point, not the end (at character 3)",
    "a.in": "must have a name after the point, not in (at character 3)",
    "for": "must not use the reserved word for as a name (at character 1)",
    "a ? b": "must have : between the two values of a choice here, not the end (at character 6)",
    "a | b": "must not contain '|' (at character 3)",
    "[1": "must have , or ] here, not the end (at character 3)",
    "a &": "must not contain '&' (at character 3)",
}

FAULTS = {
    "request.path.matches('^/a') && response.code >= 500": [],
    "has(request.headers.x) ? request.headers['x'] : 'none'": [],
    "re.extract(request.path, '/(.*)', '\\\\1') == 'a'": [],
    "size(request.headers) > 3 && request.path.size() < 9": [],
    "timestamp('2020-01-01T00:00:00Z').getFullYear() == 2020": [],
    "type(request.size) == int": [],
    "true ? 1 : 2": [],
    "conditional(true, 1, 2)": [
        "must not call conditional(), which Envoy does not have: write condition ? a : b (at character 1)"
    ],
    "foo(1)": ["must not call foo(), which Envoy does not have (at character 1)"],
    "a.exists(x, x == 1)": ["must not loop: Envoy evaluates no exists() (at character 3)"],
    "a.startsWith()": ["must give startsWith() 1 argument (at character 3)"],
    "a.ip()": ["must not call ip(), which Envoy does not have (at character 3)"],
    "a.has()": ["must give has() a field, like has(request.headers) (at character 3)"],
    "has(a)": ["must give has() a field, like has(request.headers) (at character 1)"],
    "getHours(a)": ["must call getHours as a method of a value (at character 1)"],
    "a.int()": ["must call int as a function (at character 3)"],
    "string(a) + b.lowerAscii()": [
        "must not use string(): it needs string conversion, which Envoy has switched off (at character 1)",
        "must not use lowerAscii(): it needs string functions, which Envoy has switched off (at character 15)",
    ],
    "re.find(a)": ["must not call re.find(), which Envoy does not have (at character 4)"],
    "a ==": ["must have a value here, not the end (at character 5)"],
}


@pytest.mark.parametrize(("written", "tree"), TREES.items(), ids=list(TREES))
def test_a_text_becomes_its_tree(written: str, tree: Node) -> None:
    assert cel.parse(written) == tree


@pytest.mark.parametrize(("written", "message"), REFUSED.items(), ids=list(REFUSED))
def test_what_is_no_expression_is_refused_with_its_place(written: str, message: str) -> None:
    with pytest.raises(BadExpression) as refused:
        cel.parse(written)
    assert str(refused.value) == message


@pytest.mark.parametrize(("written", "faults"), FAULTS.items(), ids=list(FAULTS))
def test_what_envoy_would_not_take_is_told(written: str, faults: list[str]) -> None:
    assert [str(fault) for fault in cel.check(written)] == faults


@given(CEL)
def test_a_tree_survives_being_written_and_read(tree: Node) -> None:
    assert cel.parse(cel.render(tree)) == tree


@given(st.text(max_size=60) | st.text("abr.[](){}?:|&+-=\"'<>!1u \\", max_size=40))
def test_no_text_breaks_the_parser(written: str) -> None:
    try:
        tree = cel.parse(written)
    except BadExpression as bad:
        assert 0 <= bad.fault.position <= len(written)
        assert len(cel.check(written)) == 1
    else:
        assert cel.parse(cel.render(tree)) == tree
        cel.check(written)


@pytest.mark.parametrize(
    "written", ["(" * 5000, "!" * 3000 + "a", "[" * 3000, "a ? " * 2000, "a" + ".b[0]" * 3000, "-" * 3000]
)
def test_endless_texts_are_refused(written: str) -> None:
    with pytest.raises(BadExpression):
        cel.parse(written)


def test_mixers_pick_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="cannot be said in CEL"):
        cel.render(Call("|", (A, B)))
