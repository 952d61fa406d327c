"""Checks of Mixer's that this proxy decides itself: what a rule denies is refused here."""

from collections.abc import Iterator
from typing import Any, Final

from envoy.extensions.filters.http.rbac.v3 import rbac_pb2

from lateen.envoy import glance_matchers, glances, mixer_rules
from lateen.envoy.side import Side
from lateen.plan.types import Guard, Route

NAME: Final = "envoy.filters.http.rbac"
SLEEPS: Final = False
FEWEST_GLANCED_AT: Final = 8
"""From so many denials on, one glance tells of most requests that none of them fits."""


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand where rules deny anything; many denials are passed over where a glance tells that none of them fits."""
    if side is Side.OUTBOUND or guard.mixer is None or not guard.mixer.requests.denials:
        return
    denials = guard.mixer.requests.denials
    filter_ = rbac_pb2.RBAC(rules=mixer_rules.denying((one.name, one.when) for one in denials))
    if len(denials) >= FEWEST_GLANCED_AT:
        yield glance_matchers.passed_over(NAME, filter_, glances.glance(one.when for one in denials)) or filter_
    else:
        yield filter_


def route_config(route: Route) -> None:
    """Say nothing: rules are the workload's."""
