"""Mixer's language: text to tree and back, and what is said about what it is not."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.api.expressions import cexl
from lateen.api.expressions.faults import BadExpression
from lateen.api.expressions.tokens import MAX_DEPTH, MAX_LENGTH
from lateen.api.expressions.tree import Attribute, Call, Constant, ConstantKind, Index, Node, attribute_names
from tests.api.expressions.trees import CEXL

A, B, C = Attribute("a"), Attribute("b"), Attribute("c")


def text(value: str) -> Constant:
    return Constant(ConstantKind.STRING, value)


TREES: dict[str, Node] = {
    "a": A,
    "a.b.c": Attribute("a.b.c"),
    '"x"': text("x"),
    r'"a\n\"\x41é"': text('a\n"Aé'),
    r"`raw \n`": text(r"raw \n"),
    "12": Constant(ConstantKind.INT, 12),
    "0x1f": Constant(ConstantKind.INT, 31),
    "1.5e3": Constant(ConstantKind.FLOAT, 1500.0),
    "true": Constant(ConstantKind.BOOL, True),
    '"10ms"': Constant(ConstantKind.DURATION, timedelta(milliseconds=10), "10ms"),
    '"0"': Constant(ConstantKind.DURATION, timedelta(), "0"),
    'a["k"]': Index(A, text("k")),
    "a == b": Call("==", (A, B)),
    "a || b && c": Call("||", (A, Call("&&", (B, C)))),
    "a | b == c": Call("==", (Call("|", (A, B)), C)),
    "a | b | c": Call("|", (A, B, C)),
    "a + b | c": Call("|", (Call("+", (A, B)), C)),
    "(a || b) || c": Call("||", (Call("||", (A, B)), C)),
    "a || b\n  || c": Call("||", (A, B, C)),
    "ip(a)": Call("ip", (A,)),
    "a.b.startsWith(c)": Call("startsWith", (C,), Attribute("a.b")),
    '"x".matches(a)': Call("matches", (text("x"),), A),
    'match(a, "x*")': Call("match", (A, text("x*"))),
    "emptyStringMap()": Call("emptyStringMap", ()),
    'a["k"].startsWith("x")': Call("startsWith", (text("x"),), Index(A, text("k"))),
}

REFUSED = {
    "": "must not be empty (at character 1)",
    "a ==": "must have a value here, not the end (at character 5)",
    "a b": "must have an operator or the end here, not b (at character 3)",
    "(a": "must have ) for the parenthesis at character 1 here, not the end (at character 3)",
    "!a": "must not negate: Mixer's language has no NOT; compare with != or == false (at character 1)",
    "-1": "must not contain a minus: Mixer's language has none (at character 1)",
    "a ? b : c": "must use conditional(condition, a, b) for a choice (at character 3)",
    "'x'": 'must have texts in "double quotes" or backquotes (at character 1)',
    "a = b": "must compare with == (at character 3)",
    "a & b": "must combine with && (at character 3)",
    "a * b": "must not calculate with anything but + (at character 3)",
    '"x': 'must have an end to the text that " begins, with known escapes only (at character 1)',
    '"\\q"': "must not contain the escape \\q (at character 1)",
    "a.": "must have a name after the point here, not the end (at character 3)",
    'a["x"].b': "must call b as a method, with parentheses (at character 8)",
    "99999999999999999999": f"must be a whole number below {2**63} (at character 1)",
    "1e999": "must be a finite number (at character 1)",
}


@pytest.mark.parametrize(("written", "tree"), TREES.items(), ids=list(TREES))
def test_a_text_becomes_its_tree(written: str, tree: Node) -> None:
    assert cexl.parse(written) == tree


@pytest.mark.parametrize(("written", "message"), REFUSED.items(), ids=list(REFUSED))
def test_what_is_no_expression_is_refused_with_its_place(written: str, message: str) -> None:
    with pytest.raises(BadExpression) as refused:
        cexl.parse(written)
    assert str(refused.value) == message


@given(CEXL)
def test_a_tree_survives_being_written_and_read(tree: Node) -> None:
    assert cexl.parse(cexl.render(tree)) == tree


@given(st.text(max_size=60) | st.text('ab.[]()|&+="`<>!1 \\', max_size=40))
def test_no_text_breaks_the_parser(written: str) -> None:
    try:
        tree = cexl.parse(written)
    except BadExpression as bad:
        assert 0 <= bad.fault.position <= len(written)
    else:
        assert cexl.parse(cexl.render(tree)) == tree


@pytest.mark.parametrize(
    "written", ["(" * 5000, "a" + '["x"]' * 1000, "f(" * 3000 + "a", "a == " * 3000 + "a", "x" * MAX_LENGTH * 2]
)
def test_endless_texts_are_refused(written: str) -> None:
    with pytest.raises(BadExpression):
        cexl.parse(written)


def test_the_deepest_allowed_expression_is_read() -> None:
    written = "(" * (MAX_DEPTH - 1) + "a" + ")" * (MAX_DEPTH - 1)
    assert cexl.parse(written) == A


def test_positions_point_into_the_text() -> None:
    tree = cexl.parse('a.b ==  "x"')
    assert isinstance(tree, Call)
    assert (tree.position, [each.position for each in tree.arguments]) == (4, [0, 8])


def test_the_names_of_an_expression_are_found_once_and_in_order() -> None:
    assert attribute_names(cexl.parse('b.c["x"] == a && size(b.c["y"]) > d.e.reverse()')) == ("b.c", "a", "d.e")
