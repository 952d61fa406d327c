"""Which server name, domain and route fit: Envoy's rules of matching.

The most specific server name or domain wins; of routes the first that matches.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from lateen.plan.explain.requests import Request
from lateen.plan.types import (
    ClaimMatch,
    MatchKind,
    NamedChain,
    NamedMatch,
    RequestMatch,
    RouteTable,
    TextMatch,
    VirtualHost,
)

_PORT: Final = re.compile(r":\d+$")


class FittingHost(NamedTuple):
    """A virtual host, and the one of its domains that fits."""

    host: VirtualHost
    domain: str


def for_server_name(chains: Iterable[NamedChain], name: str) -> NamedChain | None:
    """Choose by server name: itself, then the longest `*suffix`, then the chain for all names."""
    ranked = [
        (rank, chain)
        for chain in chains
        for pattern in chain.server_names or ("*",)
        if (rank := _rank(pattern, name.lower())) is not None
    ]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def find_virtual_host(table: RouteTable, authority: str) -> FittingHost | None:
    """Choose by domain, without the port: exact, then the longest `*suffix`, then the longest `prefix*`, then `*`."""
    host_name = _PORT.sub("", authority.lower())
    ranked = [
        (rank, FittingHost(host, domain))
        for host in table.virtual_hosts
        for domain in host.domains
        if (rank := _rank(domain.lower(), host_name)) is not None
    ]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def failed_condition(match: RequestMatch, request: Request, authority: str) -> str:
    """Return the first condition that a request does not meet, in words; nothing when it meets all."""
    path, _, query = request.path.partition("?")
    if match.path is not None and not holds(match.path, path):
        return f"path is {path}"
    if not (match.headers or match.query or match.claims):
        return ""
    known = {name.lower(): value for name, value in request.headers.items()}
    known |= {":method": request.method, ":authority": authority, ":scheme": request.scheme, ":path": request.path}
    return (
        _failed(match.headers, known, "header")
        or _failed(match.query, dict(reversed(parse_qsl(query, keep_blank_values=True))), "query parameter")
        or _failed_claim(match.claims, request.claims)
    )


def holds(match: TextMatch, value: str | None) -> bool:
    """Compare a text, or its absence; what is absent meets every inverted condition and no other."""
    return (value is not None and _compares(match, value)) is not match.inverted


def _failed_claim(conditions: Iterable[ClaimMatch], claims: Mapping[str, Any]) -> str:
    for condition in conditions:
        value: Any = claims
        for step in condition.path:
            value = value.get(step) if isinstance(value, Mapping) else None
        texts = [text for text in (value if isinstance(value, list | tuple) else [value]) if isinstance(text, str)]
        if any(_compares(condition.match, text) for text in texts) is condition.match.inverted:
            return f"claim {'.'.join(condition.path)} is {value if texts else 'missing'}"
    return ""


def _compares(match: TextMatch, value: str) -> bool:
    if match.kind is MatchKind.PRESENT:
        return True
    if match.kind is MatchKind.REGEX:
        return re.fullmatch(match.value, value) is not None
    wanted = match.value
    if match.ignore_case:
        wanted, value = wanted.lower(), value.lower()
    if match.kind is MatchKind.SUFFIX:
        return value.endswith(wanted)
    return value == wanted if match.kind is MatchKind.EXACT else value.startswith(wanted)


def _failed(conditions: Iterable[NamedMatch], known: Mapping[str, str], what: str) -> str:
    for condition in conditions:
        value = known.get(condition.name)
        if not holds(condition.match, value):
            return f"{what} {condition.name} is " + ("missing" if value is None else value)
    return ""


def _rank(domain: str, authority: str) -> tuple[int, int] | None:
    """Return how well a domain fits an authority, higher is better; None when it does not."""
    if domain == authority:
        return (3, len(domain))
    if domain == "*":
        return (0, 0)
    if domain.startswith("*") and authority.endswith(domain[1:]) and len(authority) > len(domain) - 1:
        return (2, len(domain))
    if domain.endswith("*") and authority.startswith(domain[:-1]) and len(authority) > len(domain) - 1:
        return (1, len(domain))
    return None
