"""Rules about who may call: AUDIT marks, DENY refuses, ALLOW refuses what none of its rules lets pass."""

from collections.abc import Iterator
from typing import Any, Final

from envoy.extensions.filters.http.rbac.v3 import rbac_pb2

from lateen.envoy import rbac
from lateen.envoy.side import Side
from lateen.plan.types import Guard, Route

NAME: Final = "envoy.filters.http.rbac"
SLEEPS: Final = False


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand where rules are, once for each action."""
    if side is Side.OUTBOUND:
        return
    for step in rbac.steps(guard.access):
        yield rbac_pb2.RBAC(
            rules=step.rules, shadow_rules=step.shadow_rules, shadow_rules_stat_prefix=step.shadow_prefix
        )


def route_config(route: Route) -> None:
    """Say nothing: rules are the workload's."""
