"""Cross-origin rules: preflights are answered here, other responses get their headers."""

from typing import Any, Final

from envoy.extensions.filters.http.cors.v3 import cors_pb2

from lateen.envoy.matching import string_matcher
from lateen.envoy.side import Side
from lateen.plan.types import CorsRules, Guard, Route

NAME: Final = "envoy.filters.http.cors"
SLEEPS: Final = True


def http_filters(side: Side, guard: Guard) -> tuple[Any, ...]:
    """Stand in every chain in which routes may have rules."""
    return () if side is Side.INBOUND else (cors_pb2.Cors(),)


def route_config(route: Route) -> Any | None:
    """Say a route's rules."""
    return None if route.cors is None else cors_policy(route.cors)


def cors_policy(plan: CorsRules) -> Any:
    """Say which origins may use a route, and how."""
    message = cors_pb2.CorsPolicy(
        allow_origin_string_match=[string_matcher(origin) for origin in plan.origins],
        allow_methods=",".join(plan.methods),
        allow_headers=",".join(plan.headers),
        expose_headers=",".join(plan.exposed),
    )
    if plan.max_age is not None:
        message.max_age = str(int(plan.max_age.total_seconds()))
    if plan.credentials is not None:
        message.allow_credentials.value = plan.credentials
    message.forward_not_matching_preflights.value = plan.forwards_unmatched_preflights
    return message
