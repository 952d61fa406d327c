"""May this one call that one? Answered from a snapshot, as the proxies between them would decide.

The caller is a workload, a service account (`namespace/name`) or `outside`; the callee is a workload or a Service.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lateen import names
from lateen.api.networking.gateway import Gateway
from lateen.api.objects import ObjectKey
from lateen.api.security.authorization_policy import PolicyAction
from lateen.api.security.peer_authentication import PeerAuthentication
from lateen.errors import ConfigRejected
from lateen.model import proxy as proxies
from lateen.model.peers import PeerMode
from lateen.model.proxy import Role
from lateen.model.service import Service
from lateen.model.snapshot import Snapshot
from lateen.model.view import OwnPort, ProxyView
from lateen.model.views import Views
from lateen.model.workload import Workload
from lateen.plan import decide
from lateen.plan.cache import PlanCache
from lateen.plan.decide import Decision, Outcome
from lateen.plan.planner import build_plan
from lateen.plan.types import AccessRule, MeshTls, Origin
from lateen.plan.verdicts import Call

OUTSIDE: Final = "outside"
STRANGER: Final = "192.0.2.1"
"""The address that a caller has who is nowhere in the mesh: one that is kept for documentation."""

_GROUP: Final = "security.istio.io"
_WORKLOAD_KINDS: Final = ("deploy", "deployment", "sts", "statefulset", "pod")


@dataclass(frozen=True, slots=True)
class Question:
    """Who calls whom, and with what; `namespace` is for names that say none.

    `port` is the callee's own or its Service's; None is the first. `claims` are those of a token that is signed well.
    """

    caller: str
    callee: str
    namespace: str = "default"
    port: int | None = None
    method: str = "GET"
    path: str = "/"
    host: str = ""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    claims: Mapping[str, Any] | None = None
    source_ip: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """An object, the field of it that is meant, and where that is written; `at` is empty for what came by the API."""

    object: str
    path: str
    at: str


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that was asked: `failed` is the first condition that did not hold, empty where it matched."""

    action: str
    rule: str
    place: Place
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of a call, and why.

    `rule` is where the deciding rule stands; where none decides, `policies` are those that want one to match. `mode` is
    what the callee's port takes, `mode_from` who says so. `identity` is what the caller proves: nothing without the
    mesh's TLS. `asks` are the external authorizers that have to agree. `tried` is what would come of it if the policies
    in dry-run counted, empty without any. `notes` tell what the answer takes for granted.
    """

    outcome: str
    allowed: bool
    reason: str
    status: int
    caller: str
    callee: str
    port: int
    protocol: str
    identity: str
    mutual_tls: bool
    mode: str
    mode_from: Place | None = None
    rule: Place | None = None
    policies: tuple[Place, ...] = ()
    steps: tuple[Step, ...] = ()
    asks: tuple[str, ...] = ()
    tried: str = ""
    audited: Place | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who calls: a workload, an identity without one, or neither."""

    name: str
    identity: str = ""
    workload: Workload | None = None


@dataclass(frozen=True, slots=True)
class _Door:
    """The port that is called, and the service that the caller calls it by."""

    number: int
    service: Service | None = None
    service_port: int = 0


def check(snapshot: Snapshot, question: Question) -> Answer:
    """Answer a question; raises `ConfigRejected` when it names somebody whom the mesh does not know."""
    caller = _caller(snapshot, question)
    callees = find_workloads(snapshot, question.callee, question.namespace)
    if not callees:
        raise ConfigRejected(f"there is no workload or Service '{question.callee}' to be called")
    answers = [_answered(snapshot, question, caller, callee) for callee in callees]
    differing = [each.callee for each in answers if each.allowed is not answers[0].allowed]
    if differing:
        note = f"{', '.join(differing)} would answer otherwise than {answers[0].callee}: ask about each"
        return replace(answers[0], notes=(*answers[0].notes, note))
    return answers[0]


def find_workloads(snapshot: Snapshot, reference: str, namespace: str) -> tuple[Workload, ...]:
    """List the workloads that a name means: a workload's own, `name.namespace`, its Deployment's, or a Service's."""
    kind, slash, rest = reference.rpartition("/")
    if slash and kind not in _WORKLOAD_KINDS:
        return ()
    name, dot, home = rest.partition(".")
    readings = [(rest, namespace)] + ([(name, home.partition(".")[0])] if dot else [])
    for wanted, place in readings:
        members = sorted(snapshot.workloads.of(place).values(), key=lambda one: one.key)
        by_name = [one for one in members if one.key.name == wanted]
        if found := by_name or [one for one in members if one.owner == wanted]:
            return tuple(found)
        service = snapshot.services.get(names.service_host(wanted, place))
        if service is not None and service.selector and not slash:
            return tuple(snapshot.workloads.selected(place, tuple(service.selector)))
    return ()


def explain(snapshot: Snapshot, text: str) -> Place | None:
    """Return where the rule stands that a proxy names in its log; None where the text names none."""
    found = decide.parse_rule_name(text)
    if found is None:
        return None
    key = ObjectKey(_GROUP, "AuthorizationPolicy", found.namespace, found.policy)
    return place_of(snapshot, Origin(key, f"spec.rules[{found.position}]"))


def place_of(snapshot: Snapshot, origin: Origin) -> Place:
    """Return where a part of the plan was written."""
    item = snapshot.config.get(origin.key)
    return Place(str(origin.key), origin.path, item.source.place(origin.path) if item is not None else "")


def allowing_policies(snapshot: Snapshot, callee: Workload) -> tuple[Place, ...]:
    """List the ALLOW policies that concern a workload, of which one has to let a call pass."""
    view = _view(snapshot, callee)
    return tuple(
        Place(str(item.key), "", item.source.place())
        for item in view.authorization
        if item.spec.action is PolicyAction.ALLOW
    )


def _answered(snapshot: Snapshot, question: Question, caller: _Caller, callee: Workload) -> Answer:
    view = _view(snapshot, callee)
    door = _door(snapshot, view, question, callee)
    mode = view.peers.of(door.number)
    through_mesh = callee.proxied and mode is not PeerMode.DISABLE and _speaks_mesh_tls(snapshot, caller, door)
    call = _call(question, caller, callee, door, through_mesh)
    if not callee.proxied:
        decision = Decision(Outcome.ALLOWED, "the callee has no proxy, so that no policy can be held to", call)
    else:
        decision = decide.decide(build_plan(view, PlanCache()), call)
    deciding = snapshot.peers.deciding(callee.key.namespace, callee.labels, door.number)
    return Answer(
        outcome=decision.outcome.value,
        allowed=decision.outcome is Outcome.ALLOWED,
        reason=decision.reason,
        status=decision.status,
        caller=caller.name,
        callee=str(callee.key),
        port=door.number,
        protocol="HTTP" if decision.call.is_http else "TCP",
        identity=decision.call.principal,
        mutual_tls=through_mesh,
        mode=mode.value if callee.proxied else "",
        mode_from=_mode_from(snapshot, deciding, door.number) if deciding is not None else None,
        rule=place_of(snapshot, decision.rule.origin) if decision.rule else None,
        policies=_policies_that_want_a_match(snapshot, decision, callee),
        steps=tuple(_steps(snapshot, decision)),
        asks=_asks(decision),
        tried=_tried(decision),
        audited=_audited(snapshot, decision),
        notes=tuple(_notes(question, caller, decision)),
    )


def _caller(snapshot: Snapshot, question: Question) -> _Caller:
    if question.caller == OUTSIDE:
        return _Caller(OUTSIDE)
    namespace, slash, account = question.caller.partition("/")
    if slash and namespace not in _WORKLOAD_KINDS:
        identity = names.Identity(snapshot.mesh.trust_domain, namespace, account)
        return _Caller(question.caller, str(identity))
    found = find_workloads(snapshot, question.caller, question.namespace)
    if not found:
        raise ConfigRejected(
            f"there is no workload '{question.caller}' to call; a service account is written as namespace/name, "
            f"whoever is not in the mesh as {OUTSIDE}"
        )
    caller = found[0]
    identity = names.Identity(snapshot.mesh.trust_domain, caller.key.namespace, caller.service_account)
    return _Caller(str(caller.key), str(identity) if caller.proxied else "", caller)


def _view(snapshot: Snapshot, workload: Workload) -> ProxyView:
    """Return what the proxy of a workload sees; it is a gateway's where a Gateway selects it."""
    is_gateway = any(item.spec.selector.items() <= workload.labels.items() for item in snapshot.config.of(Gateway))
    proxy = proxies.of_workload(workload, Role.GATEWAY if is_gateway else Role.SIDECAR)
    views = Views(snapshot)
    return views.view_for(views.class_of(proxy))


def _door(snapshot: Snapshot, view: ProxyView, question: Question, callee: Workload) -> _Door:
    """Choose the port: the one that is asked for, by its own number or its Service's, else the first."""
    own = view.own_ports
    if question.port is None and not own and not view.gateway_ports:
        raise ConfigRejected(f"no Service sends to {callee.key}: say which --port is called")
    found = _port(own, question)
    if found is not None:
        return _Door(found.number, snapshot.services.get(found.host), found.service_port)
    if question.port is None:
        return _Door(view.gateway_ports[0][1])
    return _Door(dict(view.gateway_ports).get(question.port, question.port))


def _port(own: Iterable[OwnPort], question: Question) -> OwnPort | None:
    """Find one of the workload's ports; where it is called by a Service's name, that Service's come first."""
    name = question.callee.rpartition("/")[2].partition(".")[0]
    ranked = sorted(own, key=lambda port: not port.host.startswith(f"{name}."))
    if question.port is None:
        return ranked[0] if ranked else None
    numbered = [port for port in ranked if port.service_port == question.port]
    return next((port for port in ranked if port.number == question.port), numbered[0] if numbered else None)


def _speaks_mesh_tls(snapshot: Snapshot, caller: _Caller, door: _Door) -> bool:
    """Tell whether the caller's proxy uses the mesh's TLS towards a port that takes it."""
    if not caller.identity:
        return False
    if caller.workload is None or door.service is None:
        return snapshot.mesh.enable_auto_mtls
    name = names.outbound_cluster(door.service.host, door.service_port)
    plan = build_plan(_view(snapshot, caller.workload), PlanCache())
    cluster = next((each for each in plan.clusters if each.name == name), None)
    return isinstance(cluster.tls, MeshTls) if cluster is not None else snapshot.mesh.enable_auto_mtls


def _call(question: Question, caller: _Caller, callee: Workload, door: _Door, through_mesh: bool) -> Call:
    own = caller.workload.address if caller.workload else ""
    server_name = ""
    if through_mesh and door.service is not None:
        server_name = names.mesh_server_name(door.service.host, door.service_port)
    return Call(
        principal=caller.identity if through_mesh else "",
        source_ip=question.source_ip or own or STRANGER,
        destination_ip=callee.address or "10.244.0.3",
        destination_port=door.number,
        sni=server_name,
        host=question.host or _host(question, door),
        method=question.method,
        path=question.path,
        headers=question.headers,
        claims=question.claims,
    )


def _host(question: Question, door: _Door) -> str:
    """Return the host that a client writes by itself: the service's, with the port unless it is the usual one."""
    host = door.service.host if door.service is not None else question.callee
    port = door.service_port or door.number
    return host if port == 80 else f"{host}:{port}"


def _mode_from(snapshot: Snapshot, deciding: ObjectKey, port: int) -> Place:
    """Return the field that says what a port takes."""
    item = snapshot.config.get(deciding)
    ports = item.spec.port_level_mtls if item is not None and isinstance(item.spec, PeerAuthentication) else {}
    return place_of(snapshot, Origin(deciding, f"spec.portLevelMtls.{port}" if port in ports else "spec.mtls.mode"))


def _policies_that_want_a_match(snapshot: Snapshot, decision: Decision, callee: Workload) -> tuple[Place, ...]:
    is_unmatched = decision.outcome is Outcome.DENIED and decision.rule is None
    return allowing_policies(snapshot, callee) if is_unmatched else ()


def _steps(snapshot: Snapshot, decision: Decision) -> Iterator[Step]:
    for asked in decision.asked:
        yield Step(asked.stage.value, asked.rule.name, place_of(snapshot, asked.rule.origin), asked.failed)


def _asks(decision: Decision) -> tuple[str, ...]:
    return tuple(authorizer.name for authorizer, _ in decision.verdict.asked) if decision.verdict else ()


def _tried(decision: Decision) -> str:
    tried = decision.verdict.tried if decision.verdict else None
    return "" if tried is None else (Outcome.ALLOWED if tried.allowed else Outcome.DENIED).value


def _audited(snapshot: Snapshot, decision: Decision) -> Place | None:
    rule: AccessRule | None = decision.verdict.audited if decision.verdict else None
    return place_of(snapshot, rule.origin) if rule is not None else None


def _notes(question: Question, caller: _Caller, decision: Decision) -> Iterator[str]:
    """Yield what the answer takes for granted, as far as it may have decided."""
    attributes = {condition for asked in decision.asked for condition in _attributes(asked.rule)}
    has_address = bool(question.source_ip or (caller.workload is not None and caller.workload.address))
    if not has_address and attributes & {"source.ip", "remote.ip"}:
        yield f"the caller's address is taken for {STRANGER}: say it with --source-ip"
    if question.claims is not None and decision.call.claims is None and decision.outcome is not Outcome.UNAUTHENTICATED:
        yield "the token is not looked at: no RequestAuthentication applies here, or the port is not HTTP"
    if asks := _asks(decision):
        yield f"the answer holds if {', '.join(asks)} agrees, which is asked first"


def _attributes(rule: AccessRule) -> Iterator[str]:
    for alternative in (*rule.sources, *rule.operations, rule.conditions):
        yield from (condition.attribute.value for condition in alternative)
