"""What EnvoyFilters change in bootstraps is in proxies that are started afterwards; what Envoy refuses is in none."""

import json
from typing import Any

from tests.live.mesh import EXAMPLES, Mesh, until

PATCH = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: NAME}
spec:
  workloadSelector: {labels: {app: sleep}}
  configPatches:
  - applyTo: BOOTSTRAP
    match: {proxy: {metadata: {WORKLOAD_NAME: sleep, NAMESPACE: default}}}
    patch: {operation: MERGE, value: VALUE}
"""
TAGGED = "{stats_config: {stats_tags: [{tag_name: team, fixed_value: shop}]}}"
TWICE = "{layered_runtime: {layers: [{name: static, static_layer: {}}]}}"


def patch(name: str, value: str) -> str:
    return PATCH.replace("NAME", name, 1).replace("VALUE", value)


def bootstrap(mesh: Mesh) -> Any:
    return json.loads(mesh.do("proxy-config", "bootstrap", "deploy/sleep"))


def refused(mesh: Mesh) -> dict[str, str]:
    """What Envoy has against EnvoyFilters, by their names."""
    found = json.loads(mesh.run("analyze", "-o", "json").out)
    return {one["resource"]["name"]: one["message"] for one in found if "for Envoy refuses it" in one["message"]}


def test_a_bootstrap_is_patched_when_a_proxy_is_started(mesh: Mesh) -> None:
    mesh.up(EXAMPLES / "sleep")
    mesh.apply(patch("tagged", TAGGED))
    mesh.apply(patch("twice", TWICE))
    told = until(lambda: refused(mesh), what="a diagnostic")
    assert told.keys() == {"twice"}
    assert "Duplicate layer name: static" in told["twice"]
    assert "team" not in json.dumps(bootstrap(mesh))
    before = mesh.instances("sleep")[0]["name"]
    mesh.do("scale", "deploy/sleep", "--replicas", "0")
    until(lambda: not mesh.instances("sleep"), what="no pod")
    mesh.do("scale", "deploy/sleep", "--replicas", "1")
    (started,) = mesh.ready("sleep", 1)
    assert started["name"] != before
    said = json.dumps(bootstrap(mesh))
    assert '"team"' in said
