"""What the filters of a proxy make of a request, and what patches of EnvoyFilters make of what it passes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from lateen.manager.beyond import BeyondPlans
from lateen.plan.explain import explanation
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.questions import Question
from lateen.plan.explain.steps import Explanation, Server
from tests.plan import worlds

from .test_explanation import PODS, RULES

ANYBODY = RULES.replace("cluster.local/ns/default/sa/web", '"*"')
POLICIES = """
---
apiVersion: lateen.dev/v1
kind: RateLimit
metadata: {name: own}
spec:
  selector: {matchLabels: {app: cart}}
  limits:
  - {rate: 10/minute, match: {paths: [/limited*]}, by: ["request.headers[x-user]"]}
---
apiVersion: lateen.dev/v1
kind: RateLimit
metadata: {name: shared}
spec:
  selector: {matchLabels: {app: cart}}
  scope: GLOBAL
  onFailure: DENY
  limits:
  - {rate: 5/second, match: {paths: [/limited*]}, overrides: [{values: {"request.headers[x-user]": ann}, rate: unlimited}],
     by: ["request.headers[x-user]"]}
---
apiVersion: lateen.dev/v1
kind: ApiKeyAuthentication
metadata: {name: keys}
spec: {selector: {matchLabels: {gate: edge}}, secret: {name: keys}, from: [{header: Authorization}, {query: key}]}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {ann: good}
---
apiVersion: lateen.dev/v1
kind: ExternalProcessor
metadata: {name: censor}
spec:
  selector: {matchLabels: {app: cart}}
  provider: {name: censor}
  match: {paths: [/shown]}
  request: {headers: SEND}
---
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: refuse}
spec: {compiledAdapter: denier, params: {status: {code: 7, message: not you}}}
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: nothing}
spec: {compiledTemplate: checknothing}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: no-bad}
spec:
  match: source.labels["app"] == "web" && request.path.startsWith("/bad")
  actions: [{handler: refuse, instances: [nothing]}]
"""

LOGIN = """
---
apiVersion: lateen.dev/v1
kind: OidcLogin
metadata: {name: shop}
spec:
  selector: {matchLabels: {gate: edge}}
  excludedPaths: [/public/*]
  issuer: shop-users
  authorizationEndpoint: https://id.example.com/auth
  tokenEndpoint: https://id.example.com/token
  clientId: shop
  clientSecret: {name: keys}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: id}
spec: {hosts: [id.example.com], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}
"""


def asked(rules: str, path: str, caller: str = "web", to: str = "http://cart", **more: Any) -> Explanation:
    found = worlds.snapshot(worlds.SHOP + ANYBODY + rules, workloads=PODS)
    found = replace(found, inputs=replace(found.inputs, session_key=b"k"))
    return explanation.explain(Plans(found, beyond=BeyondPlans()), Question(caller, f"{to}{path}", **more))


def server(found: Explanation) -> Server:
    return found.split[0].servers[0]


def told(found: Server) -> list[tuple[str, str, int, str]]:
    """Say the steps that concern the request: filter, result, status, and the line of the object."""
    steps = (one for one in found.passed if one.result != "not concerned")
    return [(one.filter, one.result, one.status, one.place.object if one.place else "") for one in steps]


def test_limits_are_told_with_their_bucket() -> None:
    found = asked(POLICIES, "/limited/x", headers={"x-user": "bob"})
    assert told(server(found)) == [
        ("rate limit", "limits", 429, "RateLimit default/own"),
        ("rate limit", "limits", 429, "RateLimit default/shared"),
    ]
    own, shared = (one for one in server(found).passed if one.filter == "rate limit")
    assert own.says == (
        "default/own[0] by request.headers[x-user]=bob, counted by each proxy for itself: 10/minute, beyond it 429"
    )
    assert shared.says == (
        "default/shared[0] by request.headers[x-user]=bob, counted for the whole mesh: 5/second, beyond it 429"
        "; 503 when nobody counts"
    )
    assert shared.place is not None
    assert shared.place.path == "spec.limits[0]"
    assert shared.place.at.startswith("world.yaml:")


def test_overrides_and_other_requests_are_told() -> None:
    ann = server(asked(POLICIES, "/limited", headers={"x-user": "ann"}))
    assert [one.says.rpartition(": ")[2] for one in ann.passed if one.filter == "rate limit"] == [
        "10/minute, beyond it 429",
        "unlimited",
    ]
    assert told(server(asked(POLICIES, "/free"))) == []


def test_a_compiled_denial_is_the_answer() -> None:
    found = asked(POLICIES, "/bad/x")
    assert found.split[0].status == 403
    assert "403 by the server's proxy: deny: rule no-bad.rule.default refuses it" in found.says
    assert told(server(found)) == [
        ("mixer", "passes", 0, "rule default/no-bad"),
        ("mixer", "answers", 403, "rule default/no-bad"),
    ]
    assert "rules of the proxy (RBAC)" in server(found).passed[0].says


def test_a_rule_about_what_nobody_knows_may_refuse() -> None:
    rules = POLICIES.replace('"web" &&', '"web-2" &&')
    assert told(server(asked(rules, "/bad/x"))) == []
    found = asked(rules, "/bad/x", caller="namespace/default")
    assert ("mixer", "may answer", 403, "rule default/no-bad") in told(server(found))
    assert found.split[0].status == 0


def test_a_processor_without_a_server_fails_what_it_is_shown() -> None:
    found = asked(POLICIES, "/shown")
    assert (found.split[0].status, server(found).outcome) == (500, "failed")
    assert told(server(found)) == [("processor", "answers", 500, "ExternalProcessor default/censor")]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 401),
        ("/", {"authorization": "Bearer good"}, 0),
        ("/", {"authorization": "Bearer bad"}, 401),
        ("/?key=good", {}, 0),
    ],
)
def test_a_key_is_looked_for_where_it_is_asked_for(path: str, headers: Mapping[str, str], status: int) -> None:
    found = asked(POLICIES, path, "outside", "http://shop.example", headers=headers)
    assert found.admission is not None
    assert found.admission.status == status
    assert found.admission.passed[0].place is not None


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/", {}, 302),
        ("/public/x", {}, 0),
        ("/oauth2/logout", {}, 302),
        ("/", {"headers": {"x-requested-with": "XMLHttpRequest"}}, 401),
        ("/", {"claims": {"iss": "shop-users", "aud": "shop"}}, 0),
    ],
)
def test_who_has_not_logged_in_is_sent_away(path: str, more: dict[str, Any], status: int) -> None:
    found = asked(
        POLICIES.partition("kind: ApiKey")[0].rpartition("---")[0] + SECRET + LOGIN,
        path,
        "outside",
        "http://shop.example",
        **more,
    )
    assert found.admission is not None
    assert found.admission.status == status, found.admission


SECRET = """
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {client-secret: s3cret}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: shop}
spec: {selector: {matchLabels: {gate: edge}}, jwtRules: [{issuer: shop-users, jwks: '{"keys": [{"kty": "oct", "k": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"}]}'}]}
"""

VHOST = "{context: SIDECAR_OUTBOUND, routeConfiguration: {vhost: {name: 'cart.default.svc.cluster.local:80'}}}"


def patches(*written: str) -> str:
    head = "\n---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: patches}\nspec:\n"
    return head + "  configPatches:\n" + "\n".join(f"  - {one}" for one in written)


def route_patch(operation: str, value: str = "", match: str = VHOST) -> str:
    patch = f"{{operation: {operation}{f', value: {value}' if value else ''}}}"
    return f"{{applyTo: HTTP_ROUTE, match: {match}, patch: {patch}}}"


def test_an_inserted_route_is_followed() -> None:
    own = route_patch("INSERT_FIRST", "{name: mine, match: {prefix: /own}, direct_response: {status: 418}}")
    found = asked(patches(own), "/own/x")
    assert (found.status, found.route and found.route.name) == (418, "mine")
    assert found.route is not None
    assert found.route.place is not None
    assert found.route.place.path == "spec.configPatches[0]"
    assert found.virtual_host is not None
    assert [one.place and one.place.path for one in found.virtual_host.patched] == ["spec.configPatches[0]"]
    assert asked(patches(own), "/other").status == 0


def test_a_merged_and_a_removed_route_are_followed() -> None:
    merged = route_patch("MERGE", "{route: {cluster: elsewhere}}")
    found = asked(patches(merged), "/")
    assert [leg.cluster for leg in found.split] == ["elsewhere"]
    assert found.status == 503
    removed = route_patch("REMOVE")
    assert asked(patches(removed), "/").status == 404


def test_an_added_cluster_is_one_that_can_be_reached() -> None:
    added = "{applyTo: CLUSTER, patch: {operation: ADD, value: {name: elsewhere, type: STATIC}}}"
    found = asked(patches(route_patch("MERGE", "{route: {cluster: elsewhere}}"), added), "/")
    assert [(leg.cluster, leg.status) for leg in found.split] == [("elsewhere", 0)]
    assert [one.says for one in found.split[0].patched] == [
        "CLUSTER of EnvoyFilter default/patches ADD changes cluster elsewhere: what follows may differ"
    ]


def test_patches_of_other_parts_are_not_told() -> None:
    other = VHOST.replace("cart.default", "stock.depot")
    cluster = (
        "{applyTo: CLUSTER, match: {cluster: {service: stock.depot.svc.cluster.local}}, patch: {operation: REMOVE}}"
    )
    found = asked(patches(route_patch("REMOVE", match=other), cluster), "/")
    assert found.virtual_host is not None
    assert found.virtual_host.patched == ()
    assert all(leg.patched == () for leg in found.split)


def test_a_patch_of_the_server_s_filters_is_told_there() -> None:
    lua = (
        "{name: mine, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua,"
        " inline_code: 'function envoy_on_request(h) end'}}"
    )
    at_port = "{context: SIDECAR_INBOUND, listener: {portNumber: %d}}"
    patch = "{applyTo: HTTP_FILTER, match: %s, patch: {operation: INSERT_BEFORE, value: %s}}"
    found = asked(patches(patch % (at_port % 80, lua), patch % (at_port % 81, lua)), "/")
    assert [one.place and one.place.path for one in server(found).patched] == ["spec.configPatches[0]"]
    assert found.listener is not None
    assert found.listener.patched == ()
