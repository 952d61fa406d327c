"""Limits that each proxy counts for itself: a bucket of tokens for each limit and each value that is told apart."""

from collections.abc import Iterator
from typing import Any, Final

from envoy.extensions.common.ratelimit.v3 import ratelimit_pb2
from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2
from envoy.type.v3 import token_bucket_pb2

from lateen.envoy import rate_limit_actions, unknown_fields
from lateen.envoy.side import Side
from lateen.envoy.values import duration, runtime_fraction
from lateen.plan.rate_limit_types import Allowance, CountedLimit, Override, RateLimits
from lateen.plan.request_description import constants, shown_values
from lateen.plan.types import Guard, Route

NAME: Final = "envoy.filters.http.local_ratelimit"
SLEEPS: Final = False

MOST_BUCKETS: Final = 10_000
"""How many buckets for different values a filter keeps; the one that was not used for longest goes first."""

_UNLIMITED: Final = 2**32 - 1
_TELLS_WHEN: Final = 19


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand once for each object with limits of the proxy's own."""
    if side is not Side.OUTBOUND:
        for limits in guard.limits:
            if limits.mesh is None:
                yield local_rate_limit(limits)


def route_config(route: Route) -> None:
    """Say nothing: limits are the workload's."""


def local_rate_limit(plan: RateLimits) -> Any:
    """Say an object's limits, and what refused clients are told."""
    message = local_rate_limit_pb2.LocalRateLimit(
        stat_prefix=rate_limit_actions.stat_prefix(plan),
        status={"code": plan.status},
        filter_enabled=runtime_fraction(100),
        filter_enforced=runtime_fraction(0 if plan.tried else 100),
        response_headers_to_add=rate_limit_actions.response_headers(plan),
        rate_limited_as_resource_exhausted=True,
        rate_limits=map(rate_limit_actions.rate_limit, plan.limits),
        descriptors=[one for limit in plan.limits for one in _descriptors(limit)],
    )
    message.max_dynamic_descriptors.value = MOST_BUCKETS
    if plan.tells_rest and not plan.tried:
        message.enable_x_ratelimit_headers = ratelimit_pb2.DRAFT_VERSION_03
        unknown_fields.set_flag(message, _TELLS_WHEN)
    return message


def _descriptors(plan: CountedLimit) -> Iterator[Any]:
    """Yield the buckets of a limit: the first one that fits a request is the one for it."""
    for override in plan.overrides:
        yield _descriptor(plan, override.allowance, override)
    yield _descriptor(plan, plan.allowance)


def _descriptor(plan: CountedLimit, allowance: Allowance | None, override: Override | None = None) -> Any:
    values = shown_values(override) if override else {}
    message = ratelimit_pb2.LocalRateLimitDescriptor(token_bucket=_token_bucket(allowance))
    for key, value in constants(plan.requests, plan.name):
        message.entries.add(key=key, value=value)
    for position, _ in enumerate(plan.dimensions):
        message.entries.add(key=str(position), value=values.get(position, ""))
    return message


def _token_bucket(allowance: Allowance | None) -> Any:
    if allowance is None:
        message = token_bucket_pb2.TokenBucket(max_tokens=_UNLIMITED, fill_interval={"seconds": 1})
        message.tokens_per_fill.value = _UNLIMITED
        return message
    window = duration(allowance.rate.window)
    message = token_bucket_pb2.TokenBucket(max_tokens=allowance.at_once, fill_interval=window)
    message.tokens_per_fill.value = allowance.rate.requests
    return message
