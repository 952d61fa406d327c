"""Policies in Rego: with the engine in this process, and with a server that speaks OPA's REST API."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from ipaddress import ip_address

import pytest
from aiohttp import web

from lateen.adapters.opa import REMEMBERED, Opa, make
from lateen.api.mixer.checks import OpaParams
from lateen.api.status_codes import StatusCode
from lateen.errors import ConfigRejected, Unavailable
from lateen.mixer.ports import Field, MadeInstance

from .surroundings import World

REGO = """
package mixerauthz
default allow = false
allow { input.subject.user == "anna"; input.action.path == "/" }
allow { input.subject.properties.ip == "10.0.0.1" }
broken = x { x := input.action.path / 2 }
"""
NEWER = """
package mixerauthz
allow if { input.subject.user == "anna" }
"""


def question(user: str, path: str = "/", ip: str = "10.0.0.2") -> MadeInstance:
    fields: dict[str, Field] = {
        "subject": {"user": user, "properties": {"ip": ip_address(ip)}},
        "action": {"path": path},
    }
    return MadeInstance("i.instance.default", "authorization", fields)


def rego(policy: str = REGO, rule: str = "data.mixerauthz.allow", *, fail_close: bool = False) -> Opa:
    params = OpaParams(policy=(policy,), check_method=rule, fail_close=fail_close)
    return make(params, World().surroundings)


@pytest.mark.parametrize(
    ("instance", "is_allowed"),
    [(question("anna"), True), (question("anna", "/other"), False), (question("eve", ip="10.0.0.1"), True)],
)
async def test_a_policy_decides(instance: MadeInstance, is_allowed: bool) -> None:
    handler = rego()
    result = await handler.check(instance)
    assert (result.status.is_ok, result.valid_duration) == (is_allowed, REMEMBERED)
    assert is_allowed or result.status.code is StatusCode.PERMISSION_DENIED
    await handler.close()


async def test_what_is_undefined_is_refused() -> None:
    handler = rego(NEWER)
    assert (await handler.check(question("anna"))).status.is_ok
    assert not (await handler.check(question("eve"))).status.is_ok
    await handler.close()


async def test_what_is_not_true_is_refused() -> None:
    handler = rego('package mixerauthz\nallow = "yes"')
    assert not (await handler.check(question("anna"))).status.is_ok
    await handler.close()


@pytest.mark.parametrize("policy", ["nonsense {", "package a\nallow {{", ""])
def test_what_is_no_rego_is_refused_when_it_is_configured(policy: str) -> None:
    with pytest.raises(ConfigRejected, match="cannot be compiled"):
        rego(policy)


class Server:
    """A server that answers as told, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []
        self.answer: tuple[int, str] = (200, "{}")
        self.url = ""

    async def respond(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, json.loads(await request.read())))
        status, text = self.answer
        return web.Response(status=status, text=text)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", made.respond)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def at(url: str, *, fail_close: bool = False) -> Opa:
    params = OpaParams(server_url=url, check_method="data.mixer.authz.allow", fail_close=fail_close)
    return make(params, World().surroundings)


async def test_a_server_is_asked_by_its_rest_api(server: Server) -> None:
    handler = at(server.url)
    server.answer = (200, '{"result": true}')
    assert (await handler.check(question("anna"))).status.is_ok
    expected = {"subject": {"user": "anna", "properties": {"ip": "10.0.0.2"}}, "action": {"path": "/"}}
    assert server.asked == [("/v1/data/mixer/authz/allow", {"input": expected})]
    for said in ('{"result": false}', "{}", '{"result": "true"}', "[]"):
        server.answer = (200, said)
        assert not (await handler.check(question("anna"))).status.is_ok
    await handler.close()


@pytest.mark.parametrize("answer", [(500, ""), (200, "nonsense"), (404, "{}")])
async def test_a_server_that_fails(server: Server, answer: tuple[int, str]) -> None:
    server.answer = answer
    handler = at(server.url)
    with pytest.raises(Unavailable):
        await handler.check(question("anna"))
    await handler.close()
    closed = at(server.url, fail_close=True)
    result = await closed.check(question("anna"))
    assert (result.status.code, result.valid_duration) == (StatusCode.PERMISSION_DENIED, timedelta())
    await closed.close()


async def test_a_server_that_is_not_there() -> None:
    handler = at("http://127.0.0.1:1")
    with pytest.raises(Unavailable, match="cannot be asked"):
        await handler.check(question("anna"))
    await handler.close()
