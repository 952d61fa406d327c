"""Checks: all handlers at once, combined, remembered by what was looked at; quotas afterwards; too many are sent away."""

import asyncio
import json
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lateen.adapters import checker as checking
from lateen.adapters import table
from lateen.adapters.checker import Checker, Decision
from lateen.adapters.handlers import Handlers
from lateen.api.status_codes import StatusCode
from lateen.errors import Unavailable
from lateen.mixer import rules
from lateen.mixer.directory import Directory
from lateen.mixer.ports import CheckResult, MadeInstance, QuotaRequest, QuotaResult
from lateen.mixer.ready import make_ready
from lateen.mixer.status import DirectResponse, Status
from lateen.mixer.values import Attributes, Value
from lateen.model.workload import Workload, WorkloadKey
from lateen.model.workloads import Workloads

from ..mixer.mixes import config, document
from . import keyval
from .surroundings import World

DENIER = document("denier", "istio-system/refuse", "status: {code: 7, message: not allowed}\nvalid_use_count: 3")
NOTHING = document("checknothing", "istio-system/nothing")
FIRST_USER = 'request.headers["user"] == "jason"'


def rule(name: str, match: str, *actions: tuple[str, str], namespace: str = "istio-system", more: str = "") -> str:
    listed = "\n".join(f"- handler: {handler}\n  instances: [{instance}]" for handler, instance in actions)
    return document("rule", f"{namespace}/{name}", f"match: {json.dumps(match)}\nactions:\n{listed}\n{more}")


def request(namespace: str = "default", **headers: str) -> Attributes:
    values: dict[str, Value] = {
        "request.headers": headers,
        "destination.namespace": namespace,
        "destination.service.name": "reviews",
        "destination.service.namespace": "default",
        "context.reporter.kind": "inbound",
    }
    return Attributes(values)


class Scripted:
    """Stands in for every noop handler: notes what it was asked, and answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[MadeInstance] = []
        self.result = CheckResult()
        self.quota = 1
        self.waits: asyncio.Event | None = None

    def check(self, instance: MadeInstance) -> CheckResult | Awaitable[CheckResult]:
        self.asked.append(instance)
        return self.result if self.waits is None else self.later()

    async def later(self) -> CheckResult:
        assert self.waits is not None
        await self.waits.wait()
        return self.result

    def take(self, instance: MadeInstance, request: QuotaRequest) -> QuotaResult:
        self.asked.append(instance)
        granted = request.amount if self.quota >= request.amount else 0
        self.quota -= granted
        return QuotaResult(granted)

    async def close(self) -> None:
        pass


class Mixer:
    """A checker with the rules of some documents."""

    def __init__(self) -> None:
        self.world = World()
        self.failures: list[str] = []
        self.handlers = Handlers(self.world.surroundings, self.failures.append)
        self.checker = Checker(self.handlers, lambda: self.world.now)

    def take(self, *documents: str, fails_open: bool = False, workloads: tuple[Workload, ...] = ()) -> None:
        found = config(*documents)
        resolved = rules.resolve(found, "istio-system")
        assert (resolved.violations, resolved.unresolved) == ((), ())
        self.handlers.take(resolved, found, fails_open=fails_open)
        self.checker.take(resolved, make_ready(resolved), Directory(Workloads().apply(workloads), (), "x"))

    async def decide(self, bag: Attributes) -> Decision:
        found = self.checker.decide(bag)
        return found if isinstance(found, Decision) else await found

    async def status(self, bag: Attributes) -> Status:
        return (await self.decide(bag)).verdict.status

    def counted(self, result: str, cached: str = "false") -> float:
        return self.checker._checks.value(result, cached)


@contextmanager
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    made = Scripted()
    rows = {**table.ADAPTERS, "noop": lambda *_: made}
    monkeypatch.setattr("lateen.adapters.handlers.ADAPTERS", rows)
    yield made


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    with scripted(monkeypatch) as made:
        yield made


@pytest.fixture
def mixer() -> Mixer:
    return Mixer()


NOOP = document("noop", "istio-system/ask")


async def test_without_rules_everything_passes_and_is_remembered(mixer: Mixer) -> None:
    assert (await mixer.status(request())).is_ok
    assert (await mixer.status(request(a="b"))).is_ok
    assert (mixer.counted("ok"), mixer.counted("ok", "true")) == (1, 1)


async def test_a_rule_that_holds_decides(mixer: Mixer) -> None:
    mixer.take(DENIER, NOTHING, rule("deny", FIRST_USER, ("refuse.denier", "nothing.checknothing")))
    assert (await mixer.status(request(user="anna"))).is_ok
    assert (
        await mixer.status(request(user="jason"))
    ).body == "PERMISSION_DENIED:refuse.denier.istio-system:not allowed"


async def test_answers_are_remembered_as_often_as_they_say(mixer: Mixer) -> None:
    mixer.take(DENIER, NOTHING, rule("deny", FIRST_USER, ("refuse.denier", "nothing.checknothing")))
    for _ in range(4):
        await mixer.decide(request(user="jason", other=str(_)))
    assert (mixer.counted("permission_denied"), mixer.counted("permission_denied", "true")) == (1, 3)
    await mixer.decide(request(user="jason"))
    assert mixer.counted("permission_denied") == 2


async def test_new_rules_count_at_once(mixer: Mixer) -> None:
    mixer.take(DENIER, NOTHING, rule("deny", FIRST_USER, ("refuse.denier", "nothing.checknothing")))
    await mixer.decide(request(user="jason"))
    mixer.take()
    assert (await mixer.status(request(user="jason"))).is_ok


async def test_rules_of_a_namespace_concern_what_it_receives(mixer: Mixer) -> None:
    here = rule("deny", "true", ("refuse.denier.istio-system", "nothing.checknothing.istio-system"), namespace="shop")
    mixer.take(DENIER, NOTHING, here)
    assert not (await mixer.status(request("shop"))).is_ok
    assert (await mixer.status(request("default"))).is_ok


async def test_all_handlers_are_asked_at_once_and_all_messages_are_told(mixer: Mixer, script: Scripted) -> None:
    script.waits = asyncio.Event()
    script.result = CheckResult(Status(StatusCode.UNAUTHENTICATED, "who?"))
    second = document("noop", "istio-system/ask2")
    both = (("ask.noop", "nothing.checknothing"), ("ask2.noop", "nothing.checknothing"))
    mixer.take(NOOP, second, NOTHING, rule("all", "true", *both))
    deciding = asyncio.ensure_future(mixer.decide(request()))
    await asyncio.sleep(0)
    assert len(script.asked) == 2
    script.waits.set()
    status = (await deciding).verdict.status
    assert status.code is StatusCode.UNAUTHENTICATED
    assert status.message == "ask.noop.istio-system:who?, ask2.noop.istio-system:who?"


async def test_direct_answers_and_headers_are_passed_on(mixer: Mixer, script: Scripted) -> None:
    headers = "requestHeaderOperations:\n- name: x-user\n  values: ['request.headers[\"user\"]']\n"
    mixer.take(NOOP, NOTHING, rule("ask", "true", ("ask.noop", "nothing.checknothing"), more=headers))
    verdict = (await mixer.decide(request(user="anna"))).verdict
    assert [(edit.name, edit.value) for edit in verdict.request_headers] == [("x-user", "anna")]
    mixer.take()
    mixer.take(NOOP, NOTHING, rule("ask", "true", ("ask.noop", "nothing.checknothing")))
    script.result = CheckResult(Status(StatusCode.NOT_FOUND), direct=DirectResponse(418, "tea"))
    assert (await mixer.decide(request())).verdict.direct == DirectResponse(418, "tea")


async def test_an_instance_that_cannot_be_made_counts_by_the_fail_policy(mixer: Mixer, script: Scripted) -> None:
    entry = document("listentry", "istio-system/entry", 'value: request.headers["x"]')
    checker = document("listchecker", "istio-system/list", "overrides: [a]")
    documents = (checker, entry, rule("ask", "true", ("list.listchecker", "entry.listentry")))
    mixer.take(*documents)
    assert (await mixer.status(request())).code is StatusCode.INTERNAL
    mixer.take(*documents, fails_open=True)
    assert (await mixer.status(request())).is_ok
    assert not (await mixer.status(request(x="b"))).is_ok


async def test_a_handler_that_cannot_be_made_refuses_and_the_last_good_one_stays(mixer: Mixer) -> None:
    def policy(text: str) -> str:
        return document("opa", "istio-system/rego", f'policy: ["{text}"]\ncheckMethod: data.a.allow')

    asks = (
        document("authorization", "istio-system/who", "subject: {}"),
        rule("ask", "true", ("rego.opa", "who.authorization")),
    )
    mixer.take(policy("nonsense {"), *asks)
    status = await mixer.status(request())
    assert (status.code, "cannot be compiled" in status.message) == (StatusCode.INTERNAL, True)
    assert list(mixer.handlers.faults) == ["rego.opa.istio-system"]
    mixer.take(policy("package a\\nallow = true"), *asks)
    assert (await mixer.status(request())).is_ok
    mixer.take(policy("nonsense {"), *asks)
    assert (await mixer.status(request())).is_ok
    assert mixer.handlers.faults != {}


async def test_a_handler_that_is_the_same_goes_on_and_one_that_is_not_is_closed_later(mixer: Mixer) -> None:
    documents = (DENIER, NOTHING, rule("deny", FIRST_USER, ("refuse.denier", "nothing.checknothing")))
    mixer.take(*documents)
    before = mixer.handlers.find("refuse.denier.istio-system")
    mixer.take(*documents, rule("other", "true", ("refuse.denier", "nothing.checknothing")))
    assert mixer.handlers.find("refuse.denier.istio-system") is before
    mixer.take()
    assert mixer.handlers.find("refuse.denier.istio-system") is None
    await asyncio.sleep(0)
    assert len(mixer.world.sleepers) == 1
    await mixer.world.wake()
    await mixer.handlers.close()


async def test_quotas_are_charged_for_calls_that_may_go_on(mixer: Mixer, script: Scripted) -> None:
    script.quota = 2
    quota = document("quota", "istio-system/requests", "dimensions: {}")
    spec = document("QuotaSpec", "istio-system/charge", "rules: [{quotas: [{quota: requests, charge: 1}]}]")
    binding = document(
        "QuotaSpecBinding", "istio-system/charge", "services: [{service: '*'}]\nquotaSpecs: [{name: charge}]"
    )
    take = rule("quota", "true", ("ask.noop", "requests.quota"))
    denies = rule("deny", FIRST_USER, ("refuse.denier", "nothing.checknothing"))
    mixer.take(NOOP, DENIER, NOTHING, quota, spec, binding, take, denies)
    assert not (await mixer.status(request(user="jason"))).is_ok
    statuses = [await mixer.status(request()) for _ in range(3)]
    assert [status.code for status in statuses] == [StatusCode.OK, StatusCode.OK, StatusCode.RESOURCE_EXHAUSTED]
    assert statuses[-1].message == "ask.noop.istio-system:quota requests is exhausted"
    assert mixer.counted("over_quota") == 1


async def test_too_many_that_wait_are_sent_away(
    mixer: Mixer, script: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "MOST_AT_ONCE", 1)
    script.waits = asyncio.Event()
    mixer.take(NOOP, NOTHING, rule("ask", "true", ("ask.noop", "nothing.checknothing")))
    waiting = asyncio.ensure_future(mixer.decide(request()))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="1 calls wait already"):
        mixer.checker.decide(request(a="b"))
    script.waits.set()
    assert (await waiting).verdict.status.is_ok
    assert (await mixer.status(request(a="b"))).is_ok


async def test_generated_attributes_are_known(mixer: Mixer, script: Scripted) -> None:
    env = document("kubernetesenv", "istio-system/env")
    asks = document(
        "kubernetes",
        "istio-system/attributes",
        "destination_uid: destination.uid\nattribute_bindings: {destination.workload.name: $out.destination_workload_name}",
    )
    generate = rule("generate", "true", ("env.kubernetesenv", "attributes.kubernetes"))
    denies = rule("deny", 'destination.workload.name == "reviews-v3"', ("refuse.denier", "nothing.checknothing"))
    reviews = Workload(WorkloadKey("default", "reviews-v3-x"), "10.0.0.1", owner="reviews-v3")
    mixer.take(DENIER, NOTHING, env, asks, generate, denies, workloads=(reviews,))
    bag: dict[str, Any] = {**request().values, "destination.uid": "kubernetes://reviews-v3-x.default"}
    assert not (await mixer.status(Attributes(bag))).is_ok
    bag["destination.uid"] = "kubernetes://reviews-v1-x.default"
    assert (await mixer.status(Attributes(bag))).is_ok


async def test_what_an_adapter_answers_can_be_put_into_headers(mixer: Mixer) -> None:
    async with keyval.serving({"jason": "admin"}) as address:
        mixer.take(
            document("adapter", "istio-system/keyval", "templates: [keyval]\nsession_based: false"),
            document("template", "istio-system/keyval", f"descriptor: {keyval.descriptor()}"),
            document("handler", "istio-system/table", f"adapter: keyval\nconnection: {{address: '{address}'}}"),
            document("instance", "istio-system/keys", 'template: keyval\nparams: {key: "request.headers[\\"user\\"]"}'),
            document(
                "rule",
                "istio-system/roles",
                "actions: [{handler: table, instances: [keys], name: x}]\n"
                "requestHeaderOperations: [{name: user-group, values: [x.output.value]}]",
            ),
        )
        verdict = (await mixer.decide(request(user="jason"))).verdict
        assert [(edit.name, edit.value) for edit in verdict.request_headers] == [("user-group", "admin")]
        assert (await mixer.status(request(user="eve"))).code is StatusCode.NOT_FOUND
        await mixer.handlers.close()
