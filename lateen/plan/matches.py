"""The conditions of http rules: which of them concern a proxy, and what they ask of a request."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lateen.api.networking.virtual_service import CLAIM_PREFIX, HttpMatch, StringMatch, TcpMatch, TlsMatch
from lateen.plan.types import ClaimMatch, MatchKind, NamedMatch, RequestMatch, TextMatch

ANY_REQUEST: Final = RequestMatch()
_EVERY_PATH: Final = ((MatchKind.PREFIX, "/"), (MatchKind.REGEX, ".*"))
_CLAIM_STEPS: Final = re.compile(r"[^.\[\]]+(?![^\[]*\])|(?<=\[)[^\[\]]+(?=\])")


@dataclass(frozen=True, slots=True)
class Vantage:
    """From where rules are looked at: the proxy's gateways (`mesh` for a sidecar), namespace and labels, and a port.

    `port` is the one that clients call: a service's port, or a gateway server's. `addresses` are the virtual ones that
    they call, where they are known.
    """

    gateways: frozenset[str]
    port: int
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    addresses: tuple[str, ...] = ()


def concerns(condition: HttpMatch | TcpMatch | TlsMatch, vantage: Vantage, owner: str) -> bool:
    """Tell whether a condition can hold at this proxy and port; `owner` is the rule's namespace."""
    if condition.port is not None and condition.port != vantage.port:
        return False
    if condition.gateways and vantage.gateways.isdisjoint(gateway_name(name, owner) for name in condition.gateways):
        return False
    if condition.source_namespace not in ("", vantage.namespace):
        return False
    return condition.source_labels.items() <= dict(vantage.labels).items()


def gateway_name(name: str, namespace: str) -> str:
    """Resolve a Gateway as a rule of a namespace writes it to `namespace/name`; `mesh` stays."""
    return name if name == "mesh" or "/" in name else f"{namespace}/{name}"


def request_match(condition: HttpMatch) -> RequestMatch:
    """Say in the plan's words what a condition asks of a request."""
    pseudo = ((":scheme", condition.scheme), (":method", condition.method), (":authority", condition.authority))
    headers = [NamedMatch(name, text_match(match)) for name, match in pseudo if match is not None]
    headers += _named(condition.headers)
    headers += _named(condition.without_headers, inverted=True)
    query = tuple(NamedMatch(name, text_match(match)) for name, match in condition.query_params.items())
    return RequestMatch(_path(condition), tuple(headers), query, tuple(_claims(condition)))


def reads_claims(condition: HttpMatch) -> bool:
    """Tell whether a condition asks for claims of a token."""
    return any(name.startswith(CLAIM_PREFIX) for name in (*condition.headers, *condition.without_headers))


def text_match(match: StringMatch, *, inverted: bool = False, ignore_case: bool = False) -> TextMatch:
    """Say how a text is compared; a match without a value asks for presence."""
    if match.exact is not None:
        return TextMatch(MatchKind.EXACT, match.exact, ignore_case, inverted)
    if match.prefix is not None:
        return TextMatch(MatchKind.PREFIX, match.prefix, ignore_case, inverted)
    if match.regex is not None:
        return TextMatch(MatchKind.REGEX, match.regex, inverted=inverted)
    return TextMatch(MatchKind.PRESENT, inverted=inverted)


def is_catch_all(match: RequestMatch) -> bool:
    """Tell whether every request matches."""
    everywhere = match.path is None or (match.path.kind, match.path.value) in _EVERY_PATH
    return everywhere and not match.headers and not match.query and not match.claims


def both(outer: RequestMatch, inner: RequestMatch) -> RequestMatch | None:
    """Return what both ask for, or None when no path can satisfy them.

    The outer path has to be a prefix, or the same as the inner one.
    """
    path = _narrower(outer.path, inner.path)
    if path is None and (outer.path or inner.path):
        return None
    return RequestMatch(
        path,
        (*outer.headers, *inner.headers),
        (*outer.query, *inner.query),
        (*outer.claims, *inner.claims),
    )


def _narrower(outer: TextMatch | None, inner: TextMatch | None) -> TextMatch | None:
    if outer is None or inner is None or outer == inner:
        return inner or outer
    if outer.kind is not MatchKind.PREFIX or inner.kind is MatchKind.REGEX:
        return None
    fits = (
        inner.value.lower().startswith(outer.value.lower())
        if outer.ignore_case
        else (inner.value.startswith(outer.value) and not inner.ignore_case)
    )
    return inner if fits else None


def _path(condition: HttpMatch) -> TextMatch | None:
    return text_match(condition.uri, ignore_case=condition.ignore_uri_case) if condition.uri else None


def _named(matches: Mapping[str, StringMatch], *, inverted: bool = False) -> list[NamedMatch]:
    return [
        NamedMatch(name.lower(), text_match(match, inverted=inverted))
        for name, match in matches.items()
        if not name.startswith(CLAIM_PREFIX)
    ]


def _claims(condition: HttpMatch) -> Iterator[ClaimMatch]:
    """Yield the conditions on claims: headers by the name of `@request.auth.claims.a.b` or `[a][b]`."""
    for matches, inverted in ((condition.headers, False), (condition.without_headers, True)):
        for name, match in matches.items():
            if name.startswith(CLAIM_PREFIX):
                path = tuple(filter(None, _CLAIM_STEPS.findall(name.removeprefix(CLAIM_PREFIX))))
                yield ClaimMatch(path, text_match(match, inverted=inverted))
