"""Adapters in processes of their own, as the example adapter is one: checks, quotas, reports, sessions, failures."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml

from lateen.adapters.handlers import Handlers
from lateen.adapters.remote import templates
from lateen.adapters.remote.handler import RemoteHandler
from lateen.adapters.remote.session import SESSION_TYPE
from lateen.api.status_codes import StatusCode
from lateen.errors import ConfigRejected, Unavailable
from lateen.mixer import rules
from lateen.mixer.ports import Field, MadeInstance, QuotaRequest
from lateen.mixer.rules import RuleSet
from lateen.mixer.status import DirectResponse

from ..mixer import mixes
from . import doormen
from .doormen import Duty
from .surroundings import World

QUOTA = """
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: visits, namespace: istio-system}
spec:
  compiledTemplate: quota
  params:
    dimensions:
      visitor: request.headers["end-user"] | "nobody"
"""
VISITOR, VISITED, VISITS = (f"{name}.instance.istio-system" for name in ("visitor", "visited", "visits"))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def resolved(address: str, *, session_based: bool = False, timeout: str = "5s", **params: Any) -> RuleSet:
    """The rules of the example, for an adapter elsewhere."""
    documents = doormen.documents()
    for document in documents:
        if document["kind"] == "adapter":
            document["spec"]["session_based"] = session_based
        if document["kind"] == "handler":
            document["spec"]["connection"] = {"address": address, "timeout": timeout}
            document["spec"]["params"].update(params)
        if document["kind"] == "rule":
            document["spec"]["actions"][0]["instances"].append("visits")
    rule_set = mixes.rule_set(yaml.safe_dump_all(documents), QUOTA)
    assert (rule_set.violations, rule_set.unresolved) == ((), ())
    return rule_set


def handler_of(rule_set: RuleSet, world: World | None = None) -> RemoteHandler:
    handler = rule_set.handlers["door.handler.istio-system"]
    visit = next(each for each in doormen.documents() if each["kind"] == "template")["spec"]["descriptor"]
    found = [
        (each, templates.described("visit", visit) if each.template == "visit" else templates.built_in(each.template))
        for each in rule_set.instances.values()
    ]
    return RemoteHandler(handler, found, (world or World()).surroundings)


def visit(visitor: str) -> MadeInstance:
    details: dict[str, Field] = {"address": ip_address("10.244.1.9")}
    return MadeInstance(VISITOR, "visit", {"visitor": visitor, "place": "reviews", "details": details})


@pytest.fixture
async def duty(tmp_path: Path) -> AsyncIterator[Duty]:
    async with doormen.on_duty(tmp_path / "book") as found:
        yield found


async def test_a_check(duty: Duty) -> None:
    handler = handler_of(resolved(duty.address))
    refused, passed = await handler.check(visit("jason")), await handler.check(visit("anna"))
    assert (refused.status.code, refused.status.message) == (
        StatusCode.PERMISSION_DENIED,
        "jason is not welcome at reviews",
    )
    assert (passed.status.is_ok, passed.valid_duration, passed.valid_use_count) == (True, timedelta(seconds=1), 10)
    (_, first), (_, second) = duty.calls
    assert first.instance.name == VISITOR
    assert first.instance.details["address"].ip_address_value.value == bytes((10, 244, 1, 9))
    assert first.adapter_config.type_url == "type.googleapis.com/doorman.Params"
    assert first.dedup_id and first.dedup_id != second.dedup_id
    await handler.close()


async def test_a_quota(duty: Duty) -> None:
    handler = handler_of(resolved(duty.address, most_visits=3))
    instance = MadeInstance(VISITS, "quota", {"dimensions": {"visitor": "anna"}})
    granted = [(await handler.take(instance, QuotaRequest(2, deduplication_id="d"))).granted for _ in range(2)]
    assert granted == [2, 0]
    assert duty.calls[0][1].dedup_id == "d"
    await handler.close()


async def test_a_report_is_one_call_for_many_instances(duty: Duty) -> None:
    handler = handler_of(resolved(duty.address))
    entries = [
        MadeInstance(
            VISITED,
            "logentry",
            {
                "severity": "info",
                "timestamp": NOW,
                "variables": {"visitor": name, "code": 200, "took": timedelta(seconds=1.5), "at": NOW, "share": 0.5},
            },
        )
        for name in ("anna", "jason")
    ]
    await handler.report(entries)
    assert [name for name, _ in duty.calls] == ["HandleLogEntry"]
    lines = [json.loads(line) for line in duty.doorman.book.read_text().splitlines()]
    expected = {"code": 200, "took": "1.500s", "at": "2026-01-01T00:00:00Z", "share": 0.5}
    assert lines == [{"entry": VISITED, "severity": "info", "visitor": name, **expected} for name in ("anna", "jason")]
    await handler.close()


async def test_a_session_has_the_settings(duty: Duty) -> None:
    handler = handler_of(resolved(duty.address, session_based=True))
    assert not (await handler.check(visit("jason"))).status.is_ok
    assert (await handler.check(visit("anna"))).status.is_ok
    names = [name for name, _ in duty.calls]
    assert names == ["Validate", "CreateSession", "HandleVisit", "HandleVisit"]
    (session,) = duty.doorman.sessions
    config = duty.calls[2][1].adapter_config
    assert (config.type_url, config.value) == (SESSION_TYPE, session.encode())
    inferred = duty.calls[1][1].inferred_types
    assert set(inferred) == {VISITOR, VISITED, VISITS}
    assert inferred[VISITS].type_url == "type.googleapis.com/quota.Type"
    assert inferred[VISITS].value == b"\x0a\x0b\x0a\x07visitor\x10\x01"
    await handler.close()
    assert duty.doorman.sessions == {}


async def test_a_session_that_is_lost_with_its_adapter_is_made_again(tmp_path: Path) -> None:
    async with doormen.on_duty() as first:
        handler = handler_of(resolved(first.address, session_based=True))
        assert not (await handler.check(visit("jason"))).status.is_ok
    with pytest.raises(Unavailable):
        await handler.check(visit("jason"))
    async with doormen.on_duty(port=int(first.address.rpartition(":")[2])) as second:
        assert not (await handler.check(visit("jason"))).status.is_ok
        assert [name for name, _ in second.calls] == ["Validate", "CreateSession", "HandleVisit"]
    await handler.close()


async def test_settings_that_the_adapter_does_not_take(duty: Duty) -> None:
    handler = handler_of(resolved(duty.address, session_based=True, most_visits=-1))
    with pytest.raises(Unavailable, match="does not take the settings: most_visits must not be less than 0"):
        await handler.check(visit("anna"))
    await handler.close()


async def test_settings_that_do_not_fit_are_refused_when_they_are_configured() -> None:
    with pytest.raises(ConfigRejected, match='has no field named "shoes"'):
        handler_of(resolved("localhost:1", shoes="clean"))


async def test_an_adapter_that_is_not_there_or_too_slow() -> None:
    handler = handler_of(resolved("127.0.0.1:1"))
    with pytest.raises(Unavailable, match=r"adapter 127\.0\.0\.1:1 fails: unavailable"):
        await handler.check(visit("anna"))
    await handler.close()
    silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    address = f"127.0.0.1:{silent.sockets[0].getsockname()[1]}"
    handler = handler_of(resolved(address, timeout="0.1s"))
    with pytest.raises(Unavailable, match="deadline_exceeded"):
        await handler.check(visit("anna"))
    await handler.close()
    silent.close()


async def test_hosts_of_the_mesh_are_found_where_they_run(duty: Duty) -> None:
    port = int(duty.address.rpartition(":")[2])
    world = World()
    rule_set = resolved("doorman.default.svc.cluster.local:9070")
    found = {("doorman.default.svc.cluster.local", 9070): ("127.0.0.1", port)}
    surroundings = replace(world.surroundings, locate=lambda host, number: found.get((host, number)))
    visited = [(each, templates.built_in("quota")) for each in rule_set.instances.values() if each.template == "quota"]
    handler = RemoteHandler(rule_set.handlers["door.handler.istio-system"], visited, surroundings)
    result = await handler.take(MadeInstance(VISITS, "quota", {"dimensions": {}}), QuotaRequest())
    assert result.granted == 1
    await handler.close()


async def test_what_clients_are_to_be_answered_comes_as_a_detail_of_the_status(duty: Duty) -> None:
    handler = handler_of(resolved(duty.address, pretence="nobody is at home"))
    found = await handler.check(visit("jason"))
    assert (found.status.code, found.direct) == (StatusCode.PERMISSION_DENIED, DirectResponse(404, "nobody is at home"))
    await handler.close()


async def test_the_handler_is_made_from_configuration(duty: Duty) -> None:
    documents = yaml.safe_dump_all(
        each
        if each["kind"] != "handler"
        else {**each, "spec": {**each["spec"], "connection": {"address": duty.address}}}
        for each in doormen.documents()
    )
    config = mixes.config(documents)
    handlers = Handlers(World().surroundings, lambda name: None)
    handlers.take(rules.resolve(config, "istio-system"), config, fails_open=False)
    found = handlers.find("door.handler.istio-system")
    assert found is not None and handlers.faults == {}
    answer = found.check(visit("jason"))
    assert not hasattr(answer, "status")
    assert not (await answer).status.is_ok
    await handlers.close()
