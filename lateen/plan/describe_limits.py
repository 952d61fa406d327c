"""Keys, limits and processors as plain structures that people read."""

from lateen.plan.plain import Plain, distinct, filled, pattern, plain, text_match
from lateen.plan.processing_types import KeyCheck, Processor
from lateen.plan.rate_limit_types import Allowance, CountedLimit, CountedRequests, RateLimits
from lateen.plan.types import NamedMatch


def key_check(described: KeyCheck) -> dict[str, Plain]:
    """Describe whose keys are taken, without the keys."""
    return {**_named(described), "clients": [client for client, _ in described.clients]}


def processor(described: Processor) -> dict[str, Plain]:
    """Describe a server that changes messages, and for which requests."""
    return {**_named(described), **filled({"requests": counted_requests(described.requests)})}


def rate_limits(described: RateLimits) -> dict[str, Plain]:
    """Describe limits by the names under which they are counted."""
    rest = {name: value for name, value in _named(described).items() if name != "limits"}
    return {**rest, **{one.name: rate_limit(one) for one in described.limits}}


def rate_limit(described: CountedLimit) -> dict[str, Plain]:
    """Describe a limit: how many of which requests, told apart by what."""
    overrides = {
        " and ".join(f"{described.dimensions[at]}={text}" for at, text in one.values): _allowance(one.allowance)
        for one in described.overrides
    }
    return filled(
        {
            "allows": _allowance(described.allowance),
            "of": counted_requests(described.requests),
            "by": [str(one) for one in described.dimensions],
            "overrides": overrides,
            "cost": described.cost if described.cost != 1 else None,
            "rolls": described.rolls,
        }
    )


def counted_requests(described: CountedRequests) -> dict[str, Plain]:
    """Describe which requests are meant."""
    named = {**_matches("header", described.headers), **_matches("query", described.query)}
    patterns = {name: [pattern(one) for one in getattr(described, name)] for name in ("hosts", "methods", "paths")}
    return filled({**patterns, **named, "condition": described.condition})


def _allowance(described: Allowance | None) -> str:
    if described is None:
        return "unlimited"
    return f"{described.rate}, {described.burst} at once" if described.burst else str(described.rate)


def _named(described: KeyCheck | RateLimits | Processor) -> dict[str, Plain]:
    """Describe something under its name, which it need not repeat, nor where it was written."""
    hidden = ("name", "origin", "clients")
    return {name: value for name, value in plain(described).items() if name not in hidden}


def _matches(what: str, asked: tuple[NamedMatch, ...]) -> dict[str, Plain]:
    return {f"{what} {one.name}": text_match(one.match) for one in distinct(asked)}
