"""The steps of a way in words: the name, the listener, the chain, the host, the route, and what comes of it."""

from typing import Final

from lateen import names
from lateen.model.service import Service
from lateen.model.snapshot import Snapshot
from lateen.plan import decide
from lateen.plan.explain import journeys, passed_over, words
from lateen.plan.explain.journeys import Journey
from lateen.plan.explain.places import Places
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.requests import is_address
from lateen.plan.explain.steps import ChosenRoute, FilterChain, Host, Leg, Listener, NameAnswer, Outcome, Server
from lateen.plan.explain.ways import Way
from lateen.plan.types import GatewayListener, MeshTrust, Redirect, Respond, Route

_ALWAYS: Final = 100.0


def outcome(way: Way, split: tuple[Leg, ...], admission: Server | None) -> tuple[Outcome, int, str]:
    """Say in a sentence what becomes of the request."""
    journey, proxy = way.journey, f"the proxy of {way.proxy.key}"
    if way.caller.workload is not None and way.caller.workload.key.name == "anybody":
        proxy = "the client's proxy"
    if journey.refused:
        return Outcome.CLOSED, 0, f"the connection is closed by {proxy}: {journey.refused}"
    if admission is not None and admission.outcome != decide.Outcome.ALLOWED.value:
        outcome = Outcome.ANSWERED if admission.status else Outcome.CLOSED
        return outcome, admission.status, f"{admission.status or 'closed'} by {proxy}: {admission.says}"
    fault = journey.fault
    if fault is not None and fault.abort_status and fault.abort_percent >= _ALWAYS:
        return Outcome.ANSWERED, fault.abort_status, f"{fault.abort_status} by {proxy}: a fault is made on purpose"
    if journey.status is not None:
        return Outcome.ANSWERED, journey.status, f"{journey.status} by {proxy}: {_why_answered(journey)}"
    statuses = {one.status for one in split}
    shares = " · ".join(share(one, len(split)) for one in split)
    status = statuses.pop() if len(statuses) == 1 else 0
    return Outcome.FORWARDED, status, shares


def _why_answered(journey: Journey) -> str:
    if journey.host is None:
        return f"no virtual host of table {journey.table} is for {journey.authority}" if journey.table else "no route"
    if journey.route is None:
        return "plain requests are sent to HTTPS" if journey.location else "no route of the host matches (NR)"
    if isinstance(journey.route.action, Redirect):
        return f"redirected to {journey.location}"
    action = journey.route.action
    body = action.body.decode(errors="replace") if isinstance(action, Respond) else ""
    return "the route answers itself" + (f", {body!r}" if body else "")


def share(found: Leg, branches: int) -> str:
    """Say where a branch of a split leads, with its share where it is not the only one."""
    where = f"{found.host} port {found.port}" if found.host else found.cluster
    subset = f" subset {found.subset}" if found.subset else ""
    result = f": {found.result}" if found.result else ""
    return f"{where}{subset}{f' {words.percent(found.percent)}' if branches > 1 else ''}{result}"


def name_answer(way: Way, snapshot: Snapshot, places: Places) -> NameAnswer:
    """Say what the client's DNS answers."""
    request, address = way.request, way.journey.address
    if is_address(request.host):
        return NameAnswer(f"{request.host} is an address", request.host, "", address)
    service = service_called(snapshot, request.host, way.caller.namespace)
    if service is None and address:
        service = service_called(snapshot, request.host.partition(".")[2], way.caller.namespace)
    if service is None or not address:
        known = f"{service.host} has no address of its own" if service else "the mesh's DNS has no record of it"
        says = f"{known}: the answer comes from the world's DNS"
        if service is not None and service.headless:
            says = f"the addresses of the ready pods of {service.host}, which is headless"
        place = places.of_object(service.origin) if service else None
        return NameAnswer(says, request.host, service.host if service else "", address, place)
    kind = "the address of a pod" if service.headless else "the virtual address of"
    says = f"{address}, {kind} {service.host}"
    return NameAnswer(says, request.host, service.host, address, places.of_object(service.origin))


def service_called(snapshot: Snapshot, host: str, namespace: str) -> Service | None:
    """Find the service that a client of a namespace means by a host."""
    for name in (host, names.qualified_host(host, namespace)):
        if name in snapshot.services:
            return snapshot.services[name]
    tails = (f".{namespace}.svc.{names.DEFAULT_DOMAIN}", f".svc.{names.DEFAULT_DOMAIN}", f".{names.DEFAULT_DOMAIN}")
    found = (snapshot.services.get(host + tail) for tail in tails)
    return next((service for service in found if service is not None), None)


def listener(way: Way, places: Places) -> Listener:
    """Say which listener takes the connection, and why that one."""
    journey, port = way.journey, way.request.port
    entered = journey.entered
    if entered is None:
        if way.is_gateway:
            return Listener(f"none: the gateway does not open port {port}")
        return Listener(f"none is for {journey.address or 'the address'}:{port}: the policy for unknown traffic acts")
    if isinstance(entered, GatewayListener):
        says = f"{journey.listener}, a server's port of a Gateway"
        return Listener(says, names.listener(entered.address, entered.port), places.of(entered.origin))
    everywhere = entered.address == journeys.ANY_ADDRESS
    says = f"{journey.listener}, for {'every address of the port' if everywhere else 'this address alone'}"
    return Listener(says, names.listener(entered.address, entered.port))


def chain(journey: Journey, places: Places) -> FilterChain | None:
    """Say how the connection is looked at; nothing where it is not taken."""
    named = journey.named
    sni = tuple(named.server_names) if named is not None else ()
    place = places.of(named.origin) if named is not None else None
    by_name = f"by server name {', '.join(sni) or '(any)'}" if named is not None else ""
    ended = named.tls if named is not None else None
    how = ""
    if ended is not None:
        how = " TLS is ended here as the mesh's," if isinstance(ended, MeshTrust) else " TLS is ended here,"
    if journey.carried is not None:
        place = place or places.of(journey.carried.origin)
        looked = "the connection is carried as it is, nobody looks into it"
        kind = "TLS" if named is not None and ended is None else "TCP"
        return FilterChain(f"{by_name}{how} {looked}".strip(), kind, sni, "", place)
    if journey.table:
        says = f"{by_name}{how} requests are looked up in route table {journey.table}".strip()
        return FilterChain(says, "HTTP", sni, journey.table, place)
    return None


def virtual_host(journey: Journey) -> Host | None:
    """Say which virtual host the authority chooses; nothing where requests are not looked at, or none fits."""
    if journey.host is None:
        return None
    host, domain = journey.host
    says = f"{host.name}: its domain {domain} is the most specific for {journey.authority}"
    return Host(says, host.name, domain, journey.authority, len(host.routes))


def route(way: Way, plans: Plans, places: Places) -> ChosenRoute | None:
    """Say which route acts, what was passed over for it, and what it does on the way."""
    journey = way.journey
    if journey.host is None:
        return None
    skipped = tuple(passed_over.of(journey, way.request.port, plans.view(way.proxy), places))
    route = journey.route
    if route is None:
        return ChosenRoute("none matches", "", "", None, skipped) if not journey.location else None
    matched = words.condition(route.match)
    settings = tuple(words.route_settings(route, places))
    return ChosenRoute(_does(route, way), route.name, matched, places.of(route.origin), skipped, settings)


def _does(route: Route, way: Way) -> str:
    action = route.action
    if isinstance(action, Respond):
        return f"answers {action.status} itself"
    if isinstance(action, Redirect):
        return f"redirects with {action.code} to {way.journey.location}"
    count = len(action.targets)
    return "forwards" if count == 1 else f"splits among {count} destinations"
