"""That plans are the same whatever the way to them, and that what did not change is the same object."""

from itertools import pairwise

from lateen.plan.cache import PlanCache
from lateen.plan.planner import build_plan
from tests.plan import worlds
from tests.plan.worlds import SHOP

SPLIT = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: cart}}
spec:
  hosts: [cart]
  http:
  - route:
    - {{destination: {{host: cart, subset: v1}}, weight: {first}}}
    - {{destination: {{host: cart, subset: v2}}, weight: {second}}}
"""


def test_a_plan_is_the_same_with_and_without_a_cache() -> None:
    cache = PlanCache()
    before = worlds.snapshot(SHOP + SPLIT.format(first=50, second=50))
    after = worlds.snapshot(SHOP + SPLIT.format(first=10, second=90), previous=before)
    for world in (before, after, before):
        view = worlds.view(world)
        assert build_plan(view, cache) == build_plan(view)


def test_the_order_of_documents_does_not_matter() -> None:
    documents = (SHOP + SPLIT.format(first=50, second=50)).split("\n---\n")
    plans = [worlds.plan("\n---\n".join(order)) for order in (documents, documents[::-1])]
    assert plans[0] == plans[1]


def test_a_changed_rule_makes_only_its_own_virtual_host_anew() -> None:
    cache = PlanCache()
    before = worlds.snapshot(SHOP + SPLIT.format(first=50, second=50))
    after = worlds.snapshot(SHOP + SPLIT.format(first=10, second=90), previous=before)
    old, new = (build_plan(worlds.view(world), cache) for world in (before, after))
    assert all(one is other for one, other in zip(old.clusters, new.clusters, strict=True))
    assert all(one is other for one, other in zip(old.outbound, new.outbound, strict=True))
    (old_table,), (new_table,) = ([table for table in plan.route_tables if table.name == "80"] for plan in (old, new))
    changed = [
        one.name
        for one, other in zip(old_table.virtual_hosts, new_table.virtual_hosts, strict=True)
        if one is not other
    ]
    assert changed == ["cart.default.svc.cluster.local:80"]


def test_a_tcp_rule_that_moves_to_another_port_moves() -> None:
    text = """
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: 10.96.0.9, selector: {app: db}, ports: [{name: tcp-a, port: 1001}, {name: tcp-b, port: 1002}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db}
spec: {hosts: [db], tcp: [{match: [{port: PORT}], route: [{destination: {host: db, port: {number: 1001}}}]}]}
"""
    cache = PlanCache()
    first = worlds.snapshot(text.replace("PORT", "1001"))
    second = worlds.snapshot(text.replace("PORT", "1002"), previous=first)
    plans = [build_plan(worlds.view(world), cache) for world in (first, second)]
    assert plans[1] == build_plan(worlds.view(second))
    assert plans[0].outbound != plans[1].outbound


def test_the_cache_forgets_what_was_not_used_for_long() -> None:
    cache = PlanCache(capacity=3)
    objects = [(object(),) for _ in range(5)]
    for one in objects:
        cache.recall("part", one, (), object)
    assert len(cache) == 3
    again = [cache.recall("part", objects[-1], (), object) for _ in range(2)]
    assert all(one is other for one, other in pairwise(again))
