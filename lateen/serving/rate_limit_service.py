"""Envoy's rate-limit service: what proxies ask before they let a request pass, in words of the mesh and back."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

from envoy.service.ratelimit.v3 import rls_pb2
from google.protobuf.message import DecodeError

from lateen.api.policy.rates import UNITS
from lateen.api.status_codes import StatusCode
from lateen.mixer.quota import Grant
from lateen.mixer.rate_limits import Counted, Entries, is_over
from lateen.serving.grpc_services import GrpcRefusal, GrpcService

NAME: Final = "envoy.service.ratelimit.v3.RateLimitService"

Described = Sequence[tuple[Entries, int]]
"""Descriptions of one request, each with what it costs."""

Answers = Sequence[tuple[Counted | None, Grant | None]]
"""For each description what it came to, and what was granted; nothing for what is not limited."""

_UNITS: Final = {length: name.upper() for name, length in UNITS.items()}


def rate_limit_service(decide: Callable[[Described], Answers | Awaitable[Answers]]) -> GrpcService:
    """Serve the questions of proxies; an answer that is there at once is given at once."""

    def should_rate_limit(question: bytes) -> bytes | Awaitable[bytes]:
        answers = decide(read(question))
        return _later(answers) if isinstance(answers, Awaitable) else written(answers)

    return GrpcService(NAME, unary={"ShouldRateLimit": should_rate_limit})


async def _later(answers: Awaitable[Answers]) -> bytes:
    return written(await answers)


def read(question: bytes) -> Described:
    """Return the descriptions of a request. Raises `GrpcRefusal`."""
    try:
        request: Any = rls_pb2.RateLimitRequest.FromString(question)
    except DecodeError:
        raise GrpcRefusal(StatusCode.INVALID_ARGUMENT, "must be a RateLimitRequest") from None
    usual = request.hits_addend or 1
    return [
        (
            tuple((entry.key, entry.value) for entry in one.entries),
            one.hits_addend.value if one.HasField("hits_addend") else usual,
        )
        for one in request.descriptors
    ]


def written(answers: Answers) -> bytes:
    """Say what becomes of the request, and of each description how much is left."""
    statuses = [_status(found, grant) for found, grant in answers]
    refuses = any(status.code == rls_pb2.RateLimitResponse.OVER_LIMIT for status in statuses)
    message: Any = rls_pb2.RateLimitResponse(
        overall_code=rls_pb2.RateLimitResponse.OVER_LIMIT if refuses else rls_pb2.RateLimitResponse.OK,
        statuses=statuses,
    )
    answer: bytes = message.SerializeToString()
    return answer


def _status(found: Counted | None, grant: Grant | None) -> Any:
    status: Any = rls_pb2.RateLimitResponse.DescriptorStatus(code=rls_pb2.RateLimitResponse.OK)
    if found is None or found.allowance is None or grant is None:
        return status
    if is_over(found, grant):
        status.code = rls_pb2.RateLimitResponse.OVER_LIMIT
    status.current_limit.requests_per_unit = found.allowance.rate.requests
    status.current_limit.unit = _UNITS.get(found.allowance.rate.window, "UNKNOWN")
    status.limit_remaining = min(grant.left, 2**32 - 1)
    status.duration_until_reset.FromMilliseconds(grant.resets_in)
    return status


def names(answers: Answers) -> Iterator[tuple[str, bool]]:
    """Yield the limits that were asked about, and whether they were exceeded."""
    for found, grant in answers:
        if found is not None:
            yield found.limit.limit.name, grant is not None and is_over(found, grant)
