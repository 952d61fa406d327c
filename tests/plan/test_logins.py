"""Logins in a gateway's plan: what they need, and what happens when it is not there."""

from dataclasses import replace

import pytest

from lateen.model.proxy import Role
from lateen.plan.planner import build_plan
from lateen.plan.types import Discovery, OriginatedTls, ProxyPlan, SharedSecret
from tests.plan import worlds

LOGIN = """
apiVersion: v1
kind: Secret
metadata: {name: shop-login, namespace: istio-system}
stringData: {client-secret: "s3cret\\n", empty: ""}
---
apiVersion: lateen.dev/v1
kind: OidcLogin
metadata: {name: shop, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  hosts: [shop.example.com]
  excludedPaths: [/public/*]
  issuer: https://id.example.com
  authorizationEndpoint: https://id.example.com/auth
  tokenEndpoint: https://id.example.com/token
  clientId: shop
  clientSecret: {name: shop-login}
---
apiVersion: v1
kind: Service
metadata: {name: id}
spec: {selector: {app: id}, ports: [{name: http, port: 80}]}
"""


def plan(text: str = LOGIN, namespace: str = "istio-system", role: Role = Role.GATEWAY, key: bytes = b"k") -> ProxyPlan:
    world = worlds.snapshot(text)
    world = replace(world, inputs=replace(world.inputs, session_key=key))
    return build_plan(worlds.view(world, namespace, role, {"istio": "ingressgateway"}))


def secrets(made: ProxyPlan) -> dict[str, bytes]:
    return {one.name: one.value for one in made.secrets if isinstance(one, SharedSecret)}


def test_a_login_brings_its_secrets_and_the_way_to_its_provider() -> None:
    made = plan()
    (login,) = made.guards.everywhere.logins
    assert secrets(made)[login.client_secret] == b"s3cret"
    assert len(secrets(made)[login.session_key]) == 64
    cluster = next(one for one in made.clusters if one.name == login.token_cluster)
    assert (cluster.discovery, cluster.endpoints[0].port) == (Discovery.DNS_ROUND_ROBIN, 443)
    assert cluster.tls == OriginatedTls("id.example.com", accepted_names=("id.example.com",))


def test_secrets_are_in_no_text() -> None:
    made = plan()
    texts = repr(made) + repr(made.guards) + repr(worlds.snapshot(LOGIN).inputs.session_key)
    assert "s3cret" not in texts
    assert secrets(made)["login-key:istio-system/shop"].decode() not in texts


def test_the_key_of_sessions_is_a_login_s_own_and_the_same_after_a_restart() -> None:
    name = "login-key:istio-system/shop"
    assert secrets(plan())[name] == secrets(plan())[name]
    assert secrets(plan())[name] != secrets(plan(key=b"other"))[name]
    assert secrets(plan())[name] != secrets(plan(LOGIN.replace("clientId: shop", "clientId: other")))[name]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("clientSecret: {name: shop-login}", "clientSecret: {name: missing}", "there is no Secret missing"),
        ("clientSecret: {name: shop-login}", "clientSecret: {name: shop-login, key: empty}", "has no entry empty"),
        (
            "tokenEndpoint: https://id.example.com",
            "tokenEndpoint: http://id.default.svc.cluster.local:81",
            "no port 81",
        ),
    ],
)
def test_what_needs_a_login_that_cannot_work_is_denied(old: str, new: str, told: str) -> None:
    made = plan(LOGIN.replace(old, new))
    assert made.guards.everywhere.logins == ()
    (rule,) = made.guards.everywhere.access.deny
    assert rule.name == "ns[istio-system]-policy[shop]-rule[0]"
    assert [condition.attribute for condition in rule.operations[0]] == ["request.host", "request.path"]
    assert any(told in str(one) and "is denied" in str(one) for one in made.diagnostics)


def test_a_provider_in_the_mesh_is_called_as_its_service() -> None:
    made = plan(
        LOGIN.replace("tokenEndpoint: https://id.example.com", "tokenEndpoint: http://id.default.svc.cluster.local")
    )
    (login,) = made.guards.everywhere.logins
    assert login.token_cluster == "outbound|80||id.default.svc.cluster.local"
    assert [one.name for one in made.clusters].count(login.token_cluster) == 1


def test_a_secret_of_another_namespace_is_not_given() -> None:
    text = LOGIN.replace("metadata: {name: shop-login, namespace: istio-system}", "metadata: {name: shop-login}")
    assert plan(text).guards.everywhere.logins == ()


def test_sidecars_ask_for_no_login() -> None:
    made = plan(role=Role.SIDECAR)
    assert made.guards.everywhere.logins == ()
    assert secrets(made) == {}


def test_gateways_that_it_does_not_select_ask_for_no_login() -> None:
    assert plan(namespace="default").guards.everywhere.access.deny, "the Secret is not in its namespace"
    text = LOGIN.replace("namespace: istio-system}\nspec", "namespace: other}\nspec")
    assert plan(text).guards.everywhere.logins == ()
