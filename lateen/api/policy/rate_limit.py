"""RateLimit: how many requests may come in how much time."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, Strict

from lateen.api.fields import EMPTY_MAP, FROZEN, Bool, NonEmpty, Positive, PositiveDuration
from lateen.api.policy.answers import FailureStatus, HeaderText, OwnHeader
from lateen.api.policy.celtext import Expression
from lateen.api.policy.dimensions import Key
from lateen.api.policy.rates import ExemptionText, Rate, RateText
from lateen.api.policy.request_match import RequestMatch
from lateen.api.security.attachment import Attached
from lateen.api.security.explicit import Explicit
from lateen.api.structs import Problem, Struct

MAX_LIMITS: Final = 64
MAX_DIMENSIONS: Final = 8
MAX_OVERRIDES: Final = 1000

Cost = Annotated[int, Strict(), Field(ge=1, le=10**9)]


class Scope(StrEnum):
    """Who counts together: each proxy for itself, or all of the mesh."""

    LOCAL = "LOCAL"
    GLOBAL = "GLOBAL"


class Algorithm(StrEnum):
    """How a GLOBAL limit counts: in windows that follow one another, or in one that moves along."""

    FIXED_WINDOW = "FIXED_WINDOW"
    ROLLING_WINDOW = "ROLLING_WINDOW"


class FailurePolicy(StrEnum):
    """What becomes of requests while nobody can count them."""

    ALLOW = "ALLOW"
    DENY = "DENY"


class RateOverride(Explicit):
    """Another rate for particular values; in a GLOBAL limit, keys that are not named may have any value."""

    values: Annotated[Mapping[str, str], FROZEN]
    rate: ExemptionText
    burst: Positive | None = None

    def problems(self) -> Iterator[Problem]:
        if not self.values:
            yield Problem("must name at least one value", "values")
        if self.rate is None and self.burst is not None:
            yield Problem("must not be set where the rate is unlimited", "burst")


class Limit(Explicit):
    """At most `rate` of the requests that match, counted apart for each value of what `by` and `byExpressions` name.

    A request that lacks such a value counts with the others that lack it. With `burst`, that many may come at once, and
    the rate is refilled steadily; without, a LOCAL limit lets all of its rate come at once.
    """

    match: RequestMatch | None = None
    rate: RateText
    burst: Positive | None = None
    by: Annotated[tuple[Key, ...], Field(max_length=MAX_DIMENSIONS)] = ()
    by_expressions: Annotated[tuple[Expression, ...], Field(max_length=MAX_DIMENSIONS)] = ()
    cost: Cost = 1
    algorithm: Algorithm | None = None
    overrides: Annotated[tuple[RateOverride, ...], Field(max_length=MAX_OVERRIDES)] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """What requests are told apart by, as it was written."""
        return (*self.by, *self.by_expressions)

    @classmethod
    def advice(cls, name: str) -> str:
        if name == "by":
            return "leave `by` out to count all requests together"
        return super().advice(name)

    def problems(self) -> Iterator[Problem]:
        yield from self._repeated()
        for position, override in enumerate(self.overrides):
            for key in override.values:
                if key not in self.keys:
                    at = f"overrides[{position}].values.{key}"
                    yield Problem("must be one of the limit's by or byExpressions", at)
            yield from _burst_problems(override.rate, override.burst, self.cost, f"overrides[{position}].")
        yield from _burst_problems(self.rate, self.burst, self.cost)
        if self.burst is not None and self.algorithm is not None:
            yield Problem("must not come together with algorithm: a burst is refilled steadily", "burst")

    def _repeated(self) -> Iterator[Problem]:
        for name in ("by", "by_expressions"):
            keys = getattr(self, name)
            for position, key in enumerate(keys):
                if key in keys[:position]:
                    field = "by" if name == "by" else "byExpressions"
                    yield Problem(f"must not name {key!r} twice", f"{field}[{position}]")


class RateLimitStore(Struct):
    """Where GLOBAL limits are counted: the name of one of MeshConfig's extensionProviders with `redis`."""

    name: NonEmpty


class RateLimit(Attached):
    """How many requests may come to workloads or through gateways; the others are answered with 429.

    All limits that a request matches are charged, and it is refused when one of them has nothing left.
    """

    scope: Scope = Scope.LOCAL
    limits: Annotated[tuple[Limit, ...], Field(min_length=1, max_length=MAX_LIMITS)]
    dry_run: Bool = False
    status: FailureStatus = 429
    headers: Bool = True
    response_headers: Annotated[Mapping[OwnHeader, HeaderText], FROZEN] = EMPTY_MAP
    on_failure: FailurePolicy | None = None
    timeout: PositiveDuration | None = None
    store: RateLimitStore | None = None

    @classmethod
    def advice(cls, name: str) -> str:
        if name == "limits":
            return "write at least one, such as {rate: 100/minute}"
        return super().advice(name)

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.scope is Scope.LOCAL:
            yield from self._global_only()
            for position, limit in enumerate(self.limits):
                yield from _local_problems(limit, f"limits[{position}]")

    def _global_only(self) -> Iterator[Problem]:
        for name, written in (("onFailure", self.on_failure), ("timeout", self.timeout), ("store", self.store)):
            if written is not None:
                yield Problem("must not be set with scope LOCAL: nobody else is asked", name)


def _local_problems(limit: Limit, place: str) -> Iterator[Problem]:
    """Yield what only the server of the mesh can count: of buckets that fit alike, a proxy takes any."""
    if limit.algorithm is not None:
        yield Problem("must be left out: a LOCAL limit is a bucket that is refilled steadily", f"{place}.algorithm")
    for position, override in enumerate(limit.overrides):
        if missing := [key for key in limit.keys if key not in override.values]:
            fault = f"must also have {' and '.join(missing)}: an override of a LOCAL limit is for one value of each key"
            yield Problem(fault, f"{place}.overrides[{position}].values")


def _burst_problems(rate: Rate | None, burst: int | None, cost: int, place: str = "") -> Iterator[Problem]:
    """Yield what lets no request pass at all."""
    if rate is not None and (burst or rate.requests) < cost:
        field = "burst" if burst else "rate"
        yield Problem(f"must be at least the cost of one request, {cost}, or none passes", f"{place}{field}")
