"""A request with the proxy that it leaves by, and what that proxy does with it."""

from dataclasses import dataclass, replace
from typing import Final

from lateen.errors import ConfigRejected
from lateen.model.workload import Workload
from lateen.plan.access_check import OUTSIDE
from lateen.plan.explain import callers, journeys, legs
from lateen.plan.explain.callers import Caller
from lateen.plan.explain.journeys import Journey
from lateen.plan.explain.legs import Sender
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.questions import Question
from lateen.plan.explain.requests import Request
from lateen.plan.types import ProxyPlan
from lateen.plan.verdicts import Call

NOBODY: Final = "10.244.0.3"
"""The address of a server where none is known."""


@dataclass(frozen=True, slots=True)
class Way:
    """A request with the proxy that it leaves by, and what that proxy does with it.

    `plan` has the routes that patches make of those of the plan `before`, as far as they are read.
    """

    question: Question
    caller: Caller
    request: Request
    proxy: Workload
    plan: ProxyPlan
    before: ProxyPlan
    journey: Journey
    is_gateway: bool


def way(plans: Plans, question: Question, caller: Caller, request: Request) -> Way:
    """Follow a request through its caller's proxy, or through the gateway that it enters by."""
    is_gateway = caller.workload is None or plans.is_gateway(caller.workload)
    if not is_gateway and caller.workload is not None:
        before = plans.plan_for(caller.workload, request.port, request.written_authority)
        plan = plans.rerouted(before)
        return Way(question, caller, request, caller.workload, plan, before, journeys.outbound(plan, request), False)
    proxy = caller.workload or _gateway(plans, request)
    entering = replace(request, port=dict(plans.view(proxy).gateway_ports).get(request.port, request.port))
    before = plans.plan_for(proxy, entering.port, request.written_authority)
    plan = plans.rerouted(before)
    written = replace(entering, authority=request.written_authority)
    sender = callers.find(plans.snapshot, str(proxy.key), proxy.key.namespace)
    return Way(question, sender, request, proxy, plan, before, journeys.through_gateway(plan, written), True)


def _gateway(plans: Plans, request: Request) -> Workload:
    """Find the gateway that a request from outside enters by: the first one that opens its port."""
    gateways = [one for one in plans.snapshot.workloads if one.proxied and plans.is_gateway(one)]
    opening = []
    for workload in sorted(gateways, key=lambda one: one.key):
        bound = dict(plans.view(workload).gateway_ports).get(request.port, request.port)
        plan = plans.plan_for(workload, bound, request.written_authority)
        if any(listener.port == bound for listener in plan.gateway):
            opening.append(workload)
    if not opening:
        known = ", ".join(str(one.key) for one in gateways) or "there is none"
        raise ConfigRejected(f"no gateway opens port {request.port} to the outside (gateways: {known})")
    return opening[0]


def written_request(way: Way) -> str:
    """Say what is asked for, as it is written."""
    request = way.request
    if not request.is_http:
        return f"connection to {request.host}:{request.port}"
    return f"{request.method} {request.scheme}://{request.written_authority}{request.path}"


def sender(way: Way) -> Sender:
    """Say what the proxy sends on, as the servers behind it see it."""
    request, journey = way.request, way.journey
    route = journey.route
    headers = {name.lower(): value for name, value in request.headers.items()}
    if route is not None:
        headers |= {name.lower(): value for name, value in route.request_headers.set}
        for name in route.request_headers.remove:
            headers.pop(name.lower(), None)
    call = Call(
        principal="",
        source_ip=legs.source_address(way.caller, "" if way.is_gateway else way.question.source_ip),
        remote_ip=legs.source_address(Caller(OUTSIDE), way.question.source_ip) if way.is_gateway else "",
        destination_ip=NOBODY,
        is_http=request.is_http and (not request.is_encrypted or way.is_gateway) and journey.carried is None,
        host=journey.authority or request.written_authority,
        method=request.method,
        path=journey.path or request.path,
        headers={name: (value,) for name, value in headers.items()},
        claims=way.question.claims,
    )
    return Sender(way.caller, way.plan, call, journey.address, request.port)
