"""Filters that are resources of their own, written into the chains that ask for them, and taken out again."""

from typing import Any

import pytest
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.envoy import inlining
from lateen.envoy.cache import ResourceCache
from lateen.envoy.http_filters import discovered
from lateen.envoy.network_filters.http_connection_manager import opened
from lateen.envoy.resources import resource_set
from lateen.model.proxy import Role
from lateen.plan.types import GatewayListener, Guards, HttpChain, ProxyPlan
from lateen.xds.order import EXTENSION, LISTENER
from lateen.xds.resources import ResourceSet

from .acceptance import message
from .guarded import plan

POLICIES = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow}
spec: {rules: [{to: [{operation: {methods: [GET]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/closed]}}]}]}
"""
PLACE = "policies|0.0.0.0_80"
RBAC, LUA, ROUTER = (f"envoy.filters.http.{name}" for name in ("rbac", "lua", "router"))


def made_with(guards: Guards) -> ResourceSet:
    """The resources of a gateway with one open port."""
    gate = GatewayListener("0.0.0.0", 80, HttpChain(table="http.80"))
    return resource_set(ProxyPlan(Role.GATEWAY, (), (), gateway=(gate,), guards=guards), lambda *_: (), ResourceCache())


@pytest.fixture(scope="module")
def resources() -> ResourceSet:
    return made_with(plan(POLICIES).guards)


def filters(listener: Any) -> list[str]:
    """The names of the filters that are awake in the first chain, the place of others among them."""
    settings = hcm_pb2.HttpConnectionManager.FromString(listener.filter_chains[0].filters[0].typed_config.value)
    return [one.name for one in settings.http_filters if not one.disabled]


def insert(listener: Any, position: int) -> None:
    """Put a filter into the first chain."""
    with opened(listener.filter_chains[0].filters[0]) as manager:
        after = [hcm_pb2.HttpFilter.FromString(one.SerializeToString()) for one in manager.http_filters[position:]]
        del manager.http_filters[position:]
        manager.http_filters.extend([hcm_pb2.HttpFilter(name=LUA), *after])


def test_a_chain_has_the_place_and_the_resource_the_filters(resources: ResourceSet) -> None:
    (listener,) = resources[LISTENER].values()
    (extension,) = resources[EXTENSION].values()
    assert filters(message(listener)) == [PLACE, ROUTER]
    assert (extension.name, [one.name for one in discovered.inside(message(extension))]) == (PLACE, [RBAC, RBAC])


def test_without_policies_the_same_chain_asks_for_the_same_resource(resources: ResourceSet) -> None:
    bare = made_with(plan("").guards)
    assert bare[LISTENER] == resources[LISTENER]
    assert [discovered.inside(message(one)) for one in bare[EXTENSION].values()] == [[]]


def test_what_is_written_in_can_be_taken_out(resources: ResourceSet) -> None:
    (listener,) = resources[LISTENER].values()
    changed = message(listener)
    inlining.write_in(changed, resources[EXTENSION], keeps_places=True)
    assert filters(changed) == [RBAC, RBAC, PLACE, ROUTER]
    inlining.take_out(changed, resources[EXTENSION])
    assert changed == message(listener)


@pytest.mark.parametrize(
    ("position", "expected"),
    [(0, [LUA, PLACE, ROUTER]), (1, [RBAC, LUA, RBAC, ROUTER]), (3, [PLACE, LUA, ROUTER])],
)
def test_what_stands_among_them_keeps_them_in_the_chain(
    resources: ResourceSet, position: int, expected: list[str]
) -> None:
    (listener,) = resources[LISTENER].values()
    changed = message(listener)
    inlining.write_in(changed, resources[EXTENSION], keeps_places=True)
    insert(changed, position)
    inlining.take_out(changed, resources[EXTENSION])
    assert filters(changed) == expected
