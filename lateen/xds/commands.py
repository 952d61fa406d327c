"""What a session wants done."""

from typing import NamedTuple

from lateen.xds.versions import Delta


class Send(NamedTuple):
    """Write this response to the stream."""

    delta: Delta


class Warn(NamedTuple):
    """Tell the operator: the proxy did something odd that does no harm, or refused a resource."""

    message: str


class Close(NamedTuple):
    """End the stream: what the proxy says cannot be understood."""

    reason: str


Command = Send | Warn | Close
