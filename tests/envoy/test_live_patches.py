"""EnvoyFilters at a real gateway: what they change is seen in traffic; what Envoy refuses changes nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lateen.api.objects import ObjectKey

from .running import HOST, ask, free_port, http_server
from .served import NAMESPACE, Served, served_gateway

pytestmark = pytest.mark.live

PORT = free_port()
LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
MANAGER = "envoy.filters.network.http_connection_manager"
AT_ROUTER = {
    "context": "GATEWAY",
    "listener": {"filterChain": {"filter": {"name": MANAGER, "subFilter": {"name": "envoy.filters.http.router"}}}},
}


def marking(mark: str) -> dict[str, Any]:
    """A Lua filter that marks responses."""
    code = f'function envoy_on_response(handle) handle:headers():add("x-mark", "{mark}") end'
    settings = {"@type": LUA, "default_source_code": {"inline_string": code}}
    return {"name": f"mark.{mark}", "typed_config": settings}


def patch(apply_to: str, operation: str, value: Any = None, **match: Any) -> dict[str, Any]:
    body = {"operation": operation} if value is None else {"operation": operation, "value": value}
    return {"applyTo": apply_to, "match": {"context": "GATEWAY", **match}, "patch": body}


def envoy_filter(name: str, *patches: dict[str, Any], **more: Any) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"configPatches": list(patches), **more},
        }
    )


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_gateway(tmp_path_factory.mktemp("patches")) as served, http_server("one") as server:
        served.apply(
            f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: {NAMESPACE}}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: {PORT}, name: http, protocol: HTTP}}, hosts: ["*"]}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop, namespace: {NAMESPACE}}}
spec:
  hosts: [shop.example.com]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: {HOST}, ports: {{http: {server}}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop, namespace: {NAMESPACE}}}
spec:
  hosts: ["*"]
  gateways: [edge]
  http:
  - {{name: main, route: [{{destination: {{host: shop.example.com}}}}]}}
"""
        )
        yield served


@pytest.fixture
def having(gateway: Served) -> Iterator[Any]:
    """Applies EnvoyFilters and takes them away after the test."""
    names: list[str] = []

    def apply(name: str, *patches: dict[str, Any], **more: Any) -> list[str]:
        names.append(name)
        gateway.apply(envoy_filter(name, *patches, **more))
        return gateway.doubts

    yield apply
    for name in dict.fromkeys(names):
        gateway.remove(ObjectKey("networking.istio.io", "EnvoyFilter", NAMESPACE, name))


def marks() -> str | None:
    return ask(PORT, "/").headers.get("x-mark")


def test_a_filter_is_inserted(having: Any) -> None:
    assert having("lua", patch("HTTP_FILTER", "INSERT_BEFORE", marking("a"), **AT_ROUTER)) == []
    assert marks() == "a"


@pytest.mark.parametrize("operation", ["ADD", "INSERT_FIRST", "INSERT_BEFORE"])
def test_a_filter_may_stand_anywhere_before_the_router(having: Any, operation: str) -> None:
    assert having("lua", patch("HTTP_FILTER", operation, marking("b"))) == []
    assert marks() == "b"


def test_priorities_order_what_is_added(having: Any) -> None:
    having("late", patch("HTTP_FILTER", "ADD", marking("late")), priority=10)
    having("early", patch("HTTP_FILTER", "ADD", marking("early")), priority=-10)
    # Responses pass the filters backwards: the mark of the first filter is the last one.
    assert marks() == "early"


RULES = f"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: closed, namespace: {NAMESPACE}}}
spec: {{action: DENY, rules: [{{to: [{{operation: {{paths: [/closed]}}}}]}}]}}
"""
AT_RULES = {
    "context": "GATEWAY",
    "listener": {"filterChain": {"filter": {"name": MANAGER, "subFilter": {"name": "envoy.filters.http.rbac"}}}},
}


@pytest.mark.parametrize(
    ("operation", "where"),
    [("INSERT_BEFORE", AT_RULES), ("INSERT_AFTER", AT_RULES), ("INSERT_BEFORE", AT_ROUTER)],
    ids=["before", "behind", "before the router"],
)
def test_a_filter_stands_beside_those_of_policies(
    gateway: Served, having: Any, where: dict[str, Any], operation: str
) -> None:
    gateway.apply(RULES)
    try:
        assert having("lua", patch("HTTP_FILTER", operation, marking("c"), **where)) == []
        assert (ask(PORT, "/").status, marks(), ask(PORT, "/closed").status) == (200, "c", 403)
    finally:
        gateway.remove(ObjectKey("security.istio.io", "AuthorizationPolicy", NAMESPACE, "closed"))
    assert ask(PORT, "/closed").status == 200


def test_rules_can_be_taken_away(gateway: Served, having: Any) -> None:
    gateway.apply(RULES)
    try:
        assert having("none", patch("HTTP_FILTER", "REMOVE", **AT_RULES)) == []
        assert ask(PORT, "/closed").status == 200
    finally:
        gateway.remove(ObjectKey("security.istio.io", "AuthorizationPolicy", NAMESPACE, "closed"))


def test_settings_are_merged_into_what_is_there(having: Any) -> None:
    manager = {"@type": f"type.googleapis.com/{MANAGER.replace('envoy.filters', 'envoy.extensions.filters')}"}
    settings = {**manager, "server_name": "patched"}
    settings["@type"] = settings["@type"].replace("_connection_manager", "_connection_manager.v3.HttpConnectionManager")
    where = {"listener": {"filterChain": {"filter": {"name": MANAGER}}}}
    assert having("name", patch("NETWORK_FILTER", "MERGE", {"typed_config": settings}, **where)) == []
    answer = ask(PORT, "/")
    assert (answer.status, answer.headers["server"]) == (200, "patched")


def test_routes_are_put_before_others(having: Any) -> None:
    route = {"match": {"path": "/teapot"}, "direct_response": {"status": 418}}
    where = {"routeConfiguration": {"portNumber": PORT, "vhost": {"route": {"action": "ANY"}}}}
    assert having("teapot", patch("HTTP_ROUTE", "INSERT_FIRST", route, **where)) == []
    assert (ask(PORT, "/teapot").status, ask(PORT, "/").status) == (418, 200)


def test_a_route_is_changed_by_its_name(having: Any) -> None:
    where = {"routeConfiguration": {"vhost": {"route": {"name": "main"}}}}
    value = {"route": {"prefix_rewrite": "/patched"}}
    assert having("rewrite", patch("HTTP_ROUTE", "MERGE", value, **where)) == []
    assert '"path": "/patched"' in ask(PORT, "/").body


def test_a_cluster_is_changed_by_its_service(having: Any) -> None:
    limits = {
        "circuit_breakers": {"thresholds": [{"max_requests": 0, "max_connections": 0, "max_pending_requests": 0}]}
    }
    where = {"cluster": {"service": "shop.example.com"}}
    assert having("limits", patch("CLUSTER", "MERGE_AND_REPLACE_LIST", limits, **where)) == []
    assert ask(PORT, "/").status == 503


def test_settings_of_an_extension_stand_apart(having: Any) -> None:
    asks = {"name": "mark.far", "config_discovery": {"config_source": {"ads": {}}, "type_urls": [LUA]}}
    told = having("far", patch("HTTP_FILTER", "INSERT_FIRST", asks), patch("EXTENSION_CONFIG", "ADD", marking("far")))
    assert told == []
    assert marks() == "far"


def test_what_envoy_refuses_is_left_out_with_its_reason(having: Any) -> None:
    having("good", patch("HTTP_FILTER", "ADD", marking("good")))
    broken = {"name": "broken", "typed_config": {"@type": LUA, "default_source_code": {"inline_string": "not lua ("}}}
    (told,) = having("bad", patch("HTTP_FILTER", "ADD", broken))
    assert told.startswith("EnvoyFilter istio-system/bad spec.configPatches: is left out, for Envoy refuses it: ")
    assert "script load error" in told
    assert marks() == "good"


def test_the_version_before_stays_when_a_new_one_is_refused(having: Any) -> None:
    having("edited", patch("HTTP_FILTER", "ADD", marking("old")))
    (told,) = having(
        "edited",
        patch("HTTP_FILTER", "ADD", {"name": "x", "typed_config": {"@type": LUA}}, **AT_ROUTER),
        patch("CLUSTER", "MERGE", {"connect_timeout": "-1s"}),
    )
    assert "Envoy refuses it" in told
    assert marks() == "old"


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        pytest.param(
            patch("CLUSTER", "MERGE", {"conect_timeout": "1s"}),
            'has no field named "conect_timeout"',
            id="a field that does not exist",
        ),
        pytest.param(
            patch("HTTP_FILTER", "ADD", {"name": "x", "typed_config": {"@type": f"{LUA}x"}}),
            "names a type that this Envoy's API does not have",
            id="a type that does not exist",
        ),
    ],
)
def test_what_nobody_could_read_is_told_with_its_place(having: Any, broken: dict[str, Any], told: str) -> None:
    (said,) = having("unreadable", broken)
    assert said.startswith("EnvoyFilter istio-system/unreadable spec.configPatches[0].patch.value: ")
    assert told in said
    assert ask(PORT, "/").status == 200


def test_a_patch_without_a_place_gets_a_diagnostic(having: Any) -> None:
    nowhere = patch("CLUSTER", "MERGE", {"connect_timeout": "1s"}, cluster={"service": "nobody.example.com"})
    (told,) = having("nowhere", patch("HTTP_FILTER", "ADD", marking("c")), nowhere)
    assert told == (
        "EnvoyFilter istio-system/nowhere spec.configPatches[1]: matches nothing in any proxy that it concerns"
    )
    assert marks() == "c"


def test_filters_for_other_proxies_do_nothing(having: Any) -> None:
    having("others", patch("HTTP_FILTER", "ADD", marking("d")), workloadSelector={"labels": {"app": "other"}})
    sidecars = patch("HTTP_FILTER", "ADD", marking("e"))
    sidecars["match"]["context"] = "SIDECAR_INBOUND"
    having("sidecars", sidecars)
    assert marks() is None


def test_a_filter_is_taken_away(having: Any, tmp_path: Path) -> None:
    where = {
        "listener": {"filterChain": {"filter": {"name": MANAGER, "subFilter": {"name": "envoy.filters.http.cors"}}}}
    }
    assert having("no-cors", patch("HTTP_FILTER", "REMOVE", **where)) == []
    assert ask(PORT, "/").status == 200
