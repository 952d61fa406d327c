"""Comparisons of values that are known to be there: by Envoy itself where it has one, else by an expression."""

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from lateen.api.expressions.tree import Call, Constant, Node
from lateen.mixer import operands, peers
from lateen.mixer.operands import (
    Address,
    Fixed,
    Header,
    Known,
    Operand,
    Peer,
    PeerFact,
    Scalar,
    Spoken,
    Unsayable,
    UrlPath,
    spoken,
)
from lateen.plan.conditions import (
    ALWAYS,
    NEVER,
    AddressIn,
    Condition,
    HeaderFits,
    PathFits,
    Says,
    any_of,
)
from lateen.plan.types import MatchKind, TextMatch

ORDER: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def equal(left: Operand, right: Operand) -> Condition:
    """Say when two values are equal, natively where the right one is fixed."""
    if not isinstance(right, Fixed) or isinstance(left, Spoken):
        return Says(Call("==", (spoken(left), spoken(right))))
    match left:
        case Fixed(value):
            return ALWAYS if same(value, right.value) else NEVER
        case Address(forwarded):
            return _at(right.value, forwarded=forwarded)
        case _:
            return fits(left, TextMatch(MatchKind.EXACT, str(right.value)))


def same(left: Scalar, right: Scalar) -> bool:
    """Tell whether two fixed values are equal; an address may be written as text."""
    addresses = IPv4Address | IPv6Address
    if isinstance(left, addresses) != isinstance(right, addresses):
        return address_of(left) == address_of(right) is not None
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def address_of(value: Scalar) -> IPv4Address | IPv6Address | None:
    """Read an address; None for what is none."""
    try:
        return ip_address(value) if isinstance(value, str | IPv4Address | IPv6Address) else None
    except ValueError:
        return None


def _at(value: Scalar, *, forwarded: bool) -> Condition:
    address = address_of(value)
    return NEVER if address is None else AddressIn(f"{address}/{address.max_prefixlen}", forwarded)


def fits(value: Operand, text: TextMatch) -> Condition:
    """Say a comparison of a text; one that begins or ends with nothing always fits."""
    if text.kind in (MatchKind.PREFIX, MatchKind.SUFFIX) and not text.value:
        return ALWAYS
    match value:
        case Header(name):
            return HeaderFits(name, text)
        case UrlPath():
            return PathFits(text)
        case Peer(part):
            return peers.fits(part, text.kind, text.value)
        case PeerFact(fact):
            return peers.fact_fits(fact, text)
        case Known(values=values):
            return any_of(callers for value, callers in values if _fixed_fits(value, text))
        case Fixed(known):
            return ALWAYS if _fixed_fits(str(known), text) else NEVER
        case _:
            return Says(_spoken_test(spoken(value), text))


def _fixed_fits(value: str, text: TextMatch) -> bool:
    match text.kind:
        case MatchKind.PREFIX:
            return value.startswith(text.value)
        case MatchKind.SUFFIX:
            return value.endswith(text.value)
        case MatchKind.REGEX:
            raise Unsayable("the text that the expression looks at is fixed, and expressions are Envoy's to match")
        case _:
            return value == text.value


def _spoken_test(value: Node, text: TextMatch) -> Node:
    names = {MatchKind.PREFIX: "startsWith", MatchKind.SUFFIX: "endsWith", MatchKind.REGEX: "matches"}
    argument = operands.string(text.value)
    return Call(names[text.kind], (argument,), value) if text.kind in names else Call("==", (value, argument))


def found_anywhere(expression: str) -> TextMatch:
    """Say that a regular expression fits a part of a text; Envoy's must fit the whole."""
    return TextMatch(MatchKind.REGEX, f"(?s:.*)(?:{expression})(?s:.*)")


def pattern(test: str, written: Node) -> TextMatch:
    """Say what a test of a text asks for; raises `Unsayable` where that is not fixed."""
    if not isinstance(written, Constant):
        raise Unsayable(f"{test}() has a pattern that is not fixed")
    text = str(written.text or written.value)
    if test == "match":
        if text.endswith("*"):
            return TextMatch(MatchKind.PREFIX, text[:-1])
        return TextMatch(MatchKind.SUFFIX, text[1:]) if text.startswith("*") else TextMatch(MatchKind.EXACT, text)
    if test == "contains":
        return TextMatch(MatchKind.REGEX, f"(?s:.*){re.escape(text)}(?s:.*)")
    if test == "matches":
        return found_anywhere(text)
    return TextMatch(MatchKind.PREFIX if test == "startsWith" else MatchKind.SUFFIX, text)


def is_ordered(sign: str, left: Scalar, right: Scalar) -> bool:
    """Tell whether two fixed values are in an order."""
    compare: Callable[..., bool] = ORDER[sign]
    return compare(left, right)
