"""Tokens: those that requests carry are verified, and what they say is kept for rules and routes."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from envoy.config.core.v3 import http_uri_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2

from lateen.envoy.matching import PAYLOAD, TOKENS
from lateen.envoy.side import Side
from lateen.envoy.values import duration
from lateen.names import BLACK_HOLE_CLUSTER
from lateen.plan.types import Guard, Route, TokenIssuer

NAME: Final = TOKENS
SLEEPS: Final = False
_NO_KEYS: Final = config_pb2.RemoteJwks(
    http_uri=http_uri_pb2.HttpUri(
        uri="http://keys.invalid", cluster=BLACK_HOLE_CLUSTER, timeout=duration(timedelta(seconds=1))
    )
)
_LISTS: Final = ("permission", "scope")
"""Claims that are texts by tradition, with spaces between what are really several values."""


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand where any issuer is known. A gateway looks for the route again once the claims are known."""
    if guard.issuers and side is not Side.OUTBOUND:
        yield jwt_authentication(guard.issuers, reroutes=side is Side.GATEWAY)


def route_config(route: Route) -> None:
    """Say nothing: issuers are the workload's."""


def jwt_authentication(issuers: Sequence[TokenIssuer], *, reroutes: bool) -> Any:
    """Say whose tokens are verified. A request needs none; those that it has must be good."""
    message = config_pb2.JwtAuthentication(bypass_cors_preflight=True)
    for position, issuer in enumerate(issuers):
        message.providers[f"origins-{position}"].CopyFrom(jwt_provider(issuer, reroutes=reroutes))
    message.rules.add(match=route_components_pb2.RouteMatch(prefix="/"), requires=_requirement(list(message.providers)))
    return message


def jwt_provider(plan: TokenIssuer, *, reroutes: bool) -> Any:
    """Say an issuer.

    Envoy takes no empty set of keys. An issuer without keys has them where nobody answers, so that its tokens get a
    401 that says so: `Jwks remote fetch is failed`.
    """
    message = config_pb2.JwtProvider(
        issuer=plan.issuer,
        audiences=plan.audiences,
        forward=plan.forwards_token,
        payload_in_metadata=PAYLOAD,
        forward_payload_header=plan.payload_header,
        from_headers=[config_pb2.JwtHeader(name=name, value_prefix=prefix) for name, prefix in plan.headers],
        from_params=plan.params,
        from_cookies=plan.cookies,
        claim_to_headers=[
            config_pb2.JwtClaimToHeader(header_name=header, claim_name=claim) for header, claim in plan.claim_headers
        ],
        clear_route_cache=reroutes,
    )
    if plan.keys:
        message.local_jwks.inline_string = plan.keys
    else:
        message.remote_jwks.CopyFrom(_NO_KEYS)
    lists = dict.fromkeys((*_LISTS, *plan.space_delimited_claims))
    message.normalize_payload_in_metadata.space_delimited_claims.extend(lists)
    return message


def _requirement(providers: Sequence[str]) -> Any:
    """Say that each token must be good for its issuer.

    With several issuers, a token that is good for one of them is enough: those that look in the same place would each
    refuse the others' tokens.
    """
    alone = [_any_of(_by(provider), _missing()) for provider in providers]
    if len(providers) == 1:
        return alone[0]
    every = config_pb2.JwtRequirement(requires_all={"requirements": alone})
    return _any_of(*map(_by, providers), every)


def _by(provider: str) -> Any:
    return config_pb2.JwtRequirement(provider_name=provider)


def _missing() -> Any:
    return config_pb2.JwtRequirement(allow_missing={})


def _any_of(*requirements: Any) -> Any:
    return config_pb2.JwtRequirement(requires_any={"requirements": requirements})
