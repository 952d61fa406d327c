"""How a command ends: four exit codes, and the exceptions that choose among them.

0  done, or true
1  not done, or not (yet) true
2  wrong usage, or input that cannot be accepted
3  no mesh is running, or it cannot be reached
"""

from collections.abc import Sequence
from typing import Final

from lateen.errors import ConfigRejected, LateenError, Unavailable

FAILED: Final = 1
USAGE: Final = 2
NOT_RUNNING: Final = 3
INTERRUPTED: Final = 130

EXIT_CODES: Final = (
    "Exit codes: 0 done or true · 1 not done or not (yet) true · 2 wrong usage or bad input · 3 no mesh reachable."
)


class Failed(LateenError):
    """A command could not do what was asked; `details` are printed below the message, one line each."""

    code = FAILED

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


class BadInput(Failed):
    """What was typed or written in a file cannot be accepted."""

    code = USAGE


class NotRunning(Failed):
    """The mesh that the command needs is not running, or does not answer."""

    code = NOT_RUNNING


def exit_code(error: LateenError) -> int:
    """Choose the exit code of an error that ends a command."""
    if isinstance(error, Failed):
        return error.code
    if isinstance(error, ConfigRejected):
        return USAGE
    return NOT_RUNNING if isinstance(error, Unavailable) else FAILED


def details(error: LateenError) -> tuple[str, ...]:
    """List the lines that belong below an error's message."""
    if isinstance(error, Failed):
        return error.details
    return tuple(map(str, error.violations)) if isinstance(error, ConfigRejected) else ()
