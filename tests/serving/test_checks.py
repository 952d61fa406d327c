"""Verdicts as Envoy takes them: let through with header changes, refused with a status, or answered directly."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import pytest
from envoy.service.auth.v3 import external_auth_pb2

from lateen.adapters.checker import Decision
from lateen.api.mixer.rule import Operation
from lateen.api.status_codes import StatusCode
from lateen.errors import Unavailable
from lateen.mixer.check import HeaderEdit, Verdict
from lateen.mixer.directory import Directory
from lateen.mixer.status import HTTP_STATUS, DirectResponse, Status
from lateen.mixer.values import Bag
from lateen.model.workloads import Workloads
from lateen.serving.checks import METHOD, SERVICE, check_response, check_service
from lateen.serving.grpc_services import GrpcRefusal

ASKED = external_auth_pb2.CheckRequest().SerializeToString()


@dataclass
class Decider:
    """Decides as told."""

    verdict: Verdict
    is_late: bool = False
    is_full: bool = False
    decided: int = 0

    @property
    def directory(self) -> Directory:
        return Directory(Workloads(), (), "x")

    def decide(self, bag: Bag) -> Decision | Awaitable[Decision]:
        self.decided += 1
        if self.is_full:
            raise Unavailable("too many wait")
        decision = Decision(self.verdict)

        async def later() -> Decision:
            await asyncio.sleep(0)
            return decision

        return later() if self.is_late else decision


async def answered(decider: Decider, asked: bytes = ASKED) -> Any:
    service = check_service(decider)
    assert service.name == SERVICE
    found = service.unary[METHOD](asked)
    return external_auth_pb2.CheckResponse.FromString(found if isinstance(found, bytes) else await found)


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_call_may_go_on(is_late: bool) -> None:
    response = await answered(Decider(Verdict(), is_late))
    assert (response.status.code, response.WhichOneof("http_response")) == (0, "ok_response")


def test_headers_change() -> None:
    verdict = Verdict(
        request_headers=(
            HeaderEdit("x-set", Operation.REPLACE, "1"),
            HeaderEdit("x-more", Operation.APPEND, "2"),
            HeaderEdit("x-gone", Operation.REMOVE),
        ),
        response_headers=(HeaderEdit("x-said", Operation.REPLACE, "3"),),
    )
    ok = check_response(verdict).ok_response
    assert [(each.header.key, each.header.value, each.append_action) for each in ok.headers] == [
        ("x-set", "1", 2),
        ("x-more", "2", 0),
    ]
    assert list(ok.headers_to_remove) == ["x-gone"]
    assert [(each.header.key, each.append_action) for each in ok.response_headers_to_add] == [("x-said", 2)]


@pytest.mark.parametrize("code", [code for code in StatusCode if code])
def test_a_refusal_has_the_http_status_of_its_code(code: StatusCode) -> None:
    response = check_response(Verdict(Status(code, "h.denier.default:no")))
    denied = response.denied_response
    assert (response.status.code, denied.status.code) == (code, HTTP_STATUS[code])
    assert denied.body == f"{code.name}:h.denier.default:no"


def test_an_adapter_may_answer_the_client_itself() -> None:
    direct = DirectResponse(302, "over there", {"location": "/login"})
    denied = check_response(Verdict(Status(StatusCode.UNAUTHENTICATED), direct=direct)).denied_response
    assert (denied.status.code, denied.body) == (302, "over there")
    assert [(each.header.key, each.header.value) for each in denied.headers] == [("location", "/login")]


async def test_what_is_no_question_is_refused() -> None:
    with pytest.raises(GrpcRefusal) as caught:
        await answered(Decider(Verdict()), b"\xff")
    assert caught.value.status is StatusCode.INVALID_ARGUMENT


async def test_who_is_sent_away_is_told_so() -> None:
    with pytest.raises(GrpcRefusal, match="too many wait") as caught:
        await answered(Decider(Verdict(), is_full=True))
    assert caught.value.status is StatusCode.UNAVAILABLE
