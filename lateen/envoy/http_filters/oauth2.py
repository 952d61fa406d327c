"""Logins: browsers without one are sent to the OpenID provider, and come back with a code that is changed into tokens.

The tokens are kept in encrypted cookies of the browser; nothing is kept here.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Final

from envoy.config.core.v3 import http_uri_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.oauth2.v3 import oauth_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.type.matcher.v3 import path_pb2, string_pb2

from lateen.api.security.oidc_login import SameSite
from lateen.envoy import access_texts
from lateen.envoy.clusters import ads_config_source
from lateen.envoy.matching import regex
from lateen.envoy.side import Side
from lateen.envoy.values import duration
from lateen.plan.types import Comparison, Guard, Login, Pattern, Route

NAME: Final = "envoy.filters.http.oauth2"
SLEEPS: Final = False
_TOKEN_TIMEOUT: Final = timedelta(seconds=5)
_COOKIES: Final = {
    "bearer_token": "AccessToken",
    "oauth_hmac": "OauthHMAC",
    "oauth_expires": "OauthExpires",
    "id_token": "IdToken",
    "refresh_token": "RefreshToken",
    "oauth_nonce": "OauthNonce",
    "code_verifier": "CodeVerifier",
}
_SAME_SITE: Final = {SameSite.LAX: "LAX", SameSite.NONE: "NONE"}


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand at gateways where anybody has to log in, once for each login."""
    if side is Side.GATEWAY:
        for login in guard.logins:
            yield oauth2(login)


def route_config(route: Route) -> None:
    """Say nothing: logins are the gateway's."""


def oauth2(plan: Login) -> Any:
    """Say who has to log in, where, and what becomes of the tokens."""
    config = oauth_pb2.OAuth2Config(
        stat_prefix=plan.name.replace("/", "_"),
        authorization_endpoint=plan.authorization_endpoint,
        end_session_endpoint=plan.end_session_endpoint,
        token_endpoint=http_uri_pb2.HttpUri(
            uri=plan.token_endpoint, cluster=plan.token_cluster, timeout=duration(_TOKEN_TIMEOUT)
        ),
        # The scheme of the connection: clients cannot say another one, the gateway overwrites it.
        redirect_uri=f"%REQ(x-forwarded-proto)%://%REQ(:authority)%{plan.redirect_path}",
        redirect_path_matcher=_exact_path(plan.redirect_path),
        signout_path=_exact_path(plan.logout_path),
        credentials=_credentials(plan),
        cookie_configs=_cookies(plan),
        auth_scopes=plan.scopes,
        resources=plan.resources,
        forward_bearer_token=plan.forwards_access_token,
        # What a client says of itself is for others to judge, unless the token takes its place.
        preserve_authorization_header=not plan.forwards_access_token,
        pass_through_matcher=_passed_by(plan),
        deny_redirect_matcher=_by_scripts(),
        default_expires_in=duration(plan.lifetime),
    )
    config.use_refresh_token.value = plan.refresh_lifetime is not None
    if plan.refresh_lifetime is not None:
        config.default_refresh_token_expires_in.CopyFrom(duration(plan.refresh_lifetime))
    return oauth_pb2.OAuth2(config=config)


def _credentials(plan: Login) -> Any:
    credentials = oauth_pb2.OAuth2Credentials(
        client_id=plan.client_id,
        token_secret=_secret(plan.client_secret),
        hmac_secret=_secret(plan.session_key),
        cookie_domain=plan.cookie_domain,
    )
    for field, purpose in _COOKIES.items():
        setattr(credentials.cookie_names, field, plan.cookie(purpose))
    return credentials


def _secret(name: str) -> Any:
    """Say a secret without which nothing is open: with an empty key anybody could write a login."""
    return secret_pb2.SdsSecretConfig(name=name, sds_config=ads_config_source())


def _cookies(plan: Login) -> Any:
    configs = oauth_pb2.CookieConfigs()
    for field in _COOKIES:
        getattr(configs, f"{field}_cookie_config").same_site = _SAME_SITE[plan.same_site]
    return configs


def _passed_by(plan: Login) -> Iterator[Any]:
    """Yield what needs no login: other hosts, other paths than the ones that do, and the excluded ones."""
    if plan.hosts:
        yield _header(":authority", map(access_texts.host_expression, plan.hosts), inverted=True)
    if plan.paths:
        own = (re.escape(path) for path in (plan.redirect_path, plan.logout_path))
        yield _header(":path", map(_with_query, (*own, *map(_path_expression, plan.paths))), inverted=True)
    if plan.excluded_paths:
        yield _header(":path", map(_with_query, map(_path_expression, plan.excluded_paths)))


def _by_scripts() -> Iterator[Any]:
    """Yield what scripts in pages ask for: they cannot log in, and get a 401 instead."""
    for name, value in (("x-requested-with", "XMLHttpRequest"), ("sec-fetch-mode", "cors")):
        yield route_components_pb2.HeaderMatcher(name=name, string_match=string_pb2.StringMatcher(exact=value))


def _header(name: str, expressions: Iterable[str], *, inverted: bool = False) -> Any:
    either = "|".join(f"(?:{expression})" for expression in expressions)
    matcher = string_pb2.StringMatcher(safe_regex=regex(either))
    return route_components_pb2.HeaderMatcher(name=name, string_match=matcher, invert_match=inverted)


def _path_expression(pattern: Pattern) -> str:
    text = re.escape(pattern.value)
    match pattern.comparison:
        case Comparison.TEMPLATE:
            return access_texts.template_expression(pattern.value, "[^?]", "[^/?]")
        case Comparison.PREFIX:
            return f"{text}[^?]*"
        case Comparison.SUFFIX:
            return f"[^?]*{text}"
        case Comparison.PRESENT:
            return "[^?]*"
        case _:
            return text


def _with_query(expression: str) -> str:
    return rf"{expression}(?:\?.*)?"


def _exact_path(path: str) -> Any:
    return path_pb2.PathMatcher(path=string_pb2.StringMatcher(exact=path))
