"""Envoy's external authorization: what Mixer decides about calls, as Envoy asks for it and takes it.

`envoy.service.auth.v3.Authorization`, for HTTP and TCP.
"""

from collections.abc import Awaitable, Iterable, Iterator
from typing import Any, Final, Protocol

from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2
from google.protobuf.message import DecodeError

from lateen.api.mixer.rule import Operation
from lateen.api.status_codes import StatusCode
from lateen.errors import Unavailable
from lateen.mixer.check import HeaderEdit, Verdict
from lateen.mixer.directory import Directory
from lateen.serving.check_requests import CheckBag
from lateen.serving.grpc_services import GrpcRefusal, GrpcService

SERVICE: Final = "envoy.service.auth.v3.Authorization"
METHOD: Final = "Check"

_OVERWRITE: Final = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_APPEND: Final = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD


class Decided(Protocol):
    """A verdict, with room for what it comes to on the wire."""

    answer: bytes

    @property
    def verdict(self) -> Verdict:
        """What becomes of the call."""
        ...


class Decides(Protocol):
    """Whoever decides about calls."""

    @property
    def directory(self) -> Directory:
        """Who is who in the mesh."""
        ...

    def decide(self, bag: CheckBag) -> "Decided | Awaitable[Decided]":
        """Return what becomes of a call. Raises `Unavailable`."""
        ...


def check_service(checker: Decides) -> GrpcService:
    """Return the service by which Envoys ask."""

    async def answer_later(decided: Awaitable[Decided]) -> bytes:
        return _answer(await decided)

    def check(request: bytes) -> bytes | Awaitable[bytes]:
        try:
            context = external_auth_pb2.CheckRequest.FromString(request).attributes
        except DecodeError:
            raise GrpcRefusal(StatusCode.INVALID_ARGUMENT, "expected a CheckRequest") from None
        try:
            decided = checker.decide(CheckBag(context, checker.directory))
        except Unavailable as error:
            raise GrpcRefusal(StatusCode.UNAVAILABLE, str(error)) from None
        return answer_later(decided) if isinstance(decided, Awaitable) else _answer(decided)

    return GrpcService(SERVICE, {METHOD: check})


def _answer(decided: Decided) -> bytes:
    """Return the answer to a question; what is remembered was written before."""
    if not decided.answer:
        decided.answer = check_response(decided.verdict).SerializeToString()
    return decided.answer


def check_response(verdict: Verdict) -> Any:
    """Say a verdict to Envoy."""
    response = external_auth_pb2.CheckResponse()
    response.status.code = int(verdict.status.code)
    if verdict.status.is_ok:
        _let_pass(response.ok_response, verdict)
    else:
        response.status.message = verdict.status.message
        _refuse(response.denied_response, verdict)
    return response


def _let_pass(response: Any, verdict: Verdict) -> None:
    response.SetInParent()
    removed = {edit.name for edit in verdict.request_headers if edit.operation is Operation.REMOVE}
    response.headers_to_remove.extend(sorted(removed))
    response.headers.extend(_options(verdict.request_headers))
    response.response_headers_to_add.extend(_options(verdict.response_headers))


def _refuse(response: Any, verdict: Verdict) -> None:
    """Answer the client as an adapter wants it, or with the status and text of the refusal."""
    direct = verdict.direct
    response.status.code = direct.code if direct is not None else verdict.status.http_status
    response.body = direct.body if direct is not None else verdict.status.body
    for name, value in (direct.headers if direct is not None else {}).items():
        response.headers.add(header=base_pb2.HeaderValue(key=name, value=value), append_action=_OVERWRITE)


def _options(edits: Iterable[HeaderEdit]) -> Iterator[Any]:
    for edit in edits:
        if edit.operation is not Operation.REMOVE:
            action = _APPEND if edit.operation is Operation.APPEND else _OVERWRITE
            header = base_pb2.HeaderValue(key=edit.name, value=edit.value)
            yield base_pb2.HeaderValueOption(header=header, append_action=action)
