"""How a proxy describes a request to whoever counts it: the limit's name, whether it holds, then values by position."""

from collections.abc import Iterator
from typing import Final

from lateen.plan.rate_limit_types import CountedLimit, CountedRequests, Override

LIMIT: Final = "limit"
QUERY: Final = "query"
CONDITION: Final = "when"
HOLDS: Final = "true"


def constants(requests: CountedRequests, name: str) -> Iterator[tuple[str, str]]:
    """Yield the entries that every description of a request that counts begins with."""
    yield LIMIT, name
    if requests.query:
        yield QUERY, HOLDS
    if requests.condition:
        yield CONDITION, HOLDS


def shown(value: str) -> str:
    """Return a value as descriptions have it: a request that lacks it is described as well, by the sign alone."""
    return f"={value}"


def shown_values(override: Override) -> dict[int, str]:
    """Return the values of an override, by the position of their dimensions."""
    return {position: shown(value) for position, value in override.values}


def values_of(limit: CountedLimit, entries: tuple[tuple[str, str], ...]) -> tuple[str, ...] | None:
    """Return the values by which a description tells a request apart; None where the request does not count."""
    expected = tuple(constants(limit.requests, limit.name))
    if entries[: len(expected)] != expected:
        return None
    return tuple(value for _, value in entries[len(expected) :])
