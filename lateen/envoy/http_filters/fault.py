"""Failures made on purpose: requests are delayed or refused before they leave the client's proxy."""

from typing import Any, Final

from envoy.extensions.filters.common.fault.v3 import fault_pb2 as common_fault_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2

from lateen.envoy.side import Side
from lateen.envoy.values import duration, fraction
from lateen.plan.types import Fault, Guard, Route

NAME: Final = "envoy.filters.http.fault"
SLEEPS: Final = True


def http_filters(side: Side, guard: Guard) -> tuple[Any, ...]:
    """Stand in every chain in which routes may have faults."""
    return () if side is Side.INBOUND else (fault_pb2.HTTPFault(),)


def route_config(route: Route) -> Any | None:
    """Say a route's faults."""
    return None if route.fault is None else http_fault(route.fault)


def http_fault(plan: Fault) -> Any:
    """Say which share of the requests is delayed, and which is refused with what."""
    message = fault_pb2.HTTPFault()
    if plan.delay is not None:
        delay = common_fault_pb2.FaultDelay(fixed_delay=duration(plan.delay), percentage=fraction(plan.delay_percent))
        message.delay.CopyFrom(delay)
    if plan.abort_status is not None:
        message.abort.http_status = plan.abort_status
        message.abort.percentage.CopyFrom(fraction(plan.abort_percent))
    elif plan.abort_grpc_status is not None:
        message.abort.grpc_status = plan.abort_grpc_status
        message.abort.percentage.CopyFrom(fraction(plan.abort_percent))
    return message
