"""Logins at a gateway: OidcLogins in the plan's words, with the secrets and the servers that they need.

A login that cannot work, such as one without its Secret, is never left out: what it is about is then denied.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from lateen import names
from lateen.api.fields import is_address
from lateen.api.objects import ConfigObject
from lateen.api.security.oidc_login import OidcLogin
from lateen.model.endpoint import Endpoint
from lateen.model.key_sets import ProviderEndpoints
from lateen.model.protocol import Protocol
from lateen.plan import access, authentication
from lateen.plan.diagnostics import Notes, below
from lateen.plan.directory import Directory
from lateen.plan.types import (
    AccessCondition,
    AccessRule,
    Attribute,
    Cluster,
    Discovery,
    Login,
    Origin,
    OriginatedTls,
    Pattern,
    SharedSecret,
    TokenIssuer,
)

_PORTS: Final = {"http": 80, "https": 443}
_SUFFIX_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Logins:
    """What the logins of a gateway come to: `refused` denies what a login that cannot work is about."""

    logins: tuple[Login, ...] = ()
    issuers: tuple[TokenIssuer, ...] = ()
    refused: tuple[AccessRule, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    secrets: tuple[SharedSecret, ...] = ()


NO_LOGINS: Final = Logins()


def logins(directory: Directory, notes: Notes) -> Logins:
    """Put together the logins that are asked for at a gateway, in the order of their policies."""
    made = [_one(item, directory, notes) for item in directory.view.logins]
    return Logins(
        tuple(login for one in made for login in one.logins),
        tuple(issuer for one in made for issuer in one.issuers),
        tuple(rule for one in made for rule in one.refused),
        tuple({cluster.name: cluster for one in made for cluster in one.clusters}.values()),
        tuple({secret.name: secret for one in made for secret in one.secrets}.values()),
    )


def session_secret(key: bytes, item: ConfigObject[OidcLogin]) -> bytes:
    """Derive the key of a login's cookies from the mesh's: each login, and each client of a provider, has its own."""
    purpose = f"login {item.namespace}/{item.name} {item.spec.issuer} {item.spec.client_id}"
    return hmac.new(key, purpose.encode(), hashlib.sha256).hexdigest().encode()


def _one(item: ConfigObject[OidcLogin], directory: Directory, notes: Notes) -> Logins:
    spec, origin = item.spec, Origin(item.key, "spec")
    provider = _provider(spec, directory)
    if isinstance(provider, str):
        notes.add(below(origin, "issuer"), f"every request that needs this login is denied: {provider}")
        return Logins(refused=(_everything_of(item),))
    secret, cluster = _client_secret(item, directory), _token_server(item, provider.token, directory)
    for field, found in (("clientSecret", secret), ("tokenEndpoint", cluster)):
        if isinstance(found, str):
            notes.add(below(origin, field), f"every request that needs this login is denied: {found}")
    if not directory.view.session_key:
        raise AssertionError("logins need the mesh's session key")
    if isinstance(secret, str) or isinstance(cluster, str):
        return Logins(refused=(_everything_of(item),))
    key = SharedSecret(f"login-key:{item.namespace}/{item.name}", session_secret(directory.view.session_key, item))
    login = _login(item, provider, secret.name, key.name, cluster.name)
    issuers: tuple[TokenIssuer, ...] = ()
    if spec.has_keys:
        rule = spec.id_tokens(login.id_token_header)
        issuers = (authentication.issuer(rule, below(origin, "jwksUri"), directory, notes),)
    # Clusters of services are in the plan already; only a server of its own comes with a login.
    own = () if cluster.name.startswith("outbound|") else (cluster,)
    return Logins((login,), issuers, (), own, (secret, key))


def _provider(spec: OidcLogin, directory: Directory) -> ProviderEndpoints | str:
    """Return where the provider is asked: as it is written, else as its discovery document says. Or why nobody knows.

    The document has to name the issuer that it was asked of, as OpenID Connect Discovery demands.
    """
    known = next((one for one in directory.view.key_sets if one.url == spec.discovery_url), None)
    told = known.provider if known is not None else None
    if spec.discovery_url and told is None:
        failure = known.failure if known is not None else f"{spec.discovery_url} has not been fetched yet"
        return f"its endpoints are not known: {failure}"
    told = told or ProviderEndpoints(spec.issuer)
    if told.issuer != spec.issuer:
        return f"the discovery document at {spec.discovery_url} is of the issuer {told.issuer!r}, not {spec.issuer!r}"
    found = ProviderEndpoints(
        spec.issuer,
        spec.authorization_endpoint or told.authorization,
        spec.token_endpoint or told.token,
        spec.end_session_endpoint or told.end_session,
    )
    if not found.authorization or not found.token:
        return f"the discovery document at {spec.discovery_url} names no endpoints for authorization and tokens"
    return found


def _login(item: ConfigObject[OidcLogin], provider: ProviderEndpoints, secret: str, key: str, cluster: str) -> Login:
    spec = item.spec
    suffix = hashlib.sha256(f"{item.namespace}/{item.name}".encode()).hexdigest()[:_SUFFIX_DIGITS]
    return Login(
        name=f"{item.namespace}/{item.name}",
        client_id=spec.client_id,
        authorization_endpoint=provider.authorization,
        token_endpoint=provider.token,
        token_cluster=cluster,
        client_secret=secret,
        session_key=key,
        cookie_suffix=suffix,
        id_token_header=spec.output_id_token_to_header or f"x-lateen-id-token-{suffix}",
        end_session_endpoint=provider.end_session,
        redirect_path=spec.redirect_path,
        logout_path=spec.logout_path,
        scopes=spec.scopes,
        resources=spec.resources,
        hosts=_hosts(spec),
        paths=_paths(spec.paths),
        excluded_paths=_paths(spec.excluded_paths),
        cookie_domain=spec.cookies.domain or "",
        same_site=spec.cookies.same_site,
        forwards_access_token=spec.forward_access_token,
        lifetime=spec.session.lifetime,
        refresh_lifetime=spec.session.refresh_lifetime if spec.session.refresh_tokens else None,
        origin=Origin(item.key, "spec"),
    )


def _hosts(spec: OidcLogin) -> tuple[Pattern, ...]:
    return tuple(access.host_pattern(host.lower()) for host in spec.hosts if host != "*")


def _paths(written: tuple[str, ...]) -> tuple[Pattern, ...]:
    return tuple(access.path_pattern(path) for path in written)


def _everything_of(item: ConfigObject[OidcLogin]) -> AccessRule:
    """Return the rule that matches all that needs the login."""
    asked = (
        AccessCondition(Attribute.HOST, _hosts(item.spec)),
        AccessCondition(Attribute.PATH, _paths(item.spec.paths)),
        AccessCondition(Attribute.PATH, _paths(item.spec.excluded_paths), inverted=True),
    )
    conditions = tuple(condition for condition in asked if condition.patterns)
    name = access.rule_name(item.namespace, item.name, 0)
    return AccessRule(name, Origin(item.key, "spec"), operations=(conditions,) if conditions else ())


def _client_secret(item: ConfigObject[OidcLogin], directory: Directory) -> SharedSecret | str:
    """Return the client's secret, or why there is none."""
    wanted = item.spec.client_secret
    found = next((one for one in directory.view.secrets if one.name == wanted.name), None)
    if found is None:
        return f"there is no Secret {wanted.name} in namespace {directory.view.namespace}, where the gateway runs"
    value = found.spec.contents().get(wanted.key, b"").strip()
    if not value:
        return f"Secret {wanted.name} in namespace {directory.view.namespace} has no entry {wanted.key}"
    return SharedSecret(f"login-secret:{wanted.name}/{wanted.key}", value, Origin(found.key, f"data.{wanted.key}"))


def _token_server(item: ConfigObject[OidcLogin], endpoint: str, directory: Directory) -> Cluster | str:
    """Return the cluster of the token endpoint: that of a service, or one of its own for a server outside.

    Over HTTPS it is always one of its own, since the certificate has to be the server's. Why there is none otherwise.
    """
    url = urlsplit(endpoint)
    host, port = url.hostname or "", url.port or _PORTS[url.scheme]
    service = directory.service(names.qualified_host(host, directory.view.namespace, directory.view.domain))
    tls = OriginatedTls(host, accepted_names=(host,), bounds=directory.defaults.tls) if url.scheme == "https" else None
    if service is not None:
        service = directory.stands_for(service)
        if service.port(port) is None:
            return f"service {service.host} has no port {port}"
        if tls is None:
            return Cluster(names.outbound_cluster(service.host, port), Discovery.EDS, service.host, port)
    origin = Origin(item.key, "spec.tokenEndpoint")
    name = f"login|{port}|{url.scheme}|{host}"
    if service is not None and not service.external:
        return Cluster(name, Discovery.EDS, service.host, port, protocol=Protocol.HTTP, tls=tls, origin=origin)
    discovery = Discovery.STATIC if is_address(host) else Discovery.DNS_ROUND_ROBIN
    endpoints = (Endpoint(host, port),)
    return Cluster(name, discovery, protocol=Protocol.HTTP, endpoints=endpoints, tls=tls, origin=origin)
