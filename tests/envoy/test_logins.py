"""Logins at a gateway: a real Envoy, a real OpenID provider, a person with a cookie jar and one with a browser."""

import base64
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lateen.model.endpoint import Endpoint
from lateen.model.proxy import Role
from lateen.plan.planner import build_plan
from lateen.plan.types import ProxyPlan, SharedSecret
from tests.oidc.running import Client, Person, document, person_in_a_browser, provider
from tests.plan import worlds

from .running import HOST, free_port, http_server, running_envoy

pytestmark = pytest.mark.live

CONFIG = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: shop, namespace: istio-system}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{{port: {{number: {gateway}, name: http, protocol: HTTP}}, hosts: ["*"]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: cart}}
spec: {{selector: {{app: cart}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec: {{hosts: ["*"], gateways: [istio-system/shop], http: [{{route: [{{destination: {{host: cart}}}}]}}]}}
---
apiVersion: v1
kind: Secret
metadata: {{name: shop-login, namespace: istio-system}}
stringData: {{client-secret: {secret}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: not-mallory, namespace: istio-system}}
spec:
  selector: {{matchLabels: {{istio: ingressgateway}}}}
  action: DENY
  rules: [{{when: [{{key: "request.auth.claims[sub]", values: [mallory]}}]}}]
---
apiVersion: lateen.dev/v1
kind: OidcLogin
metadata: {{name: shop, namespace: istio-system}}
spec:
  selector: {{matchLabels: {{istio: ingressgateway}}}}
  hosts: [localhost, shop.example.com]
  excludedPaths: [/public/*, "*.css"]
  issuer: {issuer}
  authorizationEndpoint: {authorization_endpoint}
  tokenEndpoint: {token_endpoint}
  endSessionEndpoint: {end_session_endpoint}
  jwks: '{jwks}'
  clientId: shop
  clientSecret: {{name: shop-login}}
  scopes: [openid, profile]
  session: {{refreshTokens: true}}
  outputPayloadToHeader: x-user-payload
  outputClaimToHeaders: [{{header: x-user, claim: sub}}]
---
apiVersion: lateen.dev/v1
kind: OidcLogin
metadata: {{name: tokens, namespace: istio-system}}
spec:
  targetRefs: [{{group: networking.istio.io, kind: Gateway, name: shop}}]
  hosts: [127.0.0.1]
  issuer: {issuer}
  authorizationEndpoint: {authorization_endpoint}
  tokenEndpoint: {token_endpoint}
  jwks: '{jwks}'
  clientId: shop
  clientSecret: {{name: shop-login}}
  forwardAccessToken: true
  outputIdTokenToHeader: x-id-token
"""
SECRET = "keep-me-to-yourself"


@dataclass(frozen=True)
class Edge:
    """A running gateway, and the plan that it follows."""

    port: int
    plan: ProxyPlan

    def url(self, path: str = "/cart", host: str = "localhost") -> str:
        return f"http://{host}:{self.port}{path}"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    port, place = free_port(), tmp_path_factory.mktemp("edge")
    client = Client("shop", SECRET, tuple(f"http://{host}:{port}/oauth2/callback" for host in ("localhost", HOST)))
    with ExitStack() as stack:
        issuer = stack.enter_context(provider(free_port(), client))
        upstream = stack.enter_context(http_server("cart"))
        plan = plan_for(port, issuer)
        stack.enter_context(running_envoy(plan, lambda *_: (Endpoint(HOST, upstream),), place, with_secrets(plan)))
        yield Edge(port, plan)


def plan_for(port: int, issuer: str) -> ProxyPlan:
    """What the control plane decides for the gateway."""
    found = document(f"{issuer}/.well-known/openid-configuration")
    jwks = json.dumps(document(found["jwks_uri"]))
    endpoints = {name: value for name, value in found.items() if name.endswith("_endpoint")}
    text = CONFIG.format(gateway=port, issuer=issuer, jwks=jwks, secret=SECRET, **endpoints)
    world = worlds.snapshot(text, {"enable_auto_mtls": False})
    world = replace(world, inputs=replace(world.inputs, session_key=b"k" * 32))
    view = worlds.view(world, "istio-system", Role.GATEWAY, {"istio": "ingressgateway"})
    return build_plan(view)


def with_secrets(plan: ProxyPlan) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Give the proxy its secrets by its file; in a mesh they come over the stream."""
    values = {one.name: one.value for one in plan.secrets if isinstance(one, SharedSecret)}

    def change(config: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = _without_source(config, values)
        found["static_resources"]["secrets"] = [
            {"name": name, "generic_secret": {"secret": {"inline_bytes": base64.b64encode(value).decode()}}}
            for name, value in values.items()
        ]
        return found

    return change


def _without_source(said: Any, names: Mapping[str, bytes]) -> Any:
    if isinstance(said, list):
        return [_without_source(item, names) for item in said]
    if not isinstance(said, dict):
        return said
    return {
        name: _without_source(value, names)
        for name, value in said.items()
        if not (name == "sds_config" and said.get("name") in names)
    }


def test_who_is_not_logged_in_is_sent_to_the_provider(edge: Edge) -> None:
    page = Person("alice").look(edge.url("/cart?size=2"))
    assert page.status == 302
    asked = page.headers["location"]
    assert asked.startswith("http://127.0.0.1:")
    for part in ("client_id=shop", "response_type=code", "code_challenge_method=S256", "scope=openid%20profile"):
        assert part in asked
    assert SECRET not in asked
    assert page.body == ""


def test_a_login_ends_at_the_page_that_was_wanted(edge: Edge) -> None:
    page = Person("alice").log_in(edge.url("/cart?size=2"))
    assert (page.status, page.url) == (200, edge.url("/cart?size=2"))
    seen = page.seen
    assert seen["x-user"] == "alice"
    assert json.loads(base64.urlsafe_b64decode(seen["x-user-payload"] + "=="))["sub"] == "alice"


def test_a_login_lasts(edge: Edge) -> None:
    person = Person("alice")
    person.log_in(edge.url())
    assert person.look(edge.url("/other")).status == 200


def test_after_logging_out_a_login_is_needed_again(edge: Edge) -> None:
    person = Person("alice")
    person.log_in(edge.url())
    left = person.look(edge.url("/oauth2/logout"))
    assert left.status == 302
    assert "/session/end?" in left.headers["location"]
    assert person.look(edge.url()).status == 302


@pytest.mark.parametrize("path", ["/public/logo.png", "/public/a?b=/c", "/style.css", "/style.css?v=2"])
def test_excluded_paths_need_no_login(edge: Edge, path: str) -> None:
    assert Person("alice").look(edge.url(path)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/public",
        "/publicx/a",
        "/x/public/a",
        "/public/../cart",
        "/public/%2e%2e/cart",
        "/cart?x=/public/",
        "/cart?a.css",
        "//public/a",
        "/PUBLIC/a",
        "/cart;.css/x",
    ],
)
def test_paths_that_only_look_excluded_need_a_login(edge: Edge, path: str) -> None:
    assert Person("alice").look(edge.url(path)).status == 302


def test_other_hosts_need_no_login_and_case_and_port_do_not_matter(edge: Edge) -> None:
    person = Person("alice")
    assert person.look(edge.url(), Host="elsewhere.example.com").status == 200
    assert person.look(edge.url(), Host="SHOP.example.com:8443").status == 302
    assert person.look(edge.url(), Host="shop.example.com.").status == 302


def test_a_request_without_a_host_gets_nothing(edge: Edge) -> None:
    with socket.create_connection((HOST, edge.port), timeout=5) as connection:
        connection.sendall(b"GET /cart HTTP/1.0\r\n\r\n")
        assert connection.recv(100).split()[1] == b"400"


def test_scripts_get_a_401_instead_of_a_page_of_the_provider(edge: Edge) -> None:
    assert Person("alice").look(edge.url(), Sec_Fetch_Mode="cors").status == 401


def test_headers_that_say_who_somebody_is_come_from_the_token_alone(edge: Edge) -> None:
    page = Person("alice").look(edge.url("/public/a"), X_User="root", X_User_Payload="e30")
    assert page.status == 200
    assert not {"x-user", "x-user-payload"} & page.seen.keys()


def test_claims_count_in_policies(edge: Edge) -> None:
    page = Person("mallory").log_in(edge.url())
    assert (page.status, page.body) == (403, "RBAC: access denied")


def test_tokens_are_passed_on_where_that_is_wanted(edge: Edge) -> None:
    seen = Person("alice").log_in(edge.url(host=HOST)).seen
    assert seen["authorization"].startswith("Bearer ")
    assert len(seen["x-id-token"].split(".")) == 3
    assert "Token" not in seen.get("cookie", "")


def test_a_login_for_one_host_is_none_for_another(edge: Edge) -> None:
    person = Person("alice")
    person.log_in(edge.url())
    assert person.look(edge.url(host=HOST)).status == 302


@pytest.mark.parametrize("change", ["AccessToken", "OauthExpires", "OauthHMAC"])
def test_a_cookie_that_was_changed_is_no_login(edge: Edge, change: str) -> None:
    person = Person("alice")
    person.log_in(edge.url(host=HOST))
    assert person.look(edge.url(host=HOST)).status == 200
    for cookie in person.cookies:
        if cookie.name.startswith(change):
            cookie.value = "9999999999" if change == "OauthExpires" else f"A{(cookie.value or '')[1:-1]}A"
    assert person.look(edge.url(host=HOST)).status == 302


def test_a_callback_that_nobody_asked_for_is_refused(edge: Edge) -> None:
    page = Person("alice").look(edge.url("/oauth2/callback?code=stolen&state=made-up"))
    assert page.status in (400, 401)


def test_the_application_is_shown_no_token_and_none_of_the_login_s_cookies(edge: Edge) -> None:
    person = Person("alice")
    person.log_in(edge.url())
    person.add_cookie("basket", "a=b, c")
    seen = person.look(edge.url()).seen
    assert seen["cookie"] == "basket=a=b, c"
    assert not [value for value in seen.values() if value.count(".") == 2 and value.startswith("ey")]


def test_who_is_logged_in_gets_excluded_paths_too(edge: Edge) -> None:
    person = Person("alice")
    person.log_in(edge.url())
    page = person.look(edge.url("/public/a"), X_User="root")
    assert page.status == 200
    assert not {"x-user", "cookie"} & page.seen.keys()


def test_a_login_that_has_only_begun_shows_the_application_nothing(edge: Edge) -> None:
    person = Person("alice")
    assert person.look(edge.url()).status == 302
    assert any(cookie.name.startswith("CodeVerifier") for cookie in person.cookies)
    assert "cookie" not in person.look(edge.url("/public/a")).seen


def test_an_expired_session_is_renewed_by_its_refresh_token(edge: Edge) -> None:
    person = Person("alice")
    person.log_in(edge.url())
    for name in ("AccessToken", "OauthExpires", "OauthHMAC", "IdToken"):
        person.drop_cookie(name)
    page = person.look(edge.url())
    assert page.status == 200
    assert page.seen["x-user"] == "alice"


@pytest.mark.browser
def test_a_real_browser_logs_in_and_out(edge: Edge) -> None:
    seen = person_in_a_browser(edge.url("/cart?size=3"), "bob", "/oauth2/logout")
    assert seen["asked"].startswith("http://127.0.0.1:")
    assert seen["landed"] == seen["again"] == edge.url("/cart?size=3")
    assert json.loads(seen["body"])["headers"]["x-user"] == "bob"
    assert all(cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Lax" for cookie in seen["cookies"])
    assert seen["script"] == ""
    assert [name for name in seen["left"] if name.startswith(("AccessToken", "IdToken", "OauthHMAC"))] == []
