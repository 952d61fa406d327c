"""The codes of `google.rpc.Status`, as documents write them: by number or by name."""

from enum import IntEnum
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from lateen.api.mixer.structs import MixerStruct


class StatusCode(IntEnum):
    """What became of a check."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


_REFUSALS: Final = ", ".join(f"{code.value} ({code.name})" for code in StatusCode if code)


def _refusal(value: Any) -> StatusCode:
    if isinstance(value, str) and value in StatusCode.__members__:
        value = StatusCode[value].value
    if isinstance(value, bool) or not isinstance(value, int) or value not in range(1, len(StatusCode)):
        raise ValueError(f"must be a code that refuses: {_REFUSALS}; not {value!r}")
    return StatusCode(value)


RefusalCode = Annotated[StatusCode, BeforeValidator(_refusal)]


class RefusalStatus(MixerStruct):
    """With which code and message a request is refused."""

    code: RefusalCode = StatusCode.FAILED_PRECONDITION
    message: str = ""
