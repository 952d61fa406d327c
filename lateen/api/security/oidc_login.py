"""OidcLogin: browsers that come to a gateway have to log in with an OpenID provider (authorization code with PKCE)."""

import re
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator

from lateen.api.fields import Bool, HeaderName, Host, NonEmpty, PositiveDuration, WildcardHost
from lateen.api.security.attachment import Attached
from lateen.api.security.explicit import Explicit
from lateen.api.security.patterns import PathPattern
from lateen.api.security.request_authentication import DISCOVERY, ClaimToHeader, JwtRule, KeySetText, TokenHeader, Url
from lateen.api.structs import Problem, alias, at_most_one

_GATEWAY_GROUPS: Final = ("networking.istio.io", "gateway.networking.k8s.io")


def _check_own_path(text: str) -> str:
    if not text.startswith("/") or any(letter in text for letter in "?#*{}") or any(map(str.isspace, text)):
        raise ValueError(f"must be one path like /oauth2/callback, without query and wildcards, not {text!r}")
    return text


def _check_scope(text: str) -> str:
    if not text or any(map(str.isspace, text)):
        raise ValueError(f"must be one scope without spaces, not {text!r}")
    return text


OwnPath = Annotated[str, AfterValidator(_check_own_path)]
Scope = Annotated[str, AfterValidator(_check_scope)]


def _covers(pattern: str, path: str) -> bool:
    """Tell whether a path is one that a pattern matches."""
    parts = re.split(r"(\{\*\*\}|\{\*\}|\*)", pattern)
    wild = {"{**}": ".*", "{*}": "[^/]+", "*": ".*"}
    return re.fullmatch("".join(wild.get(part, re.escape(part)) for part in parts), path) is not None


class SameSite(StrEnum):
    """When browsers send a cookie along with requests that other sites cause.

    There is no Strict: browsers would keep such cookies back when the provider sends them to the page that was wanted.
    """

    LAX = "Lax"
    NONE = "None"


class SecretEntry(Explicit):
    """An entry of a Secret in the namespace in which the gateway's workload runs."""

    name: NonEmpty
    key: NonEmpty = "client-secret"


class LoginCookies(Explicit):
    """The cookies that keep a login; they are encrypted, and never readable by scripts.

    Without a domain they go back to the one host that set them.
    """

    domain: Host | None = None
    same_site: SameSite = SameSite.LAX


class LoginSession(Explicit):
    """How long a login lasts: as the provider says of its tokens, and `lifetime` where it says nothing.

    With refresh tokens it is renewed without the user, until nothing was asked for `refreshLifetime`.
    """

    lifetime: PositiveDuration = timedelta(hours=1)
    refresh_tokens: Bool = False
    refresh_lifetime: PositiveDuration = timedelta(days=7)

    def problems(self) -> Iterator[Problem]:
        for name in ("lifetime", "refresh_lifetime"):
            if getattr(self, name) < timedelta(seconds=1):
                yield Problem("must be at least 1s", alias(name))
        if "refresh_lifetime" in self.model_fields_set and not self.refresh_tokens:
            yield Problem("must not be set without refreshTokens", "refreshLifetime")


class OidcLogin(Attached):
    """Who opens these hosts and paths of a gateway without a login is sent to the OpenID provider for one.

    `paths` and `excludedPaths` are as in AuthorizationPolicy: `/a`, `/a/*`, `*.css`, templates. Prefer the second: what
    nobody thought of then needs a login. Endpoints that are not written are read from the discovery document of the
    issuer, which then is a URL. With keys (`jwks`, `jwksUri`, or `issuer` as a URL whose discovery document
    tells them) the id token is verified, counts as `request.auth` in AuthorizationPolicies, and its claims can be
    passed on.
    """

    hosts: tuple[WildcardHost, ...] = ()
    paths: tuple[PathPattern, ...] = ()
    excluded_paths: tuple[PathPattern, ...] = ()
    issuer: NonEmpty
    authorization_endpoint: Url | None = None
    token_endpoint: Url | None = None
    end_session_endpoint: Url | None = None
    jwks_uri: Url | None = None
    jwks: KeySetText | None = None
    client_id: NonEmpty
    client_secret: SecretEntry
    redirect_path: OwnPath = "/oauth2/callback"
    logout_path: OwnPath = "/oauth2/logout"
    scopes: tuple[Scope, ...] = ("openid",)
    resources: tuple[Url, ...] = ()
    cookies: LoginCookies = LoginCookies()
    session: LoginSession = LoginSession()
    forward_access_token: Bool = False
    output_id_token_to_header: HeaderName | None = None
    output_payload_to_header: HeaderName | None = None
    output_claim_to_headers: tuple[ClaimToHeader, ...] = ()

    @property
    def has_keys(self) -> bool:
        """Tell whether it is known where the keys are by which id tokens are verified."""
        return bool(self.jwks or self.keys_url)

    @property
    def keys_url(self) -> str:
        """Where the keys are fetched; empty for own keys, and where nobody knows."""
        if self.jwks is not None:
            return ""
        return self.jwks_uri or self._discovery_document

    @property
    def discovery_url(self) -> str:
        """Where the endpoints are asked for that are not written; empty where all are."""
        is_written = self.authorization_endpoint is not None and self.token_endpoint is not None
        return "" if is_written else self._discovery_document

    @property
    def fetched_urls(self) -> tuple[str, ...]:
        """What is to be fetched for this login."""
        return tuple(dict.fromkeys(url for url in (self.keys_url, self.discovery_url) if url))

    @property
    def _discovery_document(self) -> str:
        is_url = self.issuer.startswith(("http://", "https://"))
        return self.issuer.rstrip("/") + DISCOVERY if is_url else ""

    def id_tokens(self, header: str) -> JwtRule:
        """Return what id tokens, which are in a header of this name, have to be."""
        written = {
            "jwks": self.jwks,
            "jwks_uri": self.jwks_uri,
            "output_payload_to_header": self.output_payload_to_header,
        }
        return JwtRule(
            issuer=self.issuer,
            audiences=(self.client_id,),
            from_headers=(TokenHeader(name=header),),
            forward_original_token=self.output_id_token_to_header is not None,
            **{name: value for name, value in written.items() if value is not None},
            **({"output_claim_to_headers": self.output_claim_to_headers} if self.output_claim_to_headers else {}),
        )

    @classmethod
    def advice(cls, name: str) -> str:
        if name in ("authorizationEndpoint", "tokenEndpoint"):
            return "the issuer's /.well-known/openid-configuration tells it"
        return super().advice(name)

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        yield from at_most_one(self, "jwks", "jwks_uri")
        if self.selector is None and not self.targets:
            yield Problem("must have selector or targetRefs: the gateways at which users log in")
        for position, target in enumerate(self.targets):
            if target.kind != "Gateway" or target.group not in _GATEWAY_GROUPS:
                yield Problem("must be a Gateway: logins are asked for at gateways only", f"targetRefs[{position}]")
        yield from self._place_problems()
        if "openid" not in self.scopes:
            yield Problem("must contain openid", "scopes")
        if (
            self.output_id_token_to_header or self.output_payload_to_header or self.output_claim_to_headers
        ) and not self.has_keys:
            yield Problem("must be set, or jwks: without keys no claim is believed", "jwksUri")

    def _place_problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the paths of the login and with those of the provider."""
        if self.redirect_path == self.logout_path:
            yield Problem("must be another path than redirectPath", "logoutPath")
        for position, path in enumerate(self.excluded_paths):
            for name in ("redirect_path", "logout_path"):
                if _covers(path, getattr(self, name)):
                    yield Problem(f"must not cover {alias(name)}, which would do nothing", f"excludedPaths[{position}]")
        for name in ("authorization_endpoint", "token_endpoint"):
            written = getattr(self, name)
            if written is None and not self._discovery_document:
                yield Problem("must be set: the issuer is no URL whose discovery document would tell it", alias(name))
            elif written is not None and urlsplit(written).fragment:
                yield Problem("must be a URL without fragment", alias(name))
