"""What becomes of requests, asked over the API's socket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lateen.api import decode
from lateen.api.config_set import ConfigSet
from lateen.model.snapshot import Snapshot
from lateen.model.view import ClassKey
from lateen.plan.types import ProxyPlan
from lateen.platforms.local import described
from lateen.serving import api
from lateen.serving.explain_routes import ExplainRoutes
from tests.serving.small_mesh import CONFIG, SmallMesh

LINE = (
    '[2026-01-01T00:00:00.000Z] "GET / HTTP/1.1" 503 UH no_healthy_upstream - "-" 0 19 0 - "-" "-" "id" "reviews" "-" '
    "outbound|9080||reviews.default.svc.cluster.local - 10.96.0.1:9080 10.0.0.1:1 - default"
)
CLIENT = """
---
apiVersion: v1
kind: Pod
metadata: {name: caller, labels: {app: caller}}
spec: {containers: [{name: a, command: [a]}]}
"""


@dataclass(frozen=True)
class Described:
    """A mesh that never changes, of which no proxy is connected."""

    snapshot: Snapshot

    def known_plan(self, key: ClassKey) -> ProxyPlan | None:
        return None


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    mesh = Described(described.snapshot(ConfigSet(decode.decode_yaml(CONFIG + CLIENT, "mesh.yaml").objects)))
    runner = await api.serve(replace(SmallMesh().api(), explain=ExplainRoutes(mesh)), tmp_path / "api.sock")
    connector = aiohttp.UnixConnector(str(tmp_path / "api.sock"))
    async with aiohttp.ClientSession("http://lateen", connector=connector) as session:
        yield session
    await runner.cleanup()


async def asked(client: aiohttp.ClientSession, path: str, **body: object) -> tuple[int, Any]:
    async with client.post(path, json=body) as answer:
        return answer.status, await answer.json()


async def test_a_request_is_followed(client: aiohttp.ClientSession) -> None:
    status, told = await asked(client, "/v1/explain", caller="caller", url="http://reviews:9080/")
    assert (status, told["outcome"], told["dns"]["host"]) == (200, "forwarded", "reviews.default.svc.cluster.local")


async def test_lines_of_a_log_are_explained(client: aiohttp.ClientSession) -> None:
    body = {"workload": "caller", "namespace": "default", "lines": [LINE, "something else"]}
    status, told = await asked(client, "/v1/explain/why", **body)
    (cause,) = told["causes"]
    assert (status, cause["flags"][0]["code"], cause["status"]) == (200, "UH", 503)
    assert {place["object"] for place in cause["places"]} == {"Service default/reviews"}


async def test_services_and_workloads_are_described(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/describe/service", params={"name": "reviews"}) as answer:
        assert (await answer.json())["host"] == "reviews.default.svc.cluster.local"
    async with client.get("/v1/describe/workload", params={"name": "caller"}) as answer:
        assert (await answer.json())["name"] == "caller.default"
    async with client.get("/v1/describe/planet", params={"name": "x"}) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/explain", {"caller": "nobody", "url": "http://reviews:9080"}, 422),
        ("/v1/explain", {"caller": "caller"}, 400),
        ("/v1/explain", {"caller": "caller", "url": "http://reviews", "headers": {"a": 1}}, 400),
        ("/v1/explain", {"caller": "caller", "url": "http://reviews", "claims": []}, 400),
        ("/v1/explain/why", {"workload": "caller", "lines": "x"}, 400),
    ],
)
async def test_a_question_of_another_form_is_refused(
    client: aiohttp.ClientSession, path: str, body: dict[str, Any], status: int
) -> None:
    found, told = await asked(client, path, **body)
    assert (found, "message" in told["error"]) == (status, True)
