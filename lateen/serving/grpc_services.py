"""gRPC services as values: names, and functions from bytes to bytes. `mixer_door` serves them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lateen.api.fields import EMPTY_MAP
from lateen.api.status_codes import StatusCode

Unary = Callable[[bytes], bytes | Awaitable[bytes]]
"""Answers one message. An answer that is there at once costs no task."""

ClientStream = Callable[[AsyncIterator[bytes]], Awaitable[bytes]]
"""Reads all messages of a stream, then answers once."""

MOST_MESSAGE_BYTES: Final = 4 * 1024 * 1024


class GrpcRefusal(Exception):
    """Ends a call with a status and a message for the caller."""

    def __init__(self, status: StatusCode, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class GrpcService:
    """One service: its full name, and its methods by how they are called."""

    name: str
    unary: Mapping[str, Unary] = EMPTY_MAP
    streams: Mapping[str, ClientStream] = EMPTY_MAP
