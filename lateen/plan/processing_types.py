"""What else stands before a workload: keys that clients show, servers that change messages, changes of headers."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from lateen.api.policy.external_processor import Processing
from lateen.plan.rate_limit_types import EVERY_REQUEST, CountedRequests
from lateen.plan.types import Origin


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where a client's key is looked for: exactly one is set."""

    header: str = ""
    query: str = ""
    cookie: str = ""


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """Who has no key of a client is refused; `clients` are pairs of name and key. The name goes on in a header."""

    name: str
    clients: tuple[tuple[str, str], ...] = field(repr=False)
    places: tuple[KeyPlace, ...]
    client_header: str
    forwards_key: bool = False
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Processor:
    """A server that is shown parts of the requests and responses, and may change them."""

    name: str
    cluster: str
    authority: str
    request: Processing
    response: Processing
    timeout: timedelta
    requests: CountedRequests = EVERY_REQUEST
    fails_open: bool = False
    may_change_mode: bool = False
    origin: Origin | None = None


class HeaderAction(StrEnum):
    """What becomes of a header: its values are replaced, one more is added, or it is removed."""

    REPLACE = "replace"
    APPEND = "append"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """One change; `value` is a text in which `%COMMAND%` stands for parts of the request, as in access logs.

    A value that comes out empty changes nothing.
    """

    name: str
    action: HeaderAction
    value: str = ""


@dataclass(frozen=True, slots=True)
class HeaderChanges:
    """What is changed in requests before they reach the workload, and in its responses."""

    request: tuple[HeaderChange, ...] = ()
    response: tuple[HeaderChange, ...] = ()
    origin: Origin | None = None
