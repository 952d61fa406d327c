"""Who may call whom, asked over the API's socket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lateen.api import decode
from lateen.api.config_set import ConfigSet
from lateen.model.snapshot import Snapshot
from lateen.platforms.local import described
from lateen.serving import api
from lateen.serving.authz_routes import AuthzRoutes
from tests.serving.small_mesh import CONFIG, SmallMesh

POLICY = """
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers}
spec:
  rules:
  - to: [{operation: {methods: [GET]}}]
    when: [{key: "request.headers[x-team]", values: [books]}]
"""
CHECK = {"caller": "default/web", "callee": "reviews", "headers": {"X-Team": ["books"]}}


@dataclass(frozen=True)
class Described:
    """A mesh that never changes."""

    snapshot: Snapshot


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    mesh = Described(described.snapshot(ConfigSet(decode.decode_yaml(CONFIG + POLICY, "mesh.yaml").objects)))
    runner = await api.serve(replace(SmallMesh().api(), authz=AuthzRoutes(mesh)), tmp_path / "api.sock")
    connector = aiohttp.UnixConnector(str(tmp_path / "api.sock"))
    async with aiohttp.ClientSession("http://lateen", connector=connector) as session:
        yield session
    await runner.cleanup()


async def asked(client: aiohttp.ClientSession, what: str, **body: object) -> tuple[int, Any]:
    async with client.post(f"/v1/authz/{what}", json=body) as answer:
        return answer.status, await answer.json()


async def test_a_question_is_answered_with_its_rule(client: aiohttp.ClientSession) -> None:
    status, told = await asked(client, "check", **CHECK)
    rule = {"object": "AuthorizationPolicy default/readers", "path": "spec.rules[0]", "at": "mesh.yaml:23"}
    assert (status, told["outcome"], told["rule"]) == (200, "allow", rule)
    assert (told["identity"], told["mode"]) == ("spiffe://cluster.local/ns/default/sa/web", "PERMISSIVE")


async def test_a_refusal_names_the_policies_that_want_a_match(client: aiohttp.ClientSession) -> None:
    _, told = await asked(client, "check", **{**CHECK, "method": "POST"})
    assert (told["outcome"], told["status"], told["rule"]) == ("deny", 403, None)
    assert [place["object"] for place in told["policies"]] == ["AuthorizationPolicy default/readers"]


async def test_a_denial_in_a_log_leads_to_policies(client: aiohttp.ClientSession) -> None:
    none, rule = "rbac_access_denied_matched_policy[none]", "x[ns[default]-policy[readers]-rule[0]]"
    _, unmatched = await asked(client, "explain", details=none, workload="reviews-v1")
    _, named = await asked(client, "explain", details=rule)
    assert [place["at"] for place in unmatched["policies"]] == ["mesh.yaml:18"]
    assert (named["rule"]["at"], named["policies"]) == ("mesh.yaml:23", [])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"caller": 1}, 400),
        ({"port": "80"}, 400),
        ({"claims": []}, 400),
        ({"headers": {"a": "b"}}, 400),
        ({"callee": "nobody"}, 422),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    client: aiohttp.ClientSession, change: dict[str, object], status: int
) -> None:
    assert (await asked(client, "check", **{**CHECK, **change}))[0] == status
