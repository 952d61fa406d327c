"""The API over a real unix socket: what it answers, and with which status it refuses."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from lateen.api.decode import decode_yaml
from lateen.api.objects import ObjectKey
from lateen.manager.registrations import Entry
from lateen.plan.types import Diagnostic, Origin
from lateen.serving import api
from tests.serving.small_mesh import VIRTUAL_SERVICE, SmallMesh, workload

REGISTERED = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vms-10.0.0.1, annotations: {istio.io/autoRegistrationGroup: vms}}
spec: {address: 10.0.0.1}
"""


@pytest.fixture
def mesh() -> SmallMesh:
    return SmallMesh()


@pytest.fixture
async def client(mesh: SmallMesh, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    socket = tmp_path / "api.sock"
    runner = await api.serve(mesh.api(), socket)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    async with aiohttp.ClientSession("http://lateen", connector=aiohttp.UnixConnector(str(socket))) as session:
        yield session
    await runner.cleanup()


async def ask(client: aiohttp.ClientSession, path: str, **query: str) -> Any:
    async with client.get(path, params=query) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def post(client: aiohttp.ClientSession, path: str, **body: object) -> Any:
    async with client.post(path, json=body) as answer:
        return await answer.json()


async def apply(client: aiohttp.ClientSession, text: str) -> Any:
    return await post(client, "/v1/apply", documents=[{"file": "/tmp/x.yaml", "text": text}], namespace="default")


async def test_a_workload_is_told_with_the_state_of_its_proxy(client: aiohttp.ClientSession) -> None:
    rows = (await ask(client, "/v1/workloads"))["workloads"]
    assert [(row["name"], row["proxy"]["state"], row["age_seconds"]) for row in rows] == [
        ("reviews-v1-1", "synced", 3700.0),
        ("ratings-v1-1", "error", 3700.0),
    ]
    assert rows[1]["proxy"]["message"] == "RDS was refused"
    assert rows[0]["containers"][0]["age_seconds"] == 30.0


async def test_a_proxy_that_left_is_gone(client: aiohttp.ClientSession, mesh: SmallMesh) -> None:
    mesh.proxies.found.clear()
    rows = (await ask(client, "/v1/workloads"))["workloads"]
    assert {row["proxy"]["state"] for row in rows} == {"gone"}


async def test_a_refusal_names_the_object_behind_it(client: aiohttp.ClientSession) -> None:
    proxies = (await ask(client, "/v1/proxies", workload="ratings-v1-1"))["proxies"]
    assert [proxy["proxy"] for proxy in proxies] == ["ratings-v1-1.default"]
    assert proxies[0]["types"]["rds"]["rejected"] == [
        {"resource": "9080", "message": "no such cluster", "objects": ["VirtualService default/reviews"]}
    ]


async def test_an_applied_object_is_listed_with_its_source_and_generation(client: aiohttp.ClientSession) -> None:
    answer = await apply(client, VIRTUAL_SERVICE)
    assert answer["generation"] == 2
    assert [(each["subject"], each["action"]) for each in answer["outcomes"]] == [
        ("VirtualService default/reviews", "created")
    ]
    (found,) = (await ask(client, "/v1/objects", kind="vs", namespace="default"))["objects"]
    assert (found["state"], found["is_applied"], found["file"], found["line"]) == ("accepted", True, "/tmp/x.yaml", 2)
    assert found["generation"] == 2
    assert found["body"]["spec"]["hosts"] == ["reviews"]
    assert found["yaml"].startswith("apiVersion: networking.istio.io/v1\nkind: VirtualService\n")


async def test_an_invalid_object_is_refused_with_every_fault(client: aiohttp.ClientSession) -> None:
    answer = await apply(client, VIRTUAL_SERVICE.replace("hosts: [reviews]", "hosts: []\n  htttp: []"))
    (outcome,) = answer["outcomes"]
    assert outcome["action"] == "refused"
    assert {violation["path"] for violation in outcome["violations"]} >= {"spec.htttp"}
    assert all(violation["file"] == "/tmp/x.yaml" and violation["line"] for violation in outcome["violations"])


async def test_deleting_an_object_of_a_file_says_that_it_is_still_written(client: aiohttp.ClientSession) -> None:
    answer = await post(client, "/v1/delete", objects=[{"kind": "svc", "name": "reviews", "namespace": "default"}])
    assert answer["outcomes"][0]["action"] == "deleted"
    assert "/etc/mesh/mesh.yaml:2" in answer["outcomes"][0]["note"]


async def test_entries_of_members_are_listed_and_explain_why_they_stay(
    client: aiohttp.ClientSession, mesh: SmallMesh
) -> None:
    group = ObjectKey("networking.istio.io", "WorkloadGroup", "default", "vms")
    (made,) = decode_yaml(REGISTERED).objects
    condition = {"type": "Healthy", "status": "False", "message": "no answer"}
    mesh.loop.registered = (Entry(cast(Any, made), group, True, False, (condition,)),)
    mesh.loop.changed_at[group] = 7
    (found,) = (await ask(client, "/v1/objects", kind="we", namespace="default"))["objects"]
    told = (found["name"], found["state"], found["made_by"], found["file"], found["generation"])
    assert told == ("vms-10.0.0.1", "unhealthy", "workloadgroup/vms", "", 7)
    assert found["body"]["status"] == {"conditions": [condition]}
    assert "message: no answer" in found["yaml"]
    assert (await ask(client, "/v1/objects", kind="we", namespace="other"))["objects"] == []
    everything = (await ask(client, "/v1/objects", kind="all"))["objects"]
    assert "WorkloadEntry" not in {item["kind"] for item in everything}
    keys = [{"kind": "we", "name": "vms-10.0.0.1", "namespace": "default"}]
    (outcome,) = (await post(client, "/v1/delete", objects=keys))["outcomes"]
    assert outcome["action"] == "not found"
    assert "stands for a member of WorkloadGroup default/vms" in outcome["note"]


async def test_a_name_alone_is_scaled_as_a_deployment(client: aiohttp.ClientSession, mesh: SmallMesh) -> None:
    answer = await post(client, "/v1/scale", name="reviews-v1", replicas=3)
    assert [(each["subject"], each["action"]) for each in answer["outcomes"]] == [
        ("Deployment default/reviews-v1", "configured")
    ]
    (found,) = (await ask(client, "/v1/objects", kind="deploy", name="reviews-v1"))["objects"]
    assert found["body"]["spec"]["replicas"] == 3


async def test_waiting_tells_who_has_not_acknowledged(client: aiohttp.ClientSession, mesh: SmallMesh) -> None:
    await apply(client, VIRTUAL_SERVICE)
    verdict = await ask(client, "/v1/wait", kind="vs", name="reviews", timeout="5")
    assert (verdict["is_live"], verdict["acknowledged"]) == (True, 2)
    mesh.loop.late = ("ratings-v1-1.default",)
    verdict = await ask(client, "/v1/wait", kind="vs", name="reviews", timeout="0.1")
    assert verdict["is_live"] is False
    assert verdict["unsettled"] == [{"proxy": "ratings-v1-1.default", "state": "error", "message": "RDS was refused"}]


async def test_waiting_does_not_ask_proxies_that_cannot_see_the_object(
    client: aiohttp.ClientSession, mesh: SmallMesh
) -> None:
    await apply(client, VIRTUAL_SERVICE)
    mesh.loop.late = mesh.loop.blind = ("ratings-v1-1.default",)
    verdict = await ask(client, "/v1/wait", kind="vs", name="reviews", timeout="0.1")
    assert (verdict["is_live"], verdict["acknowledged"]) == (True, 1)


async def test_waiting_for_a_deployment_waits_for_its_workloads(client: aiohttp.ClientSession, mesh: SmallMesh) -> None:
    await post(client, "/v1/scale", name="reviews-v1", replicas=3)
    mesh.workloads.rows.append(workload("reviews-v1-2", is_ready=False))
    verdict = await ask(client, "/v1/wait", kind="deploy", name="reviews-v1", timeout="0.05")
    assert verdict["unready"] == [
        {"workload": "reviews-v1-2.default", "status": "CrashLoopBackOff", "reason": "exited with code 1"}
    ]
    assert verdict["missing_workloads"] == 1


async def test_a_refused_later_version_is_not_live(client: aiohttp.ClientSession) -> None:
    await apply(client, VIRTUAL_SERVICE)
    await apply(client, VIRTUAL_SERVICE.replace("route:", "rout:"))
    verdict = await ask(client, "/v1/wait", kind="vs", name="reviews", timeout="30")
    assert verdict["is_live"] is False
    assert verdict["violations"]


async def test_a_reference_prefers_the_default_namespace(client: aiohttp.ClientSession, mesh: SmallMesh) -> None:
    mesh.workloads.rows.insert(0, workload("reviews-v1-9", "other"))
    rows = (await ask(client, "/v1/find", reference="deploy/reviews-v1"))["workloads"]
    assert [row["namespace"] for row in rows] == ["default"]


async def test_completion_words(client: aiohttp.ClientSession) -> None:
    assert (await ask(client, "/v1/words/workloads"))["words"] == [
        "deploy/ratings-v1",
        "deploy/reviews-v1",
        "ratings-v1-1",
        "reviews-v1-1",
    ]
    assert "virtualservice" in (await ask(client, "/v1/words/kinds"))["words"]
    assert (await ask(client, "/v1/words/objects", kind="svc"))["words"] == ["reviews"]


async def test_a_proxy_tells_what_it_runs(client: aiohttp.ClientSession, mesh: SmallMesh, tmp_path: Path) -> None:
    async def dump(request: web.Request) -> web.Response:
        return web.json_response({"asked": request.path_qs})

    envoy = web.Application()
    envoy.add_routes([web.get("/config_dump", dump)])
    runner = web.AppRunner(envoy)
    await runner.setup()
    await web.UnixSite(runner, tmp_path / "admin.sock").start()
    mesh.workloads.rows = [workload("reviews-v1-1", admin_socket=str(tmp_path / "admin.sock"))]
    assert await ask(client, "/v1/envoy/config_dump", reference="deploy/reviews-v1") == {
        "asked": "/config_dump?include_eds"
    }
    await runner.cleanup()
    async with client.get("/v1/envoy/clusters", params={"reference": "reviews-v1-1"}) as answer:
        assert answer.status == 503


async def test_health_readiness_and_metrics(client: aiohttp.ClientSession, mesh: SmallMesh) -> None:
    mesh.is_ready = False
    statuses = []
    for path in ("/healthz", "/readyz"):
        async with client.get(path) as answer:
            statuses.append(answer.status)
    assert statuses == [200, 503]
    async with client.get("/metrics") as answer:
        assert (answer.status, answer.content_type) == (200, "text/plain")


REFUSALS = {
    "an unknown kind": ("/v1/objects?kind=vss", 400, "there is no kind 'vss'; did you mean vs"),
    "no such object": (
        "/v1/objects?kind=vs&name=x&namespace=default",
        404,
        "vs 'x' does not exist in namespace 'default'",
    ),
    "no such workload": ("/v1/find?reference=x", 404, "there is no workload 'x'; `lateen ps` lists what there is"),
    "nothing to wait for": ("/v1/wait?kind=vs&name=x", 404, "VirtualService default/x does not exist"),
    "no such page": ("/v1/envoy/quitquitquit?reference=reviews-v1", 404, "there is no page quitquitquit"),
    "no admin socket": ("/v1/envoy/clusters?reference=reviews-v1", 404, "reviews-v1-1.default has no proxy"),
    "a missing parameter": ("/v1/objects", 400, "/v1/objects needs ?kind="),
    "an unknown path": ("/v2/x", 404, "GET /v2/x: not found"),
}


@pytest.mark.parametrize(("path", "status", "message"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_what_cannot_be_served_is_said(
    client: aiohttp.ClientSession, path: str, status: int, message: str
) -> None:
    async with client.get(path) as answer:
        assert answer.status == status
        assert message in (await answer.json())["error"]["message"]


@pytest.mark.parametrize("body", ["[]", "no json", '{"documents": 7}', '{"documents": [{"text": 1}]}'])
async def test_a_body_of_another_form_is_refused(client: aiohttp.ClientSession, body: str) -> None:
    async with client.post("/v1/apply", data=body) as answer:
        assert answer.status == 400


async def test_a_defect_is_answered_in_one_line(client: aiohttp.ClientSession, mesh: SmallMesh) -> None:
    mesh.proxies.statuses = lambda: 1 / 0
    async with client.get("/v1/proxies") as answer:
        assert answer.status == 500
        assert "control-plane.log" in (await answer.json())["error"]["message"]


async def test_what_is_doubtful_comes_as_a_warning_with_its_line(
    client: aiohttp.ClientSession, mesh: SmallMesh
) -> None:
    key = ObjectKey("networking.istio.io", "VirtualService", "default", "reviews")
    mesh.loop.doubtful = (Diagnostic(Origin(key, "spec.http[0]"), "subset v9 is not defined"),)
    (outcome,) = (await apply(client, VIRTUAL_SERVICE))["outcomes"]
    (warning,) = outcome["violations"]
    assert (warning["severity"], warning["line"], warning["message"]) == ("warning", 7, "subset v9 is not defined")


async def test_an_edit_tells_what_became_doubtful_elsewhere(client: aiohttp.ClientSession, mesh: SmallMesh) -> None:
    await apply(client, VIRTUAL_SERVICE)
    key = ObjectKey("networking.istio.io", "VirtualService", "default", "reviews")
    old, new = Diagnostic(Origin(key), "is old"), Diagnostic(Origin(key, "spec.http[0]"), "v1 is gone", "IST0101")
    mesh.loop.earlier, mesh.loop.doubtful = (old,), (old, new)
    async with client.post("/v1/delete", json={"objects": [{"kind": "dr", "name": "reviews"}]}) as answer:
        (violation,) = (await answer.json())["consequences"]
    assert (violation["subject"], violation["code"]) == ("VirtualService default/reviews", "IST0101")


async def test_the_analysis_has_files_and_mesh(client: aiohttp.ClientSession, mesh: SmallMesh) -> None:
    await apply(client, VIRTUAL_SERVICE)
    key = ObjectKey("networking.istio.io", "VirtualService", "default", "reviews")
    mesh.loop.doubtful = (Diagnostic(Origin(key, "spec.http[0]"), "there is no subset v9", "IST0101"),)
    async with client.get("/v1/analysis") as answer:
        (found,) = (await answer.json())["findings"]
    assert (found["code"], found["level"], found["name"], found["path"]) == (
        "IST0101",
        "Error",
        "reviews",
        "spec.http[0]",
    )
