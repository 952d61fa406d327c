"""Limits that are counted for the whole mesh, by a server that is asked about each request that they are about."""

from collections.abc import Iterator
from typing import Any, Final

from lateen.envoy import rate_limit_actions, unknown_fields
from lateen.envoy.side import Side
from lateen.envoy.values import duration, runtime_fraction
from lateen.names import MIXER_CLUSTER, RATE_LIMIT_DOMAIN
from lateen.plan.rate_limit_types import MeshCount, RateLimits
from lateen.plan.types import Guard, Route

NAME: Final = "envoy.filters.http.ratelimit"
SLEEPS: Final = False

_TELLS_WHEN: Final = 19
_NOBODY_COUNTS: Final = 503


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand once for each object with limits of the mesh."""
    if side is not Side.OUTBOUND:
        for limits in guard.limits:
            if limits.mesh is not None:
                yield rate_limit(limits, limits.mesh)


def route_config(route: Route) -> None:
    """Say nothing: limits are the workload's."""


def rate_limit(plan: RateLimits, count: MeshCount) -> Any:
    """Say an object's limits, who counts them, and what refused clients are told."""
    # Loaded where one is used: the messages take memory.
    from envoy.extensions.common.ratelimit.v3 import ratelimit_pb2
    from envoy.extensions.filters.http.ratelimit.v3 import rate_limit_pb2

    message = rate_limit_pb2.RateLimit(
        domain=RATE_LIMIT_DOMAIN,
        stat_prefix=rate_limit_actions.stat_prefix(plan),
        timeout=duration(count.timeout),
        failure_mode_deny=not count.fails_open,
        status_on_error={"code": _NOBODY_COUNTS},
        rate_limited_status={"code": plan.status},
        filter_enabled=runtime_fraction(100),
        filter_enforced=runtime_fraction(0 if plan.tried else 100),
        response_headers_to_add=rate_limit_actions.response_headers(plan),
        rate_limited_as_resource_exhausted=True,
        rate_limits=map(rate_limit_actions.rate_limit, plan.limits),
        rate_limit_service={
            "grpc_service": {"envoy_grpc": {"cluster_name": MIXER_CLUSTER}},
            "transport_api_version": "V3",
        },
    )
    if plan.tells_rest and not plan.tried:
        message.enable_x_ratelimit_headers = ratelimit_pb2.DRAFT_VERSION_03
        unknown_fields.set_flag(message, _TELLS_WHEN)
    return message
