"""The order in which a request passes the HTTP filters."""

from collections.abc import Iterable
from typing import Any, Final, Protocol

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.envoy.http_filters import (
    api_key_auth,
    authorization,
    authorization_gates,
    cors,
    discovered,
    dynamic_forward_proxy,
    ext_authz,
    ext_proc,
    fault,
    header_mutation,
    jwt_authn,
    local_ratelimit,
    login_cookies,
    mixer_check,
    mixer_denials,
    mixer_gate,
    oauth2,
    ratelimit,
    router,
    stateful_session,
)
from lateen.envoy.side import Side
from lateen.envoy.values import typed
from lateen.plan.types import Guard, Route


class HttpFilter(Protocol):
    """What a module of this package has."""

    @property
    def NAME(self) -> str: ...

    @property
    def SLEEPS(self) -> bool:
        """Whether it does nothing for routes that tell it nothing: then Envoy does not even make it for them."""

    def http_filters(self, side: Side, guard: Guard) -> Iterable[Any]:
        """Say the filter's settings in a chain of this side, once for each time that it stands there."""

    def route_config(self, route: Route) -> Any | None:
        """Say what a route tells the filter; None where it has nothing to say."""


_LOGINS: Final[tuple[HttpFilter, ...]] = (oauth2, login_cookies)
_POLICIES: Final[tuple[HttpFilter, ...]] = (
    jwt_authn,
    authorization_gates,
    ext_authz,
    authorization,
    mixer_denials,
    mixer_gate,
    mixer_check,
    api_key_auth,
    local_ratelimit,
    ratelimit,
    ext_proc,
    header_mutation,
)
_ROUTING: Final[tuple[HttpFilter, ...]] = (fault, cors, stateful_session, dynamic_forward_proxy, router)
ORDER: Final[tuple[HttpFilter, ...]] = (*_LOGINS, *_POLICIES, *_ROUTING)
"""Who calls is known before anything is decided by it: logins, tokens, then external authorizers, then rules,
then keys. Only what has passed all of them is counted, shown to processors and changed.

A fault stands for the whole of what is behind it. The router ends every chain.
"""


def http_filters(side: Side, guard: Guard, policies: str = "") -> list[Any]:
    """Say the filters of a chain in order; a filter may stand there several times.

    Those that sleep are woken by what a route tells them. Those of policies are in a resource of the name `policies`
    (see `policy_filters`), or in the chain itself where there is no such name.
    """
    if not policies:
        return _said(ORDER, side, guard)
    return [*_said(_LOGINS, side, guard), discovered.place(policies), *_said(_ROUTING, side, guard)]


def policy_filters(name: str, side: Side, guard: Guard) -> Any:
    """Say the resource with the filters that policies come to: a chain that asks for it need not change with them.

    Logins are not in it: they need secrets, for which only a listener that is being made waits.
    """
    return discovered.filters(name, _said(_POLICIES, side, guard))


def _said(steps: Iterable[HttpFilter], side: Side, guard: Guard) -> list[Any]:
    return [
        hcm_pb2.HttpFilter(name=step.NAME, typed_config=typed(config), disabled=step.SLEEPS)
        for step in steps
        for config in step.http_filters(side, guard)
    ]


def route_configs(route: Route) -> dict[str, Any]:
    """Return what a route tells the filters, by their names."""
    told = ((step.NAME, step.route_config(route)) for step in ORDER)
    return {name: typed(config) for name, config in told if config is not None}
