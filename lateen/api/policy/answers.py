"""What an answer may consist of: statuses that proxies know, headers that they may write."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from lateen.api.fields import HeaderName, Int

_FAILURES: Final = frozenset({*range(400, 418), *range(421, 425), 426, 428, 429, 431, *range(500, 509), 510, 511})
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _check_failure(status: int) -> int:
    if status not in _FAILURES:
        raise ValueError(f"must be the status of a failure, such as 429 or 503, not {status}")
    return status


def _check_own_header(name: str) -> str:
    if name.startswith(":") or name.lower() == "host":
        raise ValueError(f"must be a header that proxies may write, not {name!r}")
    return name


def _check_header_text(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError(f"must be one line without control characters, not {text!r}")
    return text


FailureStatus = Annotated[Int, AfterValidator(_check_failure)]
OwnHeader = Annotated[HeaderName, AfterValidator(_check_own_header)]
HeaderText = Annotated[str, AfterValidator(_check_header_text)]
