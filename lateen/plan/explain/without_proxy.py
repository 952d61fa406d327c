"""A request of a workload without a proxy: nothing but the server's proxy looks at it."""

from dataclasses import replace
from typing import Final

from lateen.model.proxy import Role
from lateen.model.service import Service
from lateen.plan.explain import legs, telling
from lateen.plan.explain.callers import Caller
from lateen.plan.explain.legs import Sender
from lateen.plan.explain.places import Places
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.questions import Question
from lateen.plan.explain.requests import Request
from lateen.plan.explain.steps import Explanation, NameAnswer, Outcome
from lateen.plan.explain.ways import NOBODY
from lateen.plan.types import ProxyPlan
from lateen.plan.verdicts import Call

_SAYS: Final = "the caller has no proxy: no rule of the mesh's traffic concerns what it sends"


def explain(plans: Plans, question: Question, caller: Caller, request: Request) -> Explanation:
    """Explain what a caller without a proxy reaches: any ready endpoint of a service, or the world."""
    places = Places(plans.snapshot)
    service = telling.service_called(plans.snapshot, request.host, caller.namespace)
    asked = f"{request.method} {question.url}"
    found = Explanation(
        _SAYS, Outcome.FORWARDED, 0, caller.name, "", "", asked, dns=_name_answer(request, service, places)
    )
    if service is None:
        return found
    nothing = ProxyPlan(Role.SIDECAR, (), ())
    sender = Sender(replace(caller, identity=""), nothing, _call(question, caller, request))
    one = legs.plain_leg(service, request.port, sender, plans, places)
    return replace(found, split=(one,), status=one.status, says=f"{telling.share(one, 1)} (the caller has no proxy)")


def _name_answer(request: Request, service: Service | None, places: Places) -> NameAnswer:
    if service is None:
        return NameAnswer("the mesh does not know it: the answer comes from the world's DNS", request.host)
    address = service.addresses[0] if service.addresses else ""
    says = f"{address or 'no address'}, by the mesh's resolver"
    return NameAnswer(says, request.host, service.host, address, places.of_object(service.origin))


def _call(question: Question, caller: Caller, request: Request) -> Call:
    return Call(
        source_ip=legs.source_address(caller, question.source_ip),
        destination_ip=NOBODY,
        is_http=request.is_http and not request.is_encrypted,
        host=request.written_authority,
        method=request.method,
        path=request.path,
        headers={name.lower(): (value,) for name, value in request.headers.items()},
        claims=question.claims,
    )
