"""The order in which a request passes the HTTP filters."""

from typing import Any, Final, Protocol

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.envoy.http_filters import cors, fault, router
from lateen.envoy.side import Side
from lateen.envoy.values import typed
from lateen.plan.types import Route


class HttpFilter(Protocol):
    """What a module of this package has."""

    @property
    def NAME(self) -> str: ...

    @property
    def SLEEPS(self) -> bool:
        """Whether it does nothing for routes that tell it nothing: then Envoy does not even make it for them."""

    def http_filter(self, side: Side) -> Any | None:
        """Say the filter's settings in a chain of this side; None where it does not stand in it."""

    def route_config(self, route: Route) -> Any | None:
        """Say what a route tells the filter; None where it has nothing to say."""


ORDER: Final[tuple[HttpFilter, ...]] = (fault, cors, router)
"""A fault comes first: it stands for the whole of what is behind it. The router ends every chain."""


def http_filters(side: Side) -> list[Any]:
    """Say the filters of a side's chains, in order. Those that sleep are woken by what a route tells them."""
    chain = ((step, step.http_filter(side)) for step in ORDER)
    return [
        hcm_pb2.HttpFilter(name=step.NAME, typed_config=typed(config), disabled=step.SLEEPS)
        for step, config in chain
        if config is not None
    ]


def route_configs(route: Route) -> dict[str, Any]:
    """Return what a route tells the filters, by their names."""
    told = ((step.NAME, step.route_config(route)) for step in ORDER)
    return {name: typed(config) for name, config in told if config is not None}
