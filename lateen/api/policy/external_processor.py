"""ExternalProcessor: a server that looks at requests and responses, and may change them."""

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Final

from lateen.api.fields import Bool, NonEmpty, PositiveDuration
from lateen.api.policy.request_match import RequestMatch
from lateen.api.security.attachment import Attached
from lateen.api.security.explicit import Explicit
from lateen.api.structs import Problem, Struct

_LONGEST: Final = timedelta(hours=1)


class Passing(StrEnum):
    """Whether the processor is shown headers or trailers."""

    SEND = "SEND"
    SKIP = "SKIP"


class BodyPassing(StrEnum):
    """How the processor is shown a body: as a whole, as much as can be held, piece by piece, or not."""

    NONE = "NONE"
    STREAMED = "STREAMED"
    BUFFERED = "BUFFERED"
    BUFFERED_PARTIAL = "BUFFERED_PARTIAL"


class Processing(Explicit):
    """What of a message the processor is shown; it may change what it is shown."""

    headers: Passing = Passing.SKIP
    body: BodyPassing = BodyPassing.NONE
    trailers: Passing = Passing.SKIP

    @property
    def is_nothing(self) -> bool:
        """Tell whether the processor would see nothing at all."""
        return self == Processing()


class ProcessorProvider(Struct):
    """The name of one of MeshConfig's extensionProviders with `envoyExtProcGrpc`."""

    name: NonEmpty


class ExternalProcessor(Attached):
    """Shows requests and responses to a server that speaks Envoy's `ext_proc`, and lets it change or answer them.

    Without `match` it is every request. A processor that does not answer in time fails the request, unless `failOpen`.
    """

    provider: ProcessorProvider
    match: RequestMatch | None = None
    request: Processing = Processing()
    response: Processing = Processing()
    timeout: PositiveDuration | None = None
    fail_open: Bool = False
    may_change_mode: Bool = False

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.request.is_nothing and self.response.is_nothing:
            yield Problem("must have something to send, in request or response, such as `request: {headers: SEND}`")
        if self.timeout is not None and self.timeout > _LONGEST:
            yield Problem("must be at most 1h", "timeout")
        if self.match is not None and (self.match.when or self.match.query_params):
            field = "when" if self.match.when else "queryParams"
            fault = "must not be set: processors are chosen by hosts, methods, paths and headers"
            yield Problem(fault, f"match.{field}")
