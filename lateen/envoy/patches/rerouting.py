"""Patched routes and clusters read back as a plan, so that a request can be followed through them.

A route that no patch has touched stays the plan's own. Of one that a patch has changed or brought in, what decides
where requests go is read: path, headers and query, clusters, redirects and answers, rewrites.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lateen.api.networking.envoy_filter import ApplyTo
from lateen.envoy import routes
from lateen.envoy.cache import ResourceCache
from lateen.envoy.patches import patching
from lateen.envoy.patches.bench import Bench
from lateen.plan.types import (
    Action,
    Cluster,
    Discovery,
    Forward,
    MatchKind,
    NamedMatch,
    Origin,
    ProxyPlan,
    Redirect,
    RequestMatch,
    Respond,
    Rewrite,
    Route,
    RouteTable,
    Target,
    TextMatch,
    VirtualHost,
)
from lateen.xds.order import CLUSTER, ROUTE

_PARTS: Final = (ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE, ApplyTo.CLUSTER)
_CODES: Final = {0: 301, 1: 302, 2: 303, 3: 307, 4: 308}


def rerouted(plan: ProxyPlan) -> ProxyPlan:
    """Return a plan with its tables and clusters as patches make them; the same plan where they have no patch."""
    sets = tuple(
        replace(one, patches=tuple(patch for patch in one.patches if patch.written.apply_to in _PARTS))
        for one in plan.patches
    )
    if not any(one.patches for one in sets):
        return plan
    cache = ResourceCache()
    tables = {one.name: cache.route_table(one) for one in plan.route_tables}
    at = Bench({CLUSTER: {one.name: cache.cluster(one) for one in plan.clusters}, ROUTE: tables}, plan.role)
    known = _Known.of(plan.route_tables)
    clusters = {one.name: one for one in plan.clusters}
    for patch in patching.steps(at, sets, []):
        if patch.written.apply_to is ApplyTo.CLUSTER:
            for name in at.names(CLUSTER):
                clusters.setdefault(name, Cluster(name, Discovery.DNS, origin=patch.origin))
        else:
            known.learn((at.message(ROUTE, name) for name in at.names(ROUTE)), patch.origin)
    left = set(at.names(CLUSTER))
    return replace(
        plan,
        clusters=tuple(one for name, one in clusters.items() if name in left),
        route_tables=tuple(known.table(at.message(ROUTE, name)) for name in at.names(ROUTE)),
    )


_Places = dict[tuple[str, str], list[bytes]]


@dataclass(slots=True)
class _Known:
    """The routes of a plan by what is said of them, and how the virtual hosts were before the next patch."""

    routes: dict[bytes, Route] = field(default_factory=dict)
    before: _Places = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Iterable[RouteTable]) -> "_Known":
        """Know the routes of tables."""
        found = cls()
        for table in tables:
            for host in table.virtual_hosts:
                said = [_bytes(routes.route(one)) for one in host.routes]
                found.routes.update(zip(said, host.routes, strict=True))
                found.before[table.name, host.name] = said
        return found

    def learn(self, tables: Iterable[Any], origin: Origin) -> None:
        """Read the routes that a patch has changed or brought in; one that was changed stands where it stood."""
        for table in tables:
            for host in table.virtual_hosts:
                said, were = [_bytes(one) for one in host.routes], self.before.get((table.name, host.name), [])
                for position, one in enumerate(host.routes):
                    if said[position] not in self.routes:
                        same = len(said) == len(were)
                        base = self.routes.get(were[position]) if same else None
                        self.routes[said[position]] = _route(one, base, origin)
                self.before[table.name, host.name] = said

    def table(self, message: Any) -> RouteTable:
        """Read a table."""
        return RouteTable(message.name, tuple(self._host(one) for one in message.virtual_hosts))

    def _host(self, message: Any) -> VirtualHost:
        found = tuple(self.routes[_bytes(one)] for one in message.routes)
        return VirtualHost(message.name, tuple(message.domains), found, message.require_tls == message.ALL)


def _route(message: Any, base: Route | None, origin: Origin) -> Route:
    """Read a route. What is as it was in `base` stays as that says it."""
    before = routes.route(base) if base is not None else None
    is_same = before is not None and _bytes(before.match) == _bytes(message.match)
    match = base.match if base is not None and is_same else _match(message.match)
    action = _action(message, base.action if base is not None else None, before)
    if base is not None:
        return replace(base, name=message.name, match=match, action=action, origin=origin)
    return Route(match, action, message.name, origin=origin)


def _action(message: Any, known: Action | None, before: Any) -> Action:
    kind = message.WhichOneof("action")
    is_same = known is not None and kind is not None and kind == before.WhichOneof("action")
    if known is not None and is_same and _bytes(getattr(before, kind)) == _bytes(getattr(message, kind)):
        return known
    if kind == "redirect":
        return _redirect(message.redirect)
    if kind == "direct_response":
        body = message.direct_response.body
        return Respond(message.direct_response.status, body.inline_bytes or body.inline_string.encode())
    return _forward(message.route, known if isinstance(known, Forward) else Forward(()))


def _forward(said: Any, known: Forward) -> Forward:
    targets = tuple(Target(one.name, one.weight.value) for one in said.weighted_clusters.clusters)
    if said.cluster:
        targets = (Target(said.cluster),)
    rewrite = Rewrite(
        prefix=said.prefix_rewrite,
        authority=said.host_rewrite_literal,
        regex=said.regex_rewrite.pattern.regex,
        substitution=said.regex_rewrite.substitution,
    )
    timeout = said.timeout.ToTimedelta() if said.HasField("timeout") else None
    same = known.rewrite is not None and not any((rewrite.prefix, rewrite.authority, rewrite.regex))
    changed = known.rewrite if same else rewrite if rewrite != Rewrite() else None
    return replace(known, targets=targets or known.targets, rewrite=changed, timeout=timeout or None)


def _redirect(said: Any) -> Redirect:
    return Redirect(
        _CODES.get(said.response_code, 301),
        said.scheme_redirect or ("https" if said.https_redirect else ""),
        said.host_redirect,
        said.port_redirect or None,
        said.path_redirect,
        said.prefix_rewrite,
    )


def _match(said: Any) -> RequestMatch:
    return RequestMatch(
        _path(said), tuple(map(_header, said.headers)), tuple(_parameter(one) for one in said.query_parameters)
    )


def _path(said: Any) -> TextMatch | None:
    folds = said.HasField("case_sensitive") and not said.case_sensitive.value
    match said.WhichOneof("path_specifier"):
        case "prefix":
            return TextMatch(MatchKind.PREFIX, said.prefix, folds) if said.prefix != "/" else None
        case "path":
            return TextMatch(MatchKind.EXACT, said.path, folds)
        case "safe_regex":
            return TextMatch(MatchKind.REGEX, said.safe_regex.regex)
        case "path_separated_prefix":
            return TextMatch(MatchKind.REGEX, f"{re.escape(said.path_separated_prefix)}(/.*)?")
        case _:
            return None


def _header(said: Any) -> NamedMatch:
    present = said.WhichOneof("header_match_specifier") in (None, "present_match")
    is_inverted = said.invert_match is not (present and said.HasField("present_match") and not said.present_match)
    text = TextMatch(MatchKind.PRESENT) if present else _text(said.string_match)
    return NamedMatch(said.name.lower(), replace(text, inverted=is_inverted))


def _parameter(said: Any) -> NamedMatch:
    present = said.WhichOneof("query_parameter_match_specifier") != "string_match"
    return NamedMatch(said.name, TextMatch(MatchKind.PRESENT) if present else _text(said.string_match))


def _text(said: Any) -> TextMatch:
    kind = said.WhichOneof("match_pattern")
    match kind:
        case "prefix" | "suffix" | "exact":
            return TextMatch(MatchKind(kind), getattr(said, kind), said.ignore_case)
        case "safe_regex":
            return TextMatch(MatchKind.REGEX, said.safe_regex.regex)
        case "contains":
            return TextMatch(MatchKind.REGEX, f".*{re.escape(said.contains)}.*")
        case _:
            return TextMatch(MatchKind.PRESENT)


def _bytes(message: Any) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))
