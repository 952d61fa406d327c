"""The door of the compiler: from the rules that concern a class of proxies to what its proxies do."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace

from lateen.api.config_set import ConfigSet
from lateen.api.mixer.templates import Variety
from lateen.mixer import own_places
from lateen.mixer.bound_services import CalledService
from lateen.mixer.compiled import SILENT, Compiled, Placement, Reporting
from lateen.mixer.compiled_checks import CHECKED, CheckCompiler, is_decided_by_proxies
from lateen.mixer.compiled_headers import HeaderCompiler
from lateen.mixer.compiled_quotas import QuotaCompiler
from lateen.mixer.compiled_reports import ReportCompiler, why_told
from lateen.mixer.compiled_spans import traced
from lateen.mixer.counted_quotas import quotas_need_mixer
from lateen.mixer.places import Place
from lateen.mixer.rule_types import ResolvedRule
from lateen.mixer.rules import RuleSet, resolve
from lateen.model.proxy import Role
from lateen.model.view import OwnPort, ProxyView
from lateen.plan.mixer_types import NO_CHECKS, Checks, GatedRule, MixerGuard, RemoteCheck
from lateen.plan.telemetry_types import Measure, Metrics, Reports, Telemetry
from lateen.plan.types import Guard, Guards, ProxyPlan

_SERVICE = ("host", "name", "namespace")


class RuleSets:
    """Remembers what was made of rules, as long as what it was made of is the same."""

    def __init__(self) -> None:
        self._known: dict[Hashable, RuleSet] = {}
        self._surveyed: dict[Hashable, Surveyed] = {}

    def of(self, view: ProxyView) -> RuleSet:
        """Return the rules of a view."""
        key = _objects(view)
        if key not in self._known:
            self._known[key] = resolve(ConfigSet(view.mixer), view.mesh.root_namespace)
        return self._known[key]

    def surveyed(self, view: ProxyView) -> "Surveyed":
        """Return what the rules of a view come to."""
        key = _place(view)
        if key not in self._surveyed:
            self._surveyed[key] = survey(view, self.of(view))
        return self._surveyed[key]

    def forget_others(self, views: Iterable[ProxyView]) -> None:
        """Keep only what these views need."""
        asking = [view for view in views if view.mixer]
        objects, places = set(map(_objects, asking)), set(map(_place, asking))
        self._known = {key: found for key, found in self._known.items() if key in objects}
        self._surveyed = {key: found for key, found in self._surveyed.items() if key in places}


def _objects(view: ProxyView) -> Hashable:
    return view.mixer, view.mesh.root_namespace


def _place(view: ProxyView) -> Hashable:
    """Return all of a view that decides what rules come to."""
    own = {port.host for port in view.own_ports}
    hosts = tuple(service.host for service in view.services if service.host in own)
    place = view.namespace, view.role, view.own_ports, view.labels, view.key.runs
    mesh = view.mesh.trust_domain, view.mesh.policy_check_fail_open
    return _objects(view), place, mesh, hosts, view.callers


@dataclass(frozen=True, slots=True)
class Surveyed:
    """All that rules come to for one class: for calls to any port, and where it differs, to single ports."""

    everywhere: Compiled
    by_port: tuple[tuple[OwnPort, Compiled], ...] = ()
    inbound: Reporting = SILENT
    outbound: Reporting = SILENT
    has_other_ports: bool = True

    @property
    def placements(self) -> Iterator[tuple[str, Placement]]:
        """Where actions ended up, with the direction of the calls, or their port."""
        if self.has_other_ports:
            yield from (("in", one) for one in self.everywhere.placements)
        yield from (("in", one) for one in self.inbound.placements)
        for port, compiled in self.by_port:
            for one in compiled.placements:
                yield "in" if one in self.everywhere.placements else f"in :{port.number}", one
        yield from (("out", one) for one in self.outbound.placements)


def with_mixer(plan: ProxyPlan, view: ProxyView, rule_sets: RuleSets) -> ProxyPlan:
    """Return the plan of a class with what Mixer's rules come to there; the same plan where there are none."""
    if not view.mixer:
        return plan
    found = rule_sets.surveyed(view)
    names = frozenset(cluster.name for cluster in plan.clusters)
    return replace(plan, guards=_guarded(plan.guards, found), telemetry=_telling(plan.telemetry, found, names))


def survey(view: ProxyView, rule_set: RuleSet) -> Surveyed:
    """Compile the rules of a view for all places of its proxies."""
    rules = rule_set.of_namespace(view.namespace)
    everywhere = _compiled(view, rule_set, own_places.inbound(view))
    first: dict[int, OwnPort] = {}
    for port in sorted(view.own_ports, key=lambda one: one.host):
        first.setdefault(port.number, port)
    compiled = ((port, _compiled(view, rule_set, own_places.inbound(view, port))) for port in first.values())
    by_port = tuple((port, one) for port, one in compiled if one != everywhere)
    is_gateway = view.role is Role.GATEWAY
    into = own_places.at_end(own_places.inbound(view, _only_service(first.values())))
    return Surveyed(
        everywhere,
        by_port,
        SILENT if is_gateway else ReportCompiler(into).compile(rules),
        ReportCompiler(own_places.outbound(view)).compile(rules),
        has_other_ports=not by_port or len(by_port) < len(first),
    )


def _only_service(ports: Iterable[OwnPort]) -> OwnPort | None:
    """Return a port of the one service that a workload is behind; what is told of calls does not differ by port."""
    by_host = {port.host: port for port in ports}
    return next(iter(by_host.values())) if len(by_host) == 1 else None


def _compiled(view: ProxyView, rule_set: RuleSet, place: Place) -> Compiled:
    rules = rule_set.of_namespace(view.namespace)
    opens = view.mesh.policy_check_fail_open
    checks, tcp = (
        CheckCompiler(place, fails_open=opens),
        CheckCompiler(own_places.for_connections(place), fails_open=opens),
    )
    requests, connections = checks.compile(rules), tcp.compile(rules)
    quotas = QuotaCompiler(place, _called(place), rule_set, view.namespace)
    limits = quotas.compile()
    requests = _asking(requests, quotas.gated, fails_open=opens)
    headers = HeaderCompiler(place, asks_mixer=requests.remote is not None, is_gateway=view.role is Role.GATEWAY)
    changes = headers.compile(rules)
    requests = _asking(requests, headers.gated, fails_open=opens)
    placements = (*checks.placements, *quotas.placements, *headers.placements)
    return Compiled(requests, connections, limits, changes, placements)


def _called(place: Place) -> CalledService:
    host, name, namespace = (str(place.facts.get(f"destination.service.{fact}", "")) for fact in _SERVICE)
    return CalledService(host, name, namespace, place.labels)


def _asking(checks: Checks, gated: Iterable[GatedRule], *, fails_open: bool) -> Checks:
    """Have Mixer asked about more rules."""
    rules = (*(checks.remote.rules if checks.remote else ()), *gated)
    return replace(checks, remote=RemoteCheck(rules, fails_open=fails_open)) if rules else checks


def _guarded(guards: Guards, found: Surveyed) -> Guards:
    special = {port for port, _ in guards.by_port} | {port.number for port, _ in found.by_port}
    by_port = {port.number: compiled for port, compiled in found.by_port}
    return Guards(
        _with(guards.everywhere, found.everywhere),
        tuple((port, _with(guards.at(port), by_port.get(port, found.everywhere))) for port in sorted(special)),
    )


def _with(guard: Guard, compiled: Compiled) -> Guard:
    made = MixerGuard(compiled.requests, compiled.connections)
    return replace(
        guard,
        mixer=made if made != _NOTHING else None,
        limits=(*guard.limits, *compiled.limits),
        headers=(*guard.headers, *compiled.headers),
    )


_NOTHING = MixerGuard(NO_CHECKS, NO_CHECKS)


def _telling(telemetry: Telemetry, found: Surveyed, clusters: frozenset[str]) -> Telemetry:
    return replace(
        telemetry,
        inbound=_reporting(telemetry.inbound, found.inbound, clusters),
        outbound=_reporting(telemetry.outbound, found.outbound, clusters),
    )


def _reporting(reports: Reports, more: Reporting, clusters: frozenset[str]) -> Reports:
    metrics = reports.metrics
    if more.metrics:
        known = metrics or Metrics(disabled=tuple(Measure))
        metrics = replace(known, custom=(*known.custom, *more.metrics))
    tracing = reports.tracing
    for spans in more.spans:
        tracing = traced(tracing, spans, clusters)
    return replace(reports, metrics=metrics, logs=(*reports.logs, *more.logs), tracing=tracing)


def needs_mixer(rule_set: RuleSet, *, mesh_fails_open: bool = False) -> bool:
    """Tell whether any proxy may have to ask or tell Mixer because of these rules."""
    if quotas_need_mixer(rule_set):
        return True
    return any(_needs_mixer(rule, mesh_fails_open=mesh_fails_open) for rule in rule_set.rules)


def _needs_mixer(rule: ResolvedRule, *, mesh_fails_open: bool) -> bool:
    if rule.request_headers or rule.response_headers:
        return True
    for action in rule.actions:
        varieties = {one.variety for one in action.instances}
        if Variety.REPORT in varieties and why_told(rule, action):
            return True
        if varieties & CHECKED and not is_decided_by_proxies(rule, action, mesh_fails_open=mesh_fails_open):
            return True
    return False
