"""Statuses, and what a client sees of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from lateen.api.status_codes import StatusCode

HTTP_STATUS: Final = MappingProxyType(
    {
        StatusCode.OK: 200,
        StatusCode.CANCELLED: 499,
        StatusCode.UNKNOWN: 500,
        StatusCode.INVALID_ARGUMENT: 400,
        StatusCode.DEADLINE_EXCEEDED: 504,
        StatusCode.NOT_FOUND: 404,
        StatusCode.ALREADY_EXISTS: 409,
        StatusCode.PERMISSION_DENIED: 403,
        StatusCode.RESOURCE_EXHAUSTED: 429,
        StatusCode.FAILED_PRECONDITION: 400,
        StatusCode.ABORTED: 409,
        StatusCode.OUT_OF_RANGE: 400,
        StatusCode.UNIMPLEMENTED: 501,
        StatusCode.INTERNAL: 500,
        StatusCode.UNAVAILABLE: 503,
        StatusCode.DATA_LOSS: 500,
        StatusCode.UNAUTHENTICATED: 401,
    }
)
"""Under which HTTP status a refused client sees a code."""


@dataclass(frozen=True, slots=True)
class Status:
    """What became of a check, and why."""

    code: StatusCode = StatusCode.OK
    message: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the request may go on."""
        return self.code is StatusCode.OK

    @property
    def http_status(self) -> int:
        """The HTTP status that a client sees."""
        return HTTP_STATUS[self.code]

    @property
    def body(self) -> str:
        """The text that a refused client sees: `PERMISSION_DENIED:denyall.denier.default:not allowed`."""
        return f"{self.code.name}:{self.message}"


OK: Final = Status()


@dataclass(frozen=True, slots=True)
class DirectResponse:
    """An answer that an adapter wants given in place of the service's own."""

    code: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def refusal_message(handler: str, message: str) -> str:
    """Return the message of a status with the name of the handler that refused."""
    return f"{handler}:{message}"
