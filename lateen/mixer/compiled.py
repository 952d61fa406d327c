"""What the compiler makes of rules for one place, and where each of their actions ended up."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lateen.plan.mixer_types import NO_CHECKS, Checks
from lateen.plan.processing_types import HeaderChanges
from lateen.plan.rate_limit_types import RateLimits
from lateen.plan.telemetry_types import AccessLog, Metric
from lateen.plan.tracing_types import TraceTag
from lateen.plan.types import Origin


class Where(StrEnum):
    """Where an action is carried out, in the words of `lateen mixer explain`."""

    DENIALS = "rules of the proxy (RBAC)"
    LIMITS = "local rate limit of the proxy"
    HEADERS = "header changes of the proxy"
    METRICS = "metric of the proxy"
    LOGS = "access log of the proxy"
    SPANS = "spans of the proxy"
    CHECK = "asked of Mixer"
    REPORT = "told to Mixer"
    NOTHING = "nothing to do"
    NEVER = "never matches here"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an action of a rule ended up at a place, and why; `origin` is the action in its object."""

    rule: str
    origin: Origin
    what: str
    where: Where
    why: str = ""


@dataclass(frozen=True, slots=True)
class Spans:
    """What is said in spans, how many calls have some, and the address of the server that they are meant for."""

    url: str
    percent: float
    tags: tuple[TraceTag, ...]


@dataclass(frozen=True, slots=True)
class Reporting:
    """What is told of the calls of one direction."""

    metrics: tuple[Metric, ...] = ()
    logs: tuple[AccessLog, ...] = ()
    spans: tuple[Spans, ...] = ()
    placements: tuple[Placement, ...] = field(default=(), compare=False)


SILENT: Final = Reporting()


@dataclass(frozen=True, slots=True)
class Compiled:
    """All that rules come to at one place."""

    requests: Checks = NO_CHECKS
    connections: Checks = NO_CHECKS
    limits: tuple[RateLimits, ...] = ()
    headers: tuple[HeaderChanges, ...] = ()
    placements: tuple[Placement, ...] = field(default=(), compare=False)
