"""The codes of `google.rpc.Status`, as documents write them: by number or by name."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from lateen.api.mixer.structs import MixerStruct
from lateen.api.status_codes import StatusCode

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
