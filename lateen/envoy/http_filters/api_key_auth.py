"""Keys that clients show: who has none is refused."""

from collections.abc import Iterator
from typing import Any, Final

from envoy.extensions.filters.http.api_key_auth.v3 import api_key_auth_pb2

from lateen.envoy.side import Side
from lateen.plan.processing_types import KeyCheck
from lateen.plan.types import Guard, Route

NAME: Final = "envoy.filters.http.api_key_auth"
SLEEPS: Final = False


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand once for each object that asks for keys."""
    if side is not Side.OUTBOUND:
        yield from map(api_key_auth, guard.api_keys)


def route_config(route: Route) -> None:
    """Say nothing: keys are asked for by workloads."""


def api_key_auth(plan: KeyCheck) -> Any:
    """Say whose keys are taken, where they are looked for, and what the workload is told. Envoy dumps no keys."""
    return api_key_auth_pb2.ApiKeyAuth(
        credentials=[{"key": key, "client": client} for client, key in plan.clients],
        key_sources=[{"header": one.header, "query": one.query, "cookie": one.cookie} for one in plan.places],
        forwarding={"header": plan.client_header, "hide_credentials": not plan.forwards_key},
    )
