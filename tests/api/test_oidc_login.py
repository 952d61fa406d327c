"""OidcLogin as users write it, and what is told to those who write it wrongly."""

import pytest

from lateen.api.decode import decode_yaml
from lateen.api.security.oidc_login import OidcLogin

LOGIN = """
apiVersion: lateen.dev/v1
kind: OidcLogin
metadata: {name: shop}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  issuer: https://id.example.com
  authorizationEndpoint: https://id.example.com/auth
  tokenEndpoint: https://id.example.com/token
  clientId: shop
  clientSecret: {name: shop-login}
"""

WRONG = {
    "selector: {matchLabels: {istio: ingressgateway}}|hosts: [a.example.com]": "spec: must have selector or targetRefs",
    "selector: {matchLabels: {istio: ingressgateway}}|targetRefs: [{kind: Service, name: cart}]": "must be a Gateway",
    "tokenEndpoint: https://id.example.com/token|tokenEndpoint: /token": "spec.tokenEndpoint",
    "issuer: https://id.example.com\n  authorizationEndpoint: https://id.example.com/auth|issuer: shop-users": (
        "spec.authorizationEndpoint: must be set: the issuer is no URL"
    ),
    "clientId: shop|clientId: ''": "spec.clientId",
    "clientSecret: {name: shop-login}|clientSecret: s3cret": "spec.clientSecret",
    "clientId: shop|clientId: shop\n  scopes: [profile]": "spec.scopes: must contain openid",
    "clientId: shop|clientId: shop\n  scopes: [openid profile]": "must be one scope without spaces",
    "clientId: shop|clientId: shop\n  redirectPath: /a*": "spec.redirectPath: must be one path",
    "clientId: shop|clientId: shop\n  logoutPath: /oauth2/callback": "must be another path than redirectPath",
    "clientId: shop|clientId: shop\n  excludedPaths: [/oauth2/*]": "spec.excludedPaths[0]: must not cover redirectPath",
    "clientId: shop|clientId: shop\n  cookies: {sameSite: Strict}": "spec.cookies.sameSite",
    "clientId: shop|clientId: shop\n  excludedPaths: []": "must not be an empty list",
    "clientId: shop|clientId: shop\n  hosts: null": "must not be null",
    "clientId: shop|clientId: shop\n  session: {refreshLifetime: 1h}": "must not be set without refreshTokens",
    "clientId: shop|clientId: shop\n  session: {lifetime: 10ms}": "must be at least 1s",
    "issuer: https://id.example.com|issuer: shop-users\n  outputClaimToHeaders: [{header: x-user, claim: sub}]": "no claim",
}


def test_little_is_enough() -> None:
    decoded = decode_yaml(LOGIN, "login.yaml")
    assert decoded.violations == ()
    spec = decoded.objects[0].spec
    assert isinstance(spec, OidcLogin)
    assert (spec.redirect_path, spec.logout_path, spec.scopes) == ("/oauth2/callback", "/oauth2/logout", ("openid",))
    assert spec.client_secret.key == "client-secret"
    assert spec.keys_url == "https://id.example.com/.well-known/openid-configuration"
    assert (spec.discovery_url, spec.fetched_urls) == ("", (spec.keys_url,))


def test_a_url_as_issuer_tells_the_endpoints() -> None:
    text = "".join(line for line in LOGIN.splitlines(keepends=True) if "Endpoint:" not in line)
    (login,) = decode_yaml(text + "  jwksUri: https://id.example.com/keys\n").objects
    assert isinstance(login.spec, OidcLogin)
    assert login.spec.fetched_urls == (
        "https://id.example.com/keys",
        "https://id.example.com/.well-known/openid-configuration",
    )


@pytest.mark.parametrize(("change", "told"), WRONG.items())
def test_what_is_wrong_is_told(change: str, told: str) -> None:
    old, new = change.split("|")
    assert old in LOGIN
    decoded = decode_yaml(LOGIN.replace(old, new), "login.yaml")
    assert told in "\n".join(map(str, decoded.errors))
