"""The error tree: whose fault it is decides the class, and the class decides what happens next.

    LateenError
    ├── ConfigRejected    the user's: what was written cannot be accepted; carries every violation
    ├── ProtocolError     the peer's: a client or proxy broke the rules of the protocol it speaks
    ├── Unavailable       the world's: something that is needed is not there, not reachable or full
    └── NotPermitted      the caller is known and may not do this, or is not known at all

Every other exception is a defect in Lateen and is not caught on the way.
Messages are lower case, name the object, and say what would be right.
"""

from collections.abc import Sequence


class LateenError(Exception):
    """Something that Lateen foresaw went wrong; the message is written for the person who reads it."""


class ConfigRejected(LateenError):
    """What a user wrote cannot be accepted; `violations` holds one printable line for each reason."""

    def __init__(self, message: str, violations: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)


class ProtocolError(LateenError):
    """A peer broke the rules of the protocol that it speaks with us."""


class Unavailable(LateenError):
    """Something outside that is needed is missing, unreachable or exhausted."""


class NotPermitted(LateenError):
    """The caller may not do this."""
