"""Conditions as expressions, for whatever takes nothing else: filters of logs, limits, metrics."""

import re
from typing import Final

from lateen.api.expressions.tree import Attribute, Call, Constant, ConstantKind, Index, Node
from lateen.names import peer_pattern
from lateen.plan.conditions import AddressIn, AllOf, AnyOf, Condition, HeaderFits, Not, PathFits, PeerFits, PeerIs, Says
from lateen.plan.types import MatchKind, TextMatch


def is_sayable(condition: Condition) -> bool:
    """Tell whether a condition can be said as one expression: not where it asks for blocks of addresses."""
    match condition:
        case AllOf(parts) | AnyOf(parts):
            return all(map(is_sayable, parts))
        case Not(part):
            return is_sayable(part)
        case _:
            return not isinstance(condition, AddressIn)


def expression(condition: Condition) -> Node:
    """Say a condition as one expression, for filters of logs; each part guards itself against what is missing."""
    match condition:
        case Says(said):
            return said
        case AllOf(parts):
            return _chain("&&", parts, empty=True)
        case AnyOf(parts):
            return _chain("||", parts, empty=False)
        case Not(part):
            return Call("!", (expression(part),))
        case HeaderFits(name, text):
            value = Index(_HEADERS, _string(name))
            return _guarded(Call("in", (_string(name), _HEADERS)), value, text)
        case PathFits(text):
            return _fits(Attribute("request.url_path"), text)
        case PeerFits(TextMatch(MatchKind.PRESENT)):
            return Attribute("connection.mtls")
        case PeerFits(text):
            # A log's filter sees one name of each kind; an error on a connection without a certificate is false.
            either = (_guarded(Attribute("connection.mtls"), Attribute(name), text) for name in _PEER_NAMES)
            return Call("||", tuple(either))
        case PeerIs(fact, text):
            return _guarded(Attribute("connection.mtls"), peer_fact(fact), text)
        case AddressIn():
            raise ValueError("expressions know no blocks of addresses")


def peer_fact(fact: str) -> Node:
    """Say a fact of the caller that its certificate attests; what the proxy keeps beside the connection is no text."""
    if fact == "namespace":
        return _extracted("connection.uri_san_peer_certificate", "^spiffe://[^/]+/ns/([^/]+)/sa/[^/]+$")
    return _extracted("connection.dns_san_peer_certificate", peer_pattern(fact))


def peer_principal() -> Node:
    """Say the caller's identity without its scheme."""
    return _extracted("connection.uri_san_peer_certificate", "^spiffe://(.*)$")


def _extracted(name: str, pattern: str) -> Node:
    return Call("extract", (Attribute(name), _string(pattern), _string("\\1")), Attribute("re"))


_HEADERS: Final = Attribute("request.headers")
_PEER_NAMES: Final = ("connection.uri_san_peer_certificate", "connection.dns_san_peer_certificate")


def _chain(sign: str, parts: tuple[Condition, ...], *, empty: bool) -> Node:
    if not parts:
        return Constant(ConstantKind.BOOL, empty)
    said = tuple(map(expression, parts))
    return said[0] if len(said) == 1 else Call(sign, said)


def _guarded(guard: Node, value: Node, text: TextMatch) -> Node:
    return guard if text.kind is MatchKind.PRESENT else Call("&&", (guard, _fits(value, text)))


def _fits(value: Node, text: TextMatch) -> Node:
    """Say a comparison; without regard to case only an expression does."""
    if text.kind is MatchKind.REGEX or text.ignore_case:
        before, after = _AROUND.get(text.kind, ("", ""))
        inner = text.value if text.kind is MatchKind.REGEX else re.escape(text.value)
        flag = "(?i)" if text.ignore_case else ""
        return Call("matches", (_string(f"{flag}^{before}(?:{inner}){after}$"),), value)
    if text.kind is MatchKind.EXACT:
        return Call("==", (value, _string(text.value)))
    return Call("startsWith" if text.kind is MatchKind.PREFIX else "endsWith", (_string(text.value),), value)


_AROUND: Final = {MatchKind.PREFIX: ("", "(?s:.*)"), MatchKind.SUFFIX: ("(?s:.*)", "")}


def _string(value: str) -> Node:
    return Constant(ConstantKind.STRING, value)
