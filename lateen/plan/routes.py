"""From VirtualServices to the routes of a virtual host."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from lateen import names
from lateen.api.networking.virtual_service import HttpMatch, HttpRoute, VirtualService
from lateen.api.objects import ConfigObject
from lateen.model.service import Resolution, Service
from lateen.plan import actions, delegates, matches, sessions, traffic
from lateen.plan.delegates import Rule
from lateen.plan.destinations import Site
from lateen.plan.diagnostics import Doubt, Notes, below
from lateen.plan.directory import Directory
from lateen.plan.matches import ANY_REQUEST, Vantage
from lateen.plan.traffic import HostPolicy
from lateen.plan.types import Action, Diagnostic, Forward, Origin, RequestMatch, Route, Target

_MESH: Final = frozenset({"mesh"})


@dataclass(frozen=True, slots=True, eq=False)
class Routes:
    """The routes that a VirtualService comes to at one place, and what was doubtful in it."""

    routes: tuple[Route, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """What the routes of a VirtualService, with its delegates, depend on beside itself."""

    delegates: bool
    destinations: tuple[tuple[str, str], ...]
    asks_for_source: bool


def of_virtual_service(item: ConfigObject[VirtualService], vantage: Vantage, directory: Directory) -> Routes:
    """Return the routes of a VirtualService as seen from a proxy's port; the same object while nothing changed."""
    cache = directory.cache
    references = cache.recall("references", (item,), (), lambda: _references((item,)))
    handed_over: tuple[ConfigObject[VirtualService], ...] = ()
    if references.delegates:
        handed_over = delegates.delegates_of(item, directory)
        together = (item, *handed_over)
        references = cache.recall("references", together, (), lambda: _references(together))
    if not references.asks_for_source:
        vantage = Vantage(vantage.gateways, vantage.port)
    surroundings: list[object] = []
    for host, namespace in references.destinations:
        service, policy = directory.destination(host, namespace)
        surroundings += (service, policy, directory.session(service) if service else None)
    return cache.recall(
        "routes",
        (item, *handed_over, directory.defaults, *surroundings),
        (vantage,),
        lambda: _translate(item, vantage, directory),
    )


def of_virtual_services(
    items: Iterable[ConfigObject[VirtualService]], vantage: Vantage, directory: Directory, notes: Notes
) -> tuple[Routes, ...]:
    """Return the routes of each of several VirtualServices, and pass on what was doubtful in them."""
    found = tuple(of_virtual_service(item, vantage, directory) for item in items)
    for part in found:
        if part.diagnostics:
            notes.extend(part.diagnostics)
    return found


def mesh_vantage(directory: Directory, port: int) -> Vantage:
    """Look at rules as a sidecar does, at a port that its workload calls."""
    return Vantage(_MESH, port, directory.view.namespace, directory.view.labels)


def merge(parts: Iterable[Routes]) -> tuple[Route, ...]:
    """Merge the routes of several VirtualServices for one host, oldest first.

    Routes that match everything come after all others, so that no object hides another one's paths; of several such
    routes the oldest acts.
    """
    together = [route for part in parts for route in part.routes]
    specific = [route for route in together if not matches.is_catch_all(route.match)]
    general = [route for route in together if matches.is_catch_all(route.match)]
    return (*specific, *general[:1])


def default(service: Service, port: int, policy: HostPolicy, directory: Directory) -> Route:
    """Return the route of a service that no rule concerns: everything goes to the port's cluster."""
    settings = traffic.settle(policy, port, "", directory.defaults)
    keys = traffic.hash_keys(settings.load_balancer)
    forward = Forward(
        targets=(Target(names.outbound_cluster(service.host, port)),),
        retry=actions.sticky(directory.defaults.retry, keys),
        hash_keys=keys,
        session=sessions.session(directory.session(service)),
        resolves_host=service.resolution is Resolution.DYNAMIC_DNS,
    )
    return Route(ANY_REQUEST, forward, name="default", origin=Origin(service.origin))


def _references(items: tuple[ConfigObject[VirtualService], ...]) -> References:
    rules = [rule for item in items for rule in item.spec.http]
    conditions = [condition for rule in rules for condition in rule.match]
    return References(
        any(rule.delegate is not None for rule in rules),
        tuple(dict.fromkeys(place for item in items for place in _destinations(item))),
        any(condition.source_labels or condition.source_namespace for condition in conditions),
    )


def _destinations(item: ConfigObject[VirtualService]) -> Iterator[tuple[str, str]]:
    for rule in item.spec.http:
        for branch in rule.route:
            yield branch.destination.host, item.namespace
        if rule.mirror is not None:
            yield rule.mirror.host, item.namespace
        for mirror in rule.mirrors:
            yield mirror.destination.host, item.namespace


def _translate(item: ConfigObject[VirtualService], vantage: Vantage, directory: Directory) -> Routes:
    notes = Notes()
    found: list[Route] = []
    for rule in delegates.rules_of(item, directory, notes):
        found += _of_rule(rule, vantage, directory, notes)
        if found and matches.is_catch_all(found[-1].match):
            break
    return Routes(tuple(found), notes.all)


def _of_rule(rule: Rule, vantage: Vantage, directory: Directory, notes: Notes) -> list[Route]:
    """Return a route for each of a rule's conditions that can hold here, up to one that always holds."""
    asked = list(_asked(rule, vantage, notes))
    if not asked:
        return []
    written = rule.written
    site = Site(directory, rule.namespace, vantage.port, rule.origin, notes)
    settled = actions.action(written, site)
    headers = written.headers
    shared = Route(
        match=ANY_REQUEST,
        action=settled,
        fault=actions.fault(written.fault, site),
        cors=actions.cors(written.cors_policy),
        request_headers=actions.header_operations(headers.request if headers else None),
        response_headers=actions.header_operations(headers.response if headers else None),
    )
    found: list[Route] = []
    for alternative in asked:
        found += sessions.with_pins(_route(shared, written, settled, alternative))
        if matches.is_catch_all(alternative.match):
            break
    return found


@dataclass(frozen=True, slots=True)
class _Alternative:
    """One way to match a rule."""

    match: RequestMatch
    name: str
    origin: Origin
    statistics: str = ""


def _route(shared: Route, written: HttpRoute, settled: Action, alternative: _Alternative) -> Route:
    return replace(
        shared,
        match=alternative.match,
        action=actions.with_rewrite(settled, written, alternative.match.path),
        name=alternative.name,
        statistics=alternative.statistics,
        origin=alternative.origin,
    )


def _asked(rule: Rule, vantage: Vantage, notes: Notes) -> Iterator[_Alternative]:
    """Yield the alternatives of a rule that can hold here; those of a delegate together with the outer ones."""
    for position, condition in enumerate(delegates.conditions(rule.written)):
        origin = below(rule.origin, f"match[{position}]") if len(rule.written.match) > 1 else rule.origin
        if not _can_hold(condition, vantage, rule.namespace, origin, notes):
            continue
        inner = matches.request_match(condition)
        name = ".".join(filter(None, (rule.written.name, condition.name)))
        if not rule.outer:
            yield _Alternative(inner, name, origin, condition.stat_prefix)
        for outer in rule.outer:
            if not _can_hold(outer, vantage, rule.outer_namespace, origin, notes):
                continue
            combined = matches.both(matches.request_match(outer), inner)
            if combined is None:
                notes.add(
                    origin,
                    "never matches: its uri is outside of the prefix that is handed over to it",
                    Doubt.NEVER_MATCHES,
                )
            else:
                yield _Alternative(combined, name, origin, condition.stat_prefix)


def _can_hold(condition: HttpMatch, vantage: Vantage, owner: str, origin: Origin, notes: Notes) -> bool:
    if matches.reads_claims(condition) and vantage.gateways == _MESH:
        notes.add(origin, "never matches in sidecars: claims of tokens are read by gateways only", Doubt.NEVER_MATCHES)
        return False
    return matches.concerns(condition, vantage, owner)
