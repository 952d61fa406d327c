"""What EnvoyFilters change in bootstraps is in proxies that are started afterwards; what Envoy refuses is in none."""

import json

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


def is_tagged(mesh: Mesh) -> bool:
    """Tell whether the proxy was started with the tag."""
    told = json.loads(mesh.do("proxy-config", "bootstrap", "deploy/sleep"))
    return any(tag.get("tag_name") == "team" for tag in told["stats_config"].get("stats_tags", ()))


def refused(mesh: Mesh) -> dict[str, str]:
    """What Envoy has against EnvoyFilters, by their names."""
    found = json.loads(mesh.run("analyze", "-o", "json").out)
    return {one["resource"]["name"]: one["message"] for one in found if "for Envoy refuses it" in one["message"]}


def started_anew(mesh: Mesh) -> None:
    mesh.do("scale", "deploy/sleep", "--replicas", "0")
    until(lambda: not mesh.instances("sleep"), what="no pod")
    mesh.do("scale", "deploy/sleep", "--replicas", "1")
    mesh.ready("sleep", 1)


def test_a_bootstrap_is_patched_when_a_proxy_is_started(mesh: Mesh) -> None:
    file = mesh.base / "tagged.yaml"
    file.write_text(patch("tagged", TAGGED))
    mesh.up(EXAMPLES / "sleep", file)
    assert is_tagged(mesh)

    mesh.apply(patch("twice", TWICE))
    told = until(lambda: refused(mesh), what="a diagnostic")
    assert told.keys() == {"twice"}
    assert "Duplicate layer name: static" in told["twice"]
    started_anew(mesh)
    assert is_tagged(mesh)

    mesh.do("delete", "envoyfilter", "tagged")
    assert is_tagged(mesh), "a running proxy keeps what it was started with"
    started_anew(mesh)
    assert not is_tagged(mesh)
