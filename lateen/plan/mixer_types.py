"""What a proxy does of Mixer's rules itself, and what it asks the Mixer process about."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from lateen.api.expressions.tree import Node
from lateen.plan.conditions import Condition
from lateen.plan.types import Origin


@dataclass(frozen=True, slots=True)
class Shown:
    """A value of the request in the text of an answer: a header, an expression, the caller's identity, or else its
    address.
    """

    header: str = ""
    expression: Node | None = None
    principal: bool = False
    forwarded: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a refused client gets; the parts of the text are joined."""

    status: int
    text: "tuple[str | Shown, ...]" = ()


@dataclass(frozen=True, slots=True)
class Denial:
    """A check that this proxy decides: what the condition fits is refused. `name` is what the proxy reports."""

    name: str
    when: Condition
    reply: Reply
    origin: Origin


@dataclass(frozen=True, slots=True)
class GatedRule:
    """A rule of which something is left for the Mixer process, and when."""

    name: str
    when: Condition
    origin: Origin


@dataclass(frozen=True, slots=True)
class RemoteCheck:
    """The Mixer process is asked about requests that any of the rules fits, and about nothing else.

    What the silence of a backend means, the process decides for each handler; `fails_open` is for when the process
    itself cannot be reached.
    """

    rules: tuple[GatedRule, ...]
    timeout: timedelta = timedelta(seconds=5)
    fails_open: bool = False


@dataclass(frozen=True, slots=True)
class Checks:
    """What is decided here, and what the Mixer process is asked about after that."""

    denials: tuple[Denial, ...] = ()
    remote: RemoteCheck | None = None


NO_CHECKS: Final = Checks()


@dataclass(frozen=True, slots=True)
class MixerGuard:
    """The checks of requests, and those of connections that are not HTTP."""

    requests: Checks = NO_CHECKS
    connections: Checks = NO_CHECKS
