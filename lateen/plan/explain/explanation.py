"""The whole way of a request: from the client's DNS to what the server's proxy decides."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from lateen import names
from lateen.model.snapshot import Snapshot
from lateen.plan.access_check import OUTSIDE
from lateen.plan.explain import callers, filters, legs, patching, servers, telling, ways, without_proxy, words
from lateen.plan.explain.legs import Sender
from lateen.plan.explain.places import Places
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.ports import TouchedPart
from lateen.plan.explain.questions import Question, request_of
from lateen.plan.explain.servers import Behind
from lateen.plan.explain.steps import (
    Explanation,
    Host,
    Leg,
    Passed,
    Server,
    Touch,
)
from lateen.plan.explain.ways import Way
from lateen.plan.types import Forward, Origin
from lateen.plan.verdicts import Call


def explain(plans: Plans, question: Question) -> Explanation:
    """Follow a request. Raises `ConfigRejected` when it names somebody whom the mesh does not know."""
    caller = callers.find(plans.snapshot, question.caller, question.namespace)
    request = request_of(question, caller.namespace or question.namespace)
    if caller.workload is not None and not caller.workload.proxied:
        return without_proxy.explain(plans, question, caller, request)
    return _told(ways.way(plans, question, caller, request), plans)


def _told(way: Way, plans: Plans) -> Explanation:
    places = Places(plans.snapshot)
    journey = way.journey
    sender = ways.sender(way)
    split = tuple(legs.leg(name, share, sender, plans, places) for name, share in journey.clusters)
    patched = patching.of_way(way.before, journey, way.request.port, (name for name, _ in journey.clusters), plans)
    split = tuple(_with_written(one, way, patched, plans.snapshot, places) for one in split)
    admission = _admission(way, sender.call, plans, places)
    outcome, status, says = telling.outcome(way, split, admission)
    return Explanation(
        says=says,
        outcome=outcome,
        status=status,
        caller=OUTSIDE if way.question.caller == OUTSIDE else way.caller.name,
        proxy=str(way.proxy.key),
        identity=way.caller.identity,
        request=ways.written_request(way),
        location=journey.location if status == journey.status else "",
        path=journey.path,
        authority=journey.authority,
        dns=None if way.is_gateway else telling.name_answer(way, plans.snapshot, places),
        listener=replace(telling.listener(way, places), patched=_touches(patched, patching.LISTENER, places)),
        chain=telling.chain(journey, places),
        virtual_host=_with_touches(telling.virtual_host(journey), patched, places),
        admission=admission,
        route=telling.route(way, plans, places),
        rules=() if way.is_gateway else tuple(_rules(way, sender.call, plans, places)),
        split=split,
        mirrors=tuple(_mirrors(way, sender, plans, places)),
        notes=(*_notes(way, split), *places.expansions()),
    )


def _touches(patched: Iterable[TouchedPart], part: str, places: Places, name: str = "") -> tuple[Touch, ...]:
    return tuple(patching.touches(patched, (part,), places, name))


def _with_touches(found: Host | None, patched: Iterable[TouchedPart], places: Places) -> Host | None:
    return replace(found, patched=_touches(patched, patching.VIRTUAL_HOST, places)) if found is not None else None


def _rules(way: Way, call: Call, plans: Plans, places: Places) -> Iterator[Passed]:
    """Yield what Mixer's rules do about the call where it is made."""
    if call.is_http and way.journey.clusters:
        yield from filters.mixer_rules(plans.rules(way.proxy, None), call, places)


def _with_written(found: Leg, way: Way, patched: Iterable[TouchedPart], snapshot: Snapshot, places: Places) -> Leg:
    found = replace(found, patched=_touches(patched, patching.CLUSTER, places, found.cluster))
    cluster = next((one for one in way.plan.clusters if one.name == found.cluster), None)
    route = way.journey.route
    if route is None or not isinstance(route.action, Forward):
        return found
    own = next((target.authority for target in route.action.targets if target.cluster == found.cluster), "")
    written = legs.written(route, cluster, snapshot, places)
    return replace(found, written=written, authority=own or way.journey.authority)


def _admission(way: Way, call: Call, plans: Plans, places: Places) -> Server | None:
    """Say what a gateway's own policies make of a request that enters by it."""
    if not way.is_gateway or way.journey.refused or way.journey.entered is None:
        return None
    port = way.journey.entered.port
    entering = replace(
        call,
        principal="",
        source_ip=call.remote_ip or call.source_ip,
        destination_port=port,
        host=way.request.written_authority,
        path=way.request.path,
        headers={name.lower(): (value,) for name, value in way.request.headers.items()},
    )
    return servers.decision(Behind((way.proxy,), port, False), entering, plans, places)


def _mirrors(way: Way, sender: Sender, plans: Plans, places: Places) -> Iterator[Leg]:
    route = way.journey.route
    if route is None or not isinstance(route.action, Forward):
        return
    for mirror in route.action.mirrors:
        found = legs.leg(mirror.cluster, mirror.percent, sender, plans, places)
        cluster = next((one for one in way.plan.clusters if one.name == mirror.cluster), None)
        yield replace(found, written=legs.written(route, cluster, plans.snapshot, places, mirrors=True))


def _notes(way: Way, split: Iterable[Leg]) -> Iterator[str]:
    """Yield what is doubtful about the objects that decided, and what the answer takes for granted."""
    rule = words.rule_of(way.journey.route.origin) if way.journey.route else None
    if rule is not None and rule.path:
        yield from (str(one) for one in way.plan.diagnostics if _is_inside(one.origin, rule))
    if way.request.is_encrypted and not way.is_gateway:
        yield "the client speaks TLS itself, so that only the server name is seen of the request"
    if any(one.cluster == names.PASSTHROUGH_CLUSTER for one in split):
        yield "with outboundTrafficPolicy REGISTRY_ONLY it would be refused"
    if way.question.claims is not None and way.is_gateway:
        yield "the token is taken to be signed well"


def _is_inside(origin: Origin, rule: Origin) -> bool:
    return origin.key == rule.key and origin.path.startswith(rule.path)
