"""Reads PromQL, as far as two readings of a mesh can answer it.

expression  = operand {operator operand}            + - * / % ^  and comparisons, with PromQL's precedence
operand     = number | selector | "(" expression ")" | "-" operand
            | ("rate" | "irate" | "increase") "(" selector "[" duration "]" ")"
            | "histogram_quantile" "(" expression "," expression ")"
            | ("sum" | "avg" | "min" | "max" | "count") [grouping] "(" expression ")" [grouping]
grouping    = ("by" | "without") "(" labels ")"
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from lateen.errors import LateenError
from lateen.telemetry.query_tree import (
    Aggregation,
    Expression,
    Growth,
    Matcher,
    MatchOperator,
    Number,
    Operation,
    Quantile,
    Selector,
)

LONGEST: Final = 10_000
_DEEPEST: Final = 50
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+(?![a-zA-Z0-9_]))
    |(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![a-zA-Z0-9_.]))
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^(){}\[\],<>=])""",
    re.VERBOSE,
)
_DURATION: Final = re.compile(r"([0-9]+)(ms|[smhdwy])")
_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_AGGREGATIONS: Final = frozenset({"sum", "avg", "min", "max", "count"})
_GROWTHS: Final = {"rate": True, "irate": True, "increase": False}
_QUANTILE: Final = "histogram_quantile"
_GROUPINGS: Final = ("by", "without")
_STRENGTH: Final = {
    "==": 1, "!=": 1, ">": 1, "<": 1, ">=": 1, "<=": 1, "+": 2, "-": 2, "*": 3, "/": 3, "%": 3, "^": 4,
}  # fmt: skip
_UNKNOWN_WORDS: Final = frozenset(
    {"and", "or", "unless", "offset", "bool", "on", "ignoring", "group_left", "group_right"}
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_CAN: Final = "there are rate, increase, histogram_quantile, sum, avg, min, max and count"


class BadQuery(LateenError):
    """A query that cannot be read, or asks for what is not there; says where."""

    def __init__(self, message: str, query: str, position: int) -> None:
        super().__init__(message)
        self.query = query
        self.position = position


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


def parse(query: str) -> Expression:
    """Read a query; raises `BadQuery`."""
    if len(query) > LONGEST:
        raise BadQuery(f"the query is longer than {LONGEST} letters", query[:80], 0)
    reader = _Reader(query, _tokens(query))
    found = reader.expression(0)
    reader.end()
    return found


def _tokens(query: str) -> list[_Token]:
    tokens, position = [], 0
    while position < len(query):
        found = _TOKEN.match(query, position)
        if found is None:
            raise BadQuery(f"{query[position : position + 10]!r} is nothing that a query can have", query, position)
        kind = str(found.lastgroup)
        if kind != "space":
            tokens.append(_Token(kind, found[0], position))
        position = found.end()
    return [*tokens, _Token("end", "", len(query))]


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, query: str, tokens: Sequence[_Token]) -> None:
        self._query = query
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def expression(self, weakest: int) -> Expression:
        """Read operands joined by operators that bind at least as strongly as this."""
        self._depth += 1
        if self._depth > _DEEPEST:
            self._fail("the query is nested too deeply")
        left = self._operand()
        while (strength := _STRENGTH.get(self._next.text, 0)) > weakest and self._next.kind == "sign":
            operator = self._take().text
            # powers group to the right, all others to the left
            left = Operation(operator, left, self.expression(strength - 1 if operator == "^" else strength))
        self._depth -= 1
        return left

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self._next.kind != "end":
            self._fail(f"{self._next.text!r} is not expected here")

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        self._at += 1
        return token

    def _operand(self) -> Expression:
        token = self._next
        if token.kind == "number":
            return Number(float(self._take().text))
        if token.text == "(":
            self._take()
            inner = self.expression(0)
            self._expect(")")
            return inner
        if token.kind == "sign" and token.text in ("-", "+"):
            self._take()
            operand = self.expression(_STRENGTH["*"])
            return Operation("*", Number(-1.0), operand) if token.text == "-" else operand
        if token.kind == "name" or token.text == "{":
            return self._named()
        self._fail(f"{token.text!r} is not expected here" if token.text else "the query ends too early")

    def _named(self) -> Expression:
        word = self._next.text
        follower = self._tokens[self._at + 1] if self._next.kind == "name" else self._next
        if word in _AGGREGATIONS and (follower.text == "(" or follower.text in _GROUPINGS):
            return self._aggregation()
        if follower.text == "(" and self._next.kind == "name":
            if word in _GROWTHS:
                return self._growth()
            if word == _QUANTILE:
                return self._quantile()
            self._fail(f"the function {word} is not known here; {_CAN}")
        selector = self._selector()
        if selector.range_seconds:
            self._fail("a range such as [1m] only stands inside rate() or increase()")
        return selector

    def _growth(self) -> Growth:
        function = self._take().text
        self._expect("(")
        start = self._next
        selector = self._selector()
        if not selector.range_seconds:
            self._fail(f"{function}() needs a range, such as {selector.name or 'metric'}[1m]", start)
        self._expect(")")
        return Growth(selector, per_second=_GROWTHS[function])

    def _quantile(self) -> Quantile:
        self._take()
        self._expect("(")
        share = self.expression(0)
        self._expect(",")
        of = self.expression(0)
        self._expect(")")
        return Quantile(share, of)

    def _aggregation(self) -> Aggregation:
        operator = self._take().text
        grouping = self._grouping()
        self._expect("(")
        of = self.expression(0)
        self._expect(")")
        word, labels = grouping or self._grouping() or ("by", ())
        return Aggregation(operator, of, labels, word == "without")

    def _grouping(self) -> tuple[str, tuple[str, ...]] | None:
        if self._next.text not in _GROUPINGS:
            return None
        word = self._take().text
        self._expect("(")
        labels: list[str] = []
        while self._next.text != ")":
            labels.append(self._expect_kind("name", "a label"))
            if self._next.text != ")":
                self._expect(",")
        self._take()
        return word, tuple(labels)

    def _selector(self) -> Selector:
        name, matchers = "", list[Matcher]()
        start = self._next
        if start.kind == "name":
            if start.text in _UNKNOWN_WORDS:
                self._fail(f"{start.text!r} is not known here")
            name = self._take().text
        if self._next.text == "{":
            self._take()
            while self._next.text != "}":
                matchers.append(self._matcher())
                if self._next.text != "}":
                    self._expect(",")
            self._take()
        if not name and not matchers:
            self._fail("a selector needs a name or a condition", start)
        return Selector(name, tuple(matchers), self._range())

    def _matcher(self) -> Matcher:
        label = self._expect_kind("name", "a label")
        sign = self._take()
        operators = {operator.value: operator for operator in MatchOperator}
        if sign.text not in operators:
            self._fail(f"after label {label} one of = != =~ !~ is expected, not {sign.text!r}", sign)
        start = self._next
        value = _unquoted(self._expect_kind("string", "a text in quotes"))
        operator = operators[sign.text]
        if operator in (MatchOperator.MATCHES, MatchOperator.DIFFERS):
            try:
                re.compile(value)
            except re.error as error:
                self._fail(f"{value!r} is no regular expression: {error}", start)
        return Matcher(label, operator, value)

    def _range(self) -> float:
        if self._next.text != "[":
            return 0.0
        self._take()
        text = self._expect_kind("duration", "a duration such as 1m")
        self._expect("]")
        return sum(int(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))

    def _expect(self, text: str) -> None:
        if self._next.text != text:
            self._fail(f"{text!r} is expected here{self._instead()}")
        self._take()

    def _expect_kind(self, kind: str, wanted: str) -> str:
        if self._next.kind != kind:
            self._fail(f"{wanted} is expected here{self._instead()}")
        return self._take().text

    def _instead(self) -> str:
        return f", not {self._next.text!r}" if self._next.text else ""

    def _fail(self, message: str, token: _Token | None = None) -> NoReturn:
        raise BadQuery(message, self._query, (token or self._next).position)


def _unquoted(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1])
