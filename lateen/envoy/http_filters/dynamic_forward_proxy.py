"""Requests to hosts of a wildcard: the host of each is resolved before it goes on."""

from typing import Any, Final

from envoy.extensions.filters.http.dynamic_forward_proxy.v3 import dynamic_forward_proxy_pb2

from lateen.envoy.dynamic_names import dns_cache
from lateen.envoy.side import Side
from lateen.plan.types import Forward, Guard, Route

NAME: Final = "envoy.filters.http.dynamic_forward_proxy"
SLEEPS: Final = True


def http_filters(side: Side, guard: Guard) -> tuple[Any, ...]:
    """Stand in every chain in which routes may lead to such hosts."""
    return () if side is Side.INBOUND else (dynamic_forward_proxy_pb2.FilterConfig(dns_cache_config=dns_cache()),)


def route_config(route: Route) -> Any | None:
    """Wake the filter for a route that leads there; a rewritten host is the one that is resolved."""
    action = route.action
    if not isinstance(action, Forward) or not action.resolves_host:
        return None
    rewritten = action.rewrite.authority if action.rewrite is not None else ""
    return dynamic_forward_proxy_pb2.PerRouteConfig(host_rewrite_literal=rewritten)
