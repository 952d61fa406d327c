"""What the proxies of the workloads behind a cluster decide about a call."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from lateen.api.security.authorization_policy import PolicyAction
from lateen.api.security.peer_authentication import PeerAuthentication
from lateen.model.endpoint import Endpoint
from lateen.model.peers import PeerMode
from lateen.model.snapshot import Snapshot
from lateen.model.workload import Workload
from lateen.plan import decide
from lateen.plan.access_check import Place
from lateen.plan.access_check import Step as AskedRule
from lateen.plan.decide import Decision, Outcome
from lateen.plan.explain import filters, patching
from lateen.plan.explain.places import Places
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.steps import Passage, Passed, Server
from lateen.plan.types import Origin, ProxyPlan
from lateen.plan.verdicts import Call

_STATUS_WITHOUT_CONNECTION: Final = 503
_OUTCOMES: Final = {
    filters.LOGIN: "login",
    filters.MIXER: Outcome.DENIED.value,
    filters.KEY: Outcome.UNAUTHENTICATED.value,
    filters.LIMIT: "limited",
    filters.PROCESSOR: "failed",
}
_Kind = tuple[str, tuple[tuple[str, str], ...], str, bool]


@dataclass(frozen=True, slots=True)
class Behind:
    """Workloads that are alike behind a cluster, the port that is called, and whether the mesh's TLS is used."""

    workloads: tuple[Workload, ...]
    port: int
    through_mesh: bool


def behind(snapshot: Snapshot, endpoints: Iterable[Endpoint], always_mesh: bool, may_mesh: bool) -> Iterator[Behind]:
    """Group endpoints by the workloads that stand for them; endpoints that are no workloads are left out."""
    groups: dict[tuple[_Kind, int, bool], list[Workload]] = {}
    for endpoint in endpoints:
        for workload in _at(snapshot, endpoint):
            by_mesh = always_mesh or (may_mesh and endpoint.tls)
            members = groups.setdefault((_kind(workload), endpoint.port, by_mesh), [])
            if workload not in members:
                members.append(workload)
    for (_, port, through_mesh), workloads in groups.items():
        yield Behind(tuple(workloads), port, through_mesh)


def decision(found: Behind, call: Call, plans: Plans, places: Places) -> Server:
    """Say what the proxy of some workloads makes of a call."""
    workload = found.workloads[0]
    names = tuple(sorted(str(one.key) for one in found.workloads))
    if not workload.proxied:
        says = f"{names[0]} has no proxy: nothing is decided there"
        return Server(says, names, found.port, Outcome.ALLOWED.value)
    plan = plans.server_plan(workload)
    made = decide.decide(plan, call)
    mode = next((known.mode for known in plan.inbound if known.port == found.port), plan.inbound_mode)
    passed = tuple(_passed(found, plan, made, plans, places))
    is_answered = bool(passed) and passed[-1].result is Passage.ANSWERS
    rule = places.of(made.rule.origin) if made.rule and not is_answered else None
    unmatched = made.outcome is Outcome.DENIED and rule is None and not is_answered
    outcome, status, why = _answered(passed[-1]) if is_answered else _decided(made)
    return Server(
        says=f"{outcome}: {why}",
        workloads=names,
        port=found.port,
        outcome=outcome,
        status=status,
        mode="" if plan.gateway else mode.value,
        mode_place=_mode_place(plans.snapshot, workload, found.port, mode, places),
        rule=passed[-1].place if is_answered else rule,
        policies=tuple(_allowing(workload, plans, places)) if unmatched else (),
        asked=() if is_answered and passed[-1].filter == filters.LOGIN else tuple(_asked(made, places)),
        passed=passed,
        patched=patching.of_server(plan, found.port, plans, places),
    )


def _passed(found: Behind, plan: ProxyPlan, made: Decision, plans: Plans, places: Places) -> Iterator[Passed]:
    """Yield what the filters beside the rules do, as far as the call gets."""
    if made.outcome in (Outcome.NO_CONNECTION, Outcome.BAD_REQUEST):
        return
    guard = plan.guards.at(found.port)
    if made.call.is_http:
        for login in filters.logins(guard, made.call, places):
            yield login
            if login.result is Passage.ANSWERS:
                return
    if made.outcome is Outcome.ALLOWED:
        rules = plans.rules(found.workloads[0], found.port)
        stand = filters.others if made.call.is_http else filters.connections
        yield from stand(guard, rules, made.call, places)


def _decided(made: Decision) -> tuple[str, int, str]:
    status = _STATUS_WITHOUT_CONNECTION if made.outcome is Outcome.NO_CONNECTION else made.status
    return made.outcome.value, status, made.reason


def _answered(step: Passed) -> tuple[str, int, str]:
    return _OUTCOMES[step.filter], step.status, step.says


def _kind(workload: Workload) -> _Kind:
    """Return what workloads have in common that decide alike."""
    return workload.owner, tuple(sorted(workload.labels.items())), workload.service_account, workload.proxied


def _at(snapshot: Snapshot, endpoint: Endpoint) -> Iterator[Workload]:
    """Find the workloads that an endpoint stands for: by address, else by name."""
    members = snapshot.workloads.of(endpoint.namespace) if endpoint.namespace else {}
    for workload in members.values():
        if endpoint.workload in (workload.owner, workload.key.name) and endpoint.address == workload.address:
            yield workload


def _mode_place(snapshot: Snapshot, workload: Workload, port: int, mode: PeerMode, places: Places) -> Place | None:
    deciding = snapshot.peers.deciding(workload.key.namespace, workload.labels, port)
    item = snapshot.config.get(deciding) if deciding is not None else None
    if deciding is None or item is None or not isinstance(item.spec, PeerAuthentication):
        return None
    by_port = port in item.spec.port_level_mtls
    return places.of(Origin(deciding, f"spec.portLevelMtls.{port}" if by_port else "spec.mtls.mode"))


def _allowing(workload: Workload, plans: Plans, places: Places) -> Iterator[Place]:
    for item in plans.view(workload).authorization:
        if item.spec.action is PolicyAction.ALLOW:
            yield places.of_object(item.key)


def _asked(made: Decision, places: Places) -> Iterator[AskedRule]:
    for one in made.asked:
        place = places.of(one.rule.origin)
        if place is not None:
            yield AskedRule(one.stage.value, one.rule.name, place, one.failed)
