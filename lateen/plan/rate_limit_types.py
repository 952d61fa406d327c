"""Rate limits in the plan: which requests count, how they are told apart, and how many may pass."""

from dataclasses import dataclass
from datetime import timedelta

from lateen.api.policy.dimensions import Dimension
from lateen.api.policy.rates import Rate
from lateen.plan.types import NamedMatch, Origin, Pattern

LONGEST_ANSWER = timedelta(milliseconds=500)
"""How long the server of global limits is waited for where nothing else is written."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many requests may pass; with a `burst`, that many at once, and the rate is refilled steadily."""

    rate: Rate
    burst: int | None = None

    @property
    def at_once(self) -> int:
        """How many requests may come at the same moment."""
        return self.burst or self.rate.requests


@dataclass(frozen=True, slots=True)
class Override:
    """Another allowance (None: no limit) where the dimensions at these positions have these values."""

    values: tuple[tuple[int, str], ...]
    allowance: Allowance | None


@dataclass(frozen=True, slots=True)
class CountedRequests:
    """Which requests count: each field that is not empty holds by any of its patterns, headers and query all.

    `condition` is an expression in CEL that must be true.
    """

    hosts: tuple[Pattern, ...] = ()
    methods: tuple[Pattern, ...] = ()
    paths: tuple[Pattern, ...] = ()
    headers: tuple[NamedMatch, ...] = ()
    query: tuple[NamedMatch, ...] = ()
    condition: str = ""


EVERY_REQUEST = CountedRequests()


@dataclass(frozen=True, slots=True)
class CountedLimit:
    """A limit by the name under which it is counted; each tuple of values of its dimensions has a count of its own.

    With `rolls`, the window moves along instead of beginning anew.
    """

    name: str
    allowance: Allowance
    requests: CountedRequests = EVERY_REQUEST
    dimensions: tuple[Dimension, ...] = ()
    overrides: tuple[Override, ...] = ()
    cost: int = 1
    rolls: bool = False


@dataclass(frozen=True, slots=True)
class MeshCount:
    """The limits are counted for the whole mesh, by a server that is asked; what its silence means."""

    timeout: timedelta = LONGEST_ANSWER
    fails_open: bool = True


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Limits that one object says, and what a refused request is told; `mesh` None: each proxy counts for itself.

    With `tried`, refusals are counted and nobody is refused.
    """

    name: str
    limits: tuple[CountedLimit, ...]
    mesh: MeshCount | None = None
    tried: bool = False
    status: int = 429
    tells_rest: bool = True
    response_headers: tuple[tuple[str, str], ...] = ()
    origin: Origin | None = None
