"""Logins in a gateway's plan: what they need, and what happens when it is not there."""

from dataclasses import replace

import pytest

from lateen.model.key_sets import KeySet, ProviderEndpoints
from lateen.model.proxy import Role
from lateen.plan.planner import build_plan
from lateen.plan.types import Discovery, OriginatedTls, ProxyPlan, SharedSecret
from tests.plan import worlds

SELECTED = {"istio": "ingressgateway"}

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


DISCOVERY = "https://id.example.com/.well-known/openid-configuration"
TOLD = ProviderEndpoints(
    "https://id.example.com", "https://id.example.com/a", "https://tokens.example.com/t", "https://id.example.com/e"
)


def discovered(*known: KeySet) -> ProxyPlan:
    text = "\n".join(line for line in LOGIN.splitlines() if "Endpoint:" not in line)
    world = worlds.snapshot(text)
    inputs = replace(world.inputs, session_key=b"k", key_sets={one.url: one for one in known})
    return build_plan(worlds.view(replace(world, inputs=inputs), "istio-system", Role.GATEWAY, SELECTED))


def test_the_issuer_tells_the_endpoints_that_are_not_written() -> None:
    made = discovered(KeySet(DISCOVERY, "{}", provider=TOLD))
    (login,) = made.guards.everywhere.logins
    found = (login.authorization_endpoint, login.token_endpoint, login.end_session_endpoint)
    assert found == (TOLD.authorization, TOLD.token, TOLD.end_session)
    cluster = next(one for one in made.clusters if one.name == login.token_cluster)
    assert cluster.endpoints[0].address == "tokens.example.com"


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ((), f"its endpoints are not known: {DISCOVERY} has not been fetched yet"),
        ((KeySet(DISCOVERY, "", "gone"),), "its endpoints are not known: gone"),
        ((KeySet(DISCOVERY, "{}", provider=replace(TOLD, issuer="https://other.example")),), "is of the issuer"),
        ((KeySet(DISCOVERY, "{}", provider=replace(TOLD, token="")),), "names no endpoints for authorization and"),
    ],
)
def test_until_the_issuer_has_told_them_nobody_passes(known: tuple[KeySet, ...], why: str) -> None:
    made = discovered(*known)
    assert made.guards.everywhere.logins == ()
    assert [rule.name for rule in made.guards.everywhere.access.deny] == ["ns[istio-system]-policy[shop]-rule[0]"]
    told = [str(one) for one in made.diagnostics if "every request that needs this login is denied" in one.message]
    assert len(told) == 1
    assert why in told[0]


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
