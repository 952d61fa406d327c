"""Notes which requests the Mixer process is to be asked about; it never refuses one itself."""

from collections.abc import Iterator
from typing import Any, Final

from envoy.extensions.filters.http.rbac.v3 import rbac_pb2

from lateen.envoy import mixer_rules
from lateen.envoy.side import Side
from lateen.plan.types import Guard, Route

NAME: Final = "envoy.filters.http.rbac"
SLEEPS: Final = False


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand before the check, where some rule is left for it."""
    if side is not Side.OUTBOUND and guard.mixer is not None and guard.mixer.requests.remote is not None:
        rules = mixer_rules.denying((one.name, one.when) for one in guard.mixer.requests.remote.rules)
        yield rbac_pb2.RBAC(shadow_rules=rules, shadow_rules_stat_prefix=mixer_rules.GATE_PREFIX)


def route_config(route: Route) -> None:
    """Say nothing: rules are the workload's."""
