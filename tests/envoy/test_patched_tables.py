"""Patches of routes: which tables count as changed, and whether Envoy takes several of them in one trial."""

import asyncio
from pathlib import Path

import pytest

from lateen.envoy.cache import ResourceCache
from lateen.envoy.patches import patching, trial
from lateen.envoy.resources import resource_set
from lateen.plan.types import ProxyPlan
from lateen.platforms.local.patch_review import PatchReview
from lateen.xds.order import ROUTE
from lateen.xds.resources import ResourceSet
from tests.plan import worlds

from .acceptance import envoy_path

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {ports: [{name: http, port: 80}, {name: http-more, port: 81}]}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: patches}
spec:
  configPatches:
  - applyTo: HTTP_ROUTE
    match: {routeConfiguration: {VHOST}}
    patch: {operation: INSERT_FIRST, value: {match: {prefix: /tea}, direct_response: {status: 418}}}
"""


def patched(match: str) -> tuple[ProxyPlan, ResourceSet, patching.Patched]:
    plan = worlds.plan(SERVICES.replace("VHOST", match))
    resources = resource_set(plan, lambda *_: (), ResourceCache())
    return plan, resources, patching.patched(resources, plan.role, plan.patches)


def test_tables_that_stay_as_they_were_are_not_changed() -> None:
    _, resources, made = patched("vhost: {name: 'a.default.svc.cluster.local:81'}")
    assert list(made.changed[ROUTE]) == ["81"]
    assert made.resources[ROUTE]["80"] is resources[ROUTE]["80"]


@pytest.mark.live
def test_several_tables_are_tried_together(tmp_path: Path) -> None:
    _, resources, made = patched("vhost: {name: '', domainName: ''}")
    assert len(made.changed[ROUTE]) == 2
    config = trial.trial(resources, made.changed, str(tmp_path))

    async def verdict() -> str | None:
        review = PatchReview(str(envoy_path()))
        review.verdict("tables", lambda: config)
        await review.answered()
        return review.verdict("tables", lambda: config)

    assert asyncio.run(verdict()) == ""
