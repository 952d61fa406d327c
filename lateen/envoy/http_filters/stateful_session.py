"""Sessions: the endpoint that answered the first request of a session is asked for the next ones too."""

from typing import Any, Final

from envoy.extensions.filters.http.stateful_session.v3 import stateful_session_pb2
from envoy.extensions.http.stateful_session.cookie.v3 import cookie_pb2
from envoy.extensions.http.stateful_session.header.v3 import header_pb2

from lateen.envoy.side import Side
from lateen.envoy.values import duration, typed
from lateen.plan.destination_types import Session
from lateen.plan.types import Forward, Guard, Route

NAME: Final = "envoy.filters.http.stateful_session"
SLEEPS: Final = True


def http_filters(side: Side, guard: Guard) -> tuple[Any, ...]:
    """Stand in every chain in which routes may have sessions."""
    return () if side is Side.INBOUND else (stateful_session_pb2.StatefulSession(),)


def route_config(route: Route) -> Any | None:
    """Say how a route's sessions are known."""
    session = route.action.session if isinstance(route.action, Forward) else None
    if session is None:
        return None
    return stateful_session_pb2.StatefulSessionPerRoute(stateful_session=_stateful_session(session))


def _stateful_session(plan: Session) -> Any:
    message = stateful_session_pb2.StatefulSession(strict=plan.strict)
    if plan.header:
        state, kind = header_pb2.HeaderBasedSessionState(name=plan.header), "header"
    else:
        state, kind = cookie_pb2.CookieBasedSessionState(), "cookie"
        state.cookie.name, state.cookie.path = plan.cookie, plan.path
        if plan.ttl is not None:
            state.cookie.ttl.CopyFrom(duration(plan.ttl))
    message.session_state.name = f"envoy.http.stateful_session.{kind}"
    message.session_state.typed_config.CopyFrom(typed(state))
    return message
