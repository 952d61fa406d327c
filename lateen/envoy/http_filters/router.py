"""The router: ends every chain and sends the request on."""

from typing import Any, Final

from envoy.extensions.filters.http.router.v3 import router_pb2

from lateen.envoy.side import Side
from lateen.plan.types import Guard, Route

NAME: Final = "envoy.filters.http.router"
SLEEPS: Final = False


def http_filters(side: Side, guard: Guard) -> tuple[Any, ...]:
    """Stand at the end of every chain."""
    return (router_pb2.Router(),)


def silent() -> Any:
    """Say the router that writes no headers of Envoy's own."""
    return router_pb2.Router(suppress_envoy_headers=True)


def route_config(route: Route) -> None:
    """Say nothing: what a route wants of the router is the route itself."""
