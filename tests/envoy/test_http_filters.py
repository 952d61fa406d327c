"""Which filters stand in a chain, and which of them cost nothing where no route needs them."""

import pytest

from lateen.envoy.http_filters import order
from lateen.envoy.side import Side
from lateen.plan.types import NO_GUARD

FAULT, CORS, SESSION, NAMES, ROUTER = (
    f"envoy.filters.http.{name}" for name in ("fault", "cors", "stateful_session", "dynamic_forward_proxy", "router")
)


@pytest.mark.parametrize(
    ("side", "chain"),
    [
        (Side.OUTBOUND, [(FAULT, True), (CORS, True), (SESSION, True), (NAMES, True), (ROUTER, False)]),
        (Side.GATEWAY, [(FAULT, True), (CORS, True), (SESSION, True), (NAMES, True), (ROUTER, False)]),
        (Side.INBOUND, [(ROUTER, False)]),
    ],
)
def test_only_the_router_is_awake_for_a_route_that_asks_for_nothing(side: Side, chain: list[tuple[str, bool]]) -> None:
    assert [(each.name, each.disabled) for each in order.http_filters(side, NO_GUARD)] == chain
