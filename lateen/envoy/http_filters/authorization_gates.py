"""Notes which requests an external authorizer is to be asked about; it never refuses one itself."""

from collections.abc import Iterator
from typing import Any, Final

from envoy.extensions.filters.http.rbac.v3 import rbac_pb2

from lateen.envoy import rbac
from lateen.envoy.side import Side
from lateen.plan.types import Guard, Route

NAME: Final = "envoy.filters.http.rbac"
SLEEPS: Final = False


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand before the authorizers, once for each."""
    if side is not Side.OUTBOUND:
        for check in guard.access.custom:
            prefix = rbac.gate_prefix(check.authorizer)
            yield rbac_pb2.RBAC(shadow_rules=rbac.denying(check.rules), shadow_rules_stat_prefix=prefix)


def route_config(route: Route) -> None:
    """Say nothing: rules are the workload's."""
