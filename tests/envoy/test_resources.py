"""Resources: the same plan gives the same bytes, and what did not change is not built again."""

from dataclasses import replace

import pytest
from envoy.config.route.v3 import route_pb2
from hypothesis import given
from hypothesis import strategies as st

from lateen.envoy import cache as cache_module
from lateen.envoy import resources, routes
from lateen.envoy.cache import ResourceCache
from lateen.envoy.resources import load_assignments, resource_set
from lateen.plan.types import RouteTable
from lateen.xds.order import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SECRET
from lateen.xds.resources import ResourceSet

from .acceptance import entry, message
from .plans import ENDPOINTS, EVERY_CLUSTER, GATEWAY, REVIEWS, SIDECAR, V1, V2, lookup


def versions(made: ResourceSet) -> dict[str, dict[str, str]]:
    return {url: {name: one.version for name, one in items.items()} for url, items in made.items()}


def test_a_frame_is_an_entry_of_a_response() -> None:
    table = routes.route_table("9080")
    made = resources.resource("9080", table)
    assert (entry(made).name, entry(made).version, message(made)) == ("9080", made.version, table)
    assert made.version


@given(name=st.text(max_size=200), size=st.integers(0, 40_000))
def test_frames_of_any_size_are_read_as_protobuf(name: str, size: int) -> None:
    table = route_pb2.RouteConfiguration(name="n" * size)
    made = resources.resource(name, table)
    assert (entry(made).name, message(made)) == (name, table)


def test_a_plan_becomes_all_types() -> None:
    made = resource_set(SIDECAR, lookup, ResourceCache())
    assert list(made) == [CLUSTER, ENDPOINT, SECRET, EXTENSION, LISTENER, ROUTE]
    assert list(made[LISTENER]) == [
        "virtualOutbound",
        "0.0.0.0_9080",
        "10.96.0.7_3306",
        "10.96.0.8_8000",
        "virtualInbound",
        "dns",
    ]
    assert list(made[ENDPOINT]) == [cluster.name for cluster in EVERY_CLUSTER if cluster.discovery == "eds"]
    assert all(name == entry(one).name for items in made.values() for name, one in items.items())


@given(st.permutations(EVERY_CLUSTER), st.permutations(SIDECAR.outbound))
def test_order_does_not_matter_to_a_resource(clusters: list[object], outbound: list[object]) -> None:
    shuffled = replace(SIDECAR, clusters=tuple(clusters), outbound=tuple(outbound))
    expected = resource_set(SIDECAR, lookup, ResourceCache())
    assert resource_set(shuffled, lookup, ResourceCache()) == expected


def test_what_is_the_same_object_is_the_same_resource() -> None:
    cache = ResourceCache()
    first = resource_set(SIDECAR, lookup, cache)
    second = resource_set(replace(SIDECAR), lookup, cache)
    assert all(second[url][name] is one for url, items in first.items() for name, one in items.items())


def test_equal_plans_have_equal_versions_whoever_made_them() -> None:
    assert versions(resource_set(GATEWAY, lookup, ResourceCache())) == versions(
        resource_set(replace(GATEWAY, clusters=tuple(map(replace, GATEWAY.clusters))), lookup, ResourceCache())
    )


def test_a_route_table_is_joined_from_its_virtual_hosts() -> None:
    cache = ResourceCache()
    for table in (*SIDECAR.route_tables, *GATEWAY.route_tables):
        assert message(cache.route_table(table)) == routes.route_configuration(table)


def test_one_changed_virtual_host_is_built_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, built = ResourceCache(), []
    original = routes.virtual_host
    monkeypatch.setattr(cache_module.routes, "virtual_host", lambda host: built.append(host.name) or original(host))
    hosts = tuple(replace(SIDECAR.route_tables[0].virtual_hosts[0], name=f"h{i}") for i in range(5))
    first = cache.route_table(RouteTable("9080", hosts))
    changed = replace(hosts[2], domains=("other",))
    second = cache.route_table(RouteTable("9080", (*hosts[:2], changed, *hosts[3:])))
    assert built == ["h0", "h1", "h2", "h3", "h4", "h2"]
    assert first.version != second.version


def test_what_nobody_uses_is_forgotten() -> None:
    cache = ResourceCache()
    made = resource_set(SIDECAR, lookup, cache)
    assert len(cache) == sum(map(len, made.values()))
    del made
    assert len(cache) == 0


def test_endpoints_alone_are_made_for_those_that_ask_for_them() -> None:
    made = load_assignments(EVERY_CLUSTER[:2], lambda host, port: ENDPOINTS if host == REVIEWS else (), ResourceCache())
    chosen = {name: _addresses(message(one)) for name, one in made.items()}
    assert chosen == {
        V1: ["10.244.0.3"],
        V2: ["10.244.0.4", "10.244.0.5", "10.244.0.7", "10.244.0.6"],
    }


def _addresses(assignment: object) -> list[str]:
    return [one.endpoint.address.socket_address.address for group in assignment.endpoints for one in group.lb_endpoints]
