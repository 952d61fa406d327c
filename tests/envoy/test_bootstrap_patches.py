"""What patches make of a bootstrap, and which are kept away from it."""

from typing import Any

import pytest

from lateen.envoy.patches import bootstraps
from lateen.model.proxy import Role
from lateen.model.workload import Workload, WorkloadKey
from lateen.plan.explain.plans import Plans
from lateen.plan.types import PatchSet, ProxyPlan
from tests.plan import worlds

SAID: dict[str, Any] = {
    "node": {"id": "sidecar~a"},
    "static_resources": {"clusters": [{"name": "xds-grpc"}], "listeners": []},
    "stats_flush_interval": "5s",
    "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": []}}, "use_all_default_tags": True},
    "layered_runtime": {"layers": [{"name": "static", "static_layer": {"a": True}}]},
    "newer": {"than": "the messages"},
}


def plan(value: str, match: str = "{}", operation: str = "MERGE") -> ProxyPlan:
    patch = f"{{applyTo: BOOTSTRAP, match: {match}, patch: {{operation: {operation}, value: {value}}}}}"
    text = f"""
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: patches}}
spec: {{configPatches: [{patch}]}}
"""
    workload = Workload(WorkloadKey("default", "cart-1"), "10.0.0.1", {"app": "cart"}, "shop", owner="cart")
    return Plans(worlds.snapshot(text, workloads=[workload])).plan(workload)


def patches(value: str, match: str = "{}", operation: str = "MERGE", role: Role = Role.SIDECAR) -> tuple[PatchSet, ...]:
    return bootstraps.of_role(plan(value, match, operation).patches, role)


def test_a_patch_is_laid_over_what_is_said() -> None:
    value = (
        "{static_resources: {clusters: [{name: mine, connect_timeout: 3s}]}, stats_flush_interval: 7s,"
        " stats_config: {stats_matcher: {reject_all: true}}}"
    )
    assert bootstraps.patched(SAID, patches(value)) == {
        "node": {"id": "sidecar~a"},
        "static_resources": {
            "clusters": [{"name": "xds-grpc"}, {"name": "mine", "connect_timeout": "3s"}],
            "listeners": [],
        },
        "stats_flush_interval": "7s",
        # Only one of the ways to match can be.
        "stats_config": {"stats_matcher": {"reject_all": True}, "use_all_default_tags": True},
        "layered_runtime": {"layers": [{"name": "static", "static_layer": {"a": True}}]},
        "newer": {"than": "the messages"},
    }


@pytest.mark.parametrize(
    ("value", "operation", "fault"),
    [
        ("{node: {id: other}}", "MERGE", "has no effect: it must leave node as the mesh says them"),
        ("{admin: {}, dynamic_resources: {}}", "MERGE", "it must leave admin, dynamic_resources as"),
        ("{stats_flush_interval: 1s}", "ADD", "has no effect: a bootstrap takes MERGE, not ADD"),
        ("{never: 1}", "MERGE", "is no envoy.config.bootstrap.v3.Bootstrap"),
    ],
)
def test_what_cannot_be_is_told(value: str, operation: str, fault: str) -> None:
    (one,) = patches(value, operation=operation)
    told = bootstraps.fault(one)
    assert told is not None
    assert fault in told.message
    assert told.origin.path.startswith("spec.configPatches[0]")


@pytest.mark.parametrize(
    ("match", "role", "count"),
    [
        ("{context: ANY}", Role.GATEWAY, 1),
        ("{context: GATEWAY}", Role.GATEWAY, 1),
        ("{context: GATEWAY}", Role.SIDECAR, 0),
        ("{context: SIDECAR_OUTBOUND}", Role.SIDECAR, 1),
        ("{context: SIDECAR_OUTBOUND}", Role.GATEWAY, 0),
        ("{context: WAYPOINT}", Role.SIDECAR, 0),
        ("{proxy: {metadata: {NAMESPACE: default, WORKLOAD_NAME: cart, SERVICE_ACCOUNT: shop}}}", Role.SIDECAR, 1),
        ("{proxy: {metadata: {NAMESPACE: default, WORKLOAD_NAME: other}}}", Role.SIDECAR, 0),
        ("{proxy: {metadata: {NAME: cart-1}}}", Role.SIDECAR, 0),
        ("{proxy: {proxyVersion: '^9'}}", Role.SIDECAR, 0),
    ],
)
def test_a_patch_is_for_some_proxies(match: str, role: Role, count: int) -> None:
    assert len(patches("{stats_flush_interval: 1s}", match, role=role)) == count


def test_what_proxies_are_not_told_apart_by_is_told() -> None:
    (told,) = plan("{stats_flush_interval: 1s}", "{proxy: {metadata: {NAME: cart-1}}}").diagnostics
    assert str(told) == (
        "EnvoyFilter default/patches spec.configPatches[0].match.proxy.metadata.NAME: matches no proxy: they are told "
        "apart by NAMESPACE, SERVICE_ACCOUNT, WORKLOAD_NAME, CLUSTER_ID, MESH_ID, and by a workloadSelector"
    )
