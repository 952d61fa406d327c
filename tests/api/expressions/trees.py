"""Random trees of expressions, for properties of parsers and printers."""

from datetime import timedelta

from hypothesis import strategies as st

from lateen.api.expressions import cexl
from lateen.api.expressions.tree import Attribute, Call, Constant, ConstantKind, Index, ListOf, MapOf, Node, Select

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=8)
NAMES = st.sampled_from(["a", "source.ip", "request.headers", "x_1.y2.z"])
FUNCTIONS = st.sampled_from(["ip", "size", "startsWith", "foo"])
NUMBERS = st.integers(0, 2**63 - 1) | st.floats(0, 1e300)

_common = st.one_of(
    st.builds(Attribute, NAMES),
    st.builds(lambda value: Constant(ConstantKind.BOOL, value), st.booleans()),
    st.builds(lambda value: Constant(ConstantKind.INT, value), st.integers(0, 2**63 - 1)),
    st.builds(lambda value: Constant(ConstantKind.FLOAT, value), st.floats(0, 1e300)),
)


def _operators(inner: st.SearchStrategy[Node], signs: list[str], chained: list[str]) -> st.SearchStrategy[Node]:
    return st.one_of(
        st.builds(lambda sign, one, two: Call(sign, (one, two)), st.sampled_from(signs), inner, inner),
        st.builds(
            lambda sign, parts: Call(sign, tuple(parts)),
            st.sampled_from(chained),
            st.lists(inner, min_size=2, max_size=4),
        ),
    )


def _calls(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    arguments = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Call, FUNCTIONS, arguments),
        st.builds(Call, FUNCTIONS, arguments, inner),
        st.builds(lambda subject, pattern: Call("matches", (pattern,), subject), inner, inner),
        st.builds(Index, inner, inner),
        st.builds(lambda parts: Call("conditional", tuple(parts)), st.lists(inner, min_size=3, max_size=3)),
    )


def _cexl(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    comparisons = ["==", "!=", "<", "<=", ">", ">=", "+"]
    return st.one_of(_operators(inner, comparisons, ["&&", "||", "|"]), _calls(inner))


CEXL = st.recursive(
    _common
    | st.builds(cexl.text_constant, TEXTS)
    | st.builds(
        lambda seconds: Constant(ConstantKind.DURATION, timedelta(seconds=seconds), f"{seconds}s"),
        st.integers(0, 10_000),
    ),
    _cexl,
    max_leaves=12,
)
"""Trees that Mixer's language can say."""


def _cel(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    signs = ["==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%"]
    return st.one_of(
        _operators(inner, signs, ["&&", "||"]),
        _calls(inner),
        st.builds(lambda operand: Call("!", (operand,)), inner),
        st.builds(lambda operand: Call("-", (operand,)), st.builds(Attribute, NAMES)),
        st.builds(Select, st.builds(Index, inner, inner), st.sampled_from(["b", "namespace"])),
        st.builds(lambda items: ListOf(tuple(items)), st.lists(inner, max_size=3)),
        st.builds(lambda entries: MapOf(tuple(entries)), st.lists(st.tuples(inner, inner), max_size=2)),
    )


CEL = st.recursive(
    _common
    | st.builds(lambda text: Constant(ConstantKind.STRING, text), TEXTS)
    | st.builds(lambda value: Constant(ConstantKind.UINT, value), st.integers(0, 2**64 - 1))
    | st.builds(lambda value: Constant(ConstantKind.INT, -value), st.integers(1, 2**63 - 1))
    | st.builds(lambda value: Constant(ConstantKind.BYTES, value), st.binary(max_size=6))
    | st.just(Constant(ConstantKind.NULL, None)),
    _cel,
    max_leaves=12,
)
"""Trees that CEL can say."""
