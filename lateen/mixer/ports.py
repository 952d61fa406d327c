"""What the engine needs of adapters: one Protocol for each thing that a handler can do.

A handler is made for a configuration and closed when that is replaced. Its methods may answer at once or be awaited.
What they raise is caught by whoever calls them and counts as `INTERNAL`.
"""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from lateen.mixer.status import OK, DirectResponse, Status
from lateen.mixer.values import Value

Field = Value | Mapping[str, "Field"]
"""What a field of an instance holds: a value, a map of values, or fields below it."""

FOREVER = timedelta(days=365)
UNLIMITED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class MadeInstance:
    """What was made of the attributes of one request; `name` is the whole name, like `i.instance.default`.

    Fields that nobody wrote are missing.
    """

    name: str
    template: str
    fields: Mapping[str, Field] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What an adapter says of an instance, how long that may be remembered, and for how many requests."""

    status: Status = OK
    valid_duration: timedelta = FOREVER
    valid_use_count: int = UNLIMITED
    output: Mapping[str, Value] = field(default_factory=dict)
    direct: DirectResponse | None = None


@dataclass(frozen=True, slots=True)
class QuotaRequest:
    """How much is wanted of a quota; with `best_effort` less is welcome too. A negative amount is given back.

    Two requests with the same `deduplication_id` are one.
    """

    amount: int = 1
    best_effort: bool = False
    deduplication_id: str = ""


@dataclass(frozen=True, slots=True)
class QuotaResult:
    """How much was granted, and for how long."""

    granted: int
    valid_duration: timedelta = timedelta(minutes=1)
    status: Status = OK


class Handler(Protocol):
    """An adapter with its settings."""

    async def close(self) -> None:
        """Give back what the handler holds; nothing is asked of it any more."""
        ...


class CheckHandler(Handler, Protocol):
    """Says whether a request may go on."""

    def check(self, instance: MadeInstance) -> CheckResult | Awaitable[CheckResult]:
        """Return what becomes of an instance."""
        ...


class QuotaHandler(Handler, Protocol):
    """Counts what is taken from quotas."""

    def take(self, instance: MadeInstance, request: QuotaRequest) -> QuotaResult | Awaitable[QuotaResult]:
        """Take from the quota that the instance names, in its dimensions."""
        ...


class ReportHandler(Handler, Protocol):
    """Takes what happened, off the path of requests."""

    def report(self, instances: Sequence[MadeInstance]) -> Awaitable[None] | None:
        """Take a batch of instances of one template."""
        ...


class WorkloadFacts(Protocol):
    """Knows workloads, for the template kubernetes; the names of facts are those of the attributes of a side."""

    def by_uid(self, uid: str) -> Mapping[str, Value]:
        """Return the facts of the instance `kubernetes://POD.NAMESPACE`; none for an unknown one."""
        ...

    def by_address(self, address: str) -> Mapping[str, Value]:
        """Return the facts of the instance with this address; none for an unknown one."""
        ...
