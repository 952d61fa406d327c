"""The order in which a request passes the HTTP filters."""

from typing import Any, Final, Protocol

from lateen.envoy.http_filters import cors, fault, router
from lateen.envoy.side import Side
from lateen.envoy.values import typed
from lateen.plan.types import Route


class HttpFilter(Protocol):
    """What a module of this package has."""

    @property
    def NAME(self) -> str: ...

    def http_filter(self, side: Side) -> Any | None:
        """Say the filter's settings in a chain of this side; None where it does not stand in it."""

    def route_config(self, route: Route) -> Any | None:
        """Say what a route tells the filter; None where it has nothing to say."""


ORDER: Final[tuple[HttpFilter, ...]] = (fault, cors, router)
"""A fault comes first: it stands for the whole of what is behind it. The router ends every chain."""


def http_filters(side: Side) -> dict[str, Any]:
    """Return the settings of a side's filters by their names, in order."""
    chain = ((step.NAME, step.http_filter(side)) for step in ORDER)
    return {name: typed(config) for name, config in chain if config is not None}


def route_configs(route: Route) -> dict[str, Any]:
    """Return what a route tells the filters, by their names."""
    told = ((step.NAME, step.route_config(route)) for step in ORDER)
    return {name: typed(config) for name, config in told if config is not None}
