"""What a plan does with a request, step by step and without Envoy: which listener, virtual host, route and clusters.

The rules are Envoy's: the most specific listener, then the most specific domain, then the first route that matches.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl

from lateen import names
from lateen.plan import tls
from lateen.plan.types import (
    Arrival,
    Chain,
    ClaimMatch,
    Fault,
    Forward,
    HttpChain,
    MatchKind,
    NamedChain,
    NamedMatch,
    OutboundListener,
    ProxyPlan,
    Redirect,
    RequestMatch,
    Respond,
    Rewrite,
    Route,
    RouteTable,
    SniffedChain,
    TcpChain,
    TextMatch,
    VirtualHost,
    Way,
)

ANY_ADDRESS: Final = "0.0.0.0"
_PORT: Final = re.compile(r":\d+$")


class Secured(StrEnum):
    """How a connection arrives at a server's proxy."""

    PLAIN = "plain traffic"
    MESH = "the mesh's TLS"
    OWN_TLS = "TLS of the application"


_FITTING: Final = {
    Arrival.ANY: (Secured.PLAIN, Secured.OWN_TLS),
    Arrival.PLAIN: (Secured.PLAIN,),
    Arrival.MESH: (Secured.MESH,),
    Arrival.MESH_ONLY: (Secured.MESH,),
    Arrival.OWN_TLS: (Secured.OWN_TLS,),
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request, or a bare connection when `is_http` is false.

    `host` is what the client calls; `authority` is what it writes into the request when that is something else.
    `address` is where it connects to, when that is not what the plan's DNS says. Over TLS it asks for `server_name`,
    which is the host unless it says otherwise. `claims` are those of its token.
    """

    host: str
    port: int
    path: str = "/"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    authority: str = ""
    address: str = ""
    scheme: str = "http"
    is_http: bool = True
    secured: Secured = Secured.PLAIN
    server_name: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_encrypted(self) -> bool:
        """Tell whether the client speaks TLS of its own."""
        return self.scheme == "https" or self.secured is Secured.OWN_TLS


@dataclass(frozen=True, slots=True)
class Considered:
    """A route that was asked and did not match, and the condition that failed."""

    route: Route
    failed: str


@dataclass(frozen=True, slots=True)
class Journey:
    """What happens to a request. `status` is the proxy's own answer, None when the request is forwarded.

    `refused` is why its connection is closed.

    `clusters` have their shares in percent. `listener` is empty where no listener knew the address, so that the
    fallback acted.
    """

    address: str = ""
    listener: str = ""
    table: str = ""
    virtual_host: str = ""
    route: Route | None = None
    considered: tuple[Considered, ...] = ()
    clusters: tuple[tuple[str, float], ...] = ()
    status: int | None = None
    refused: str = ""
    location: str = ""
    path: str = ""
    authority: str = ""
    fault: Fault | None = None


def outbound(plan: ProxyPlan, request: Request) -> Journey:
    """Follow a request of a sidecar's workload to the clusters that it leaves by."""
    address = request.address or resolve(plan, request.host)
    found = _listener(plan.outbound, address, request.port)
    if found is None:
        fallback = plan.outbound_fallback
        return _connected(Journey(address=address), fallback) if fallback else Journey(address=address, status=503)
    start = Journey(address=address, listener=f"{found.address}:{found.port}")
    if request.is_encrypted:
        request = replace(request, is_http=False)
        named = for_server_name(found.named, request.server_name or request.host)
        if named is not None:
            return _through(plan, named.chain, request, start)
    if not request.is_http and found.fallback is not None:
        return _connected(start, found.fallback)
    return _through(plan, found.chain, request, start)


def inbound(plan: ProxyPlan, request: Request) -> Journey:
    """Follow a request that reaches a sidecar to the cluster of its workload, or to where it is refused."""
    for port in plan.inbound:
        if port.port == request.port:
            return _admitted(plan, tls.ways_into(port), request, Journey(listener=f"inbound:{port.port}"))
    fallback = plan.inbound_fallback
    if fallback is None:
        return Journey(status=503)
    others = tls.ways_in(fallback, plan.inbound_mode, names.INBOUND_PASSTHROUGH_CLUSTER)
    return _admitted(plan, others, request, Journey())


def _admitted(plan: ProxyPlan, ways: Iterable[Way], request: Request, journey: Journey) -> Journey:
    """Take the way in that is for the request's connection; there is none where its kind is not taken."""
    for way in ways:
        if request.secured in _FITTING[way.arrival] and way.is_http in (None, request.is_http):
            if request.secured is Secured.OWN_TLS and isinstance(way.carries, TcpChain):
                return _connected(journey, way.carries)
            return _through(plan, way.carries, request, journey)
    return replace(journey, refused=f"{request.secured.value} is not taken here")


def through_gateway(plan: ProxyPlan, request: Request) -> Journey:
    """Follow a request that reaches one of a gateway's ports, `request.port` as it is bound."""
    for listener in plan.gateway:
        if listener.port == request.port and listener.address in (ANY_ADDRESS, "::", request.address):
            start = Journey(listener=f"{listener.address}:{listener.port}")
            if listener.chain is not None:
                return _through(plan, listener.chain, request, start)
            return _by_server_name(plan, listener.named, request, start)
    return Journey(status=503)


def for_server_name(chains: Iterable[NamedChain], name: str) -> NamedChain | None:
    """Choose by server name: itself, then the longest `*suffix`, then the chain for all names."""
    ranked = [
        (rank, chain)
        for chain in chains
        for pattern in chain.server_names or ("*",)
        if (rank := _rank(pattern, name.lower())) is not None
    ]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _by_server_name(plan: ProxyPlan, chains: Iterable[NamedChain], request: Request, journey: Journey) -> Journey:
    if not request.is_encrypted:
        return replace(journey, refused="the port takes TLS only")
    name = "" if _is_address(request.host) else request.host
    named = for_server_name(chains, request.server_name or name)
    if named is None:
        return replace(journey, refused=f"no server has the name {request.server_name or name or 'of none'}")
    ended = replace(request, is_http=request.is_http and named.tls is not None)
    return _through(plan, named.chain, ended, journey)


def resolve(plan: ProxyPlan, host: str) -> str:
    """Return the address that a client gets for a host: its own when it is one, nothing when the plan knows none."""
    if _is_address(host):
        return host
    records = {record.host: record.addresses for record in plan.dns}
    for name in (host, *(known for known in records if known.startswith(f"{host}."))):
        if records.get(name):
            return records[name][0]
    return ""


def find_virtual_host(table: RouteTable, authority: str) -> VirtualHost | None:
    """Choose by domain, without the port: exact, then the longest `*suffix`, then the longest `prefix*`, then `*`."""
    host_name = _PORT.sub("", authority.lower())
    ranked = [
        (rank, host)
        for host in table.virtual_hosts
        for domain in host.domains
        if (rank := _rank(domain.lower(), host_name)) is not None
    ]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def failed_condition(match: RequestMatch, request: Request, authority: str) -> str:
    """Return the first condition that a request does not meet, in words; nothing when it meets all."""
    path, _, query = request.path.partition("?")
    if match.path is not None and not holds(match.path, path):
        return f"path is {path}"
    known = {name.lower(): value for name, value in request.headers.items()}
    known |= {":method": request.method, ":authority": authority, ":scheme": request.scheme, ":path": request.path}
    return (
        _failed(match.headers, known, "header")
        or _failed(match.query, dict(parse_qsl(query, keep_blank_values=True)), "query parameter")
        or _failed_claim(match.claims, request.claims)
    )


def _failed_claim(conditions: Iterable[ClaimMatch], claims: Mapping[str, Any]) -> str:
    for condition in conditions:
        value: Any = claims
        for step in condition.path:
            value = value.get(step) if isinstance(value, Mapping) else None
        texts = [text for text in (value if isinstance(value, list | tuple) else [value]) if isinstance(text, str)]
        if any(_compares(condition.match, text) for text in texts) is condition.match.inverted:
            return f"claim {'.'.join(condition.path)} is {value if texts else 'missing'}"
    return ""


def holds(match: TextMatch, value: str | None) -> bool:
    """Compare a text, or its absence; what is absent meets every inverted condition and no other."""
    return (value is not None and _compares(match, value)) is not match.inverted


def _compares(match: TextMatch, value: str) -> bool:
    if match.kind is MatchKind.PRESENT:
        return True
    if match.kind is MatchKind.REGEX:
        return re.fullmatch(match.value, value) is not None
    wanted = match.value
    if match.ignore_case:
        wanted, value = wanted.lower(), value.lower()
    if match.kind is MatchKind.SUFFIX:
        return value.endswith(wanted)
    return value == wanted if match.kind is MatchKind.EXACT else value.startswith(wanted)


def _failed(conditions: Iterable[NamedMatch], known: Mapping[str, str], what: str) -> str:
    for condition in conditions:
        value = known.get(condition.name)
        if not holds(condition.match, value):
            return f"{what} {condition.name} is " + ("missing" if value is None else value)
    return ""


def _rank(domain: str, authority: str) -> tuple[int, int] | None:
    """Return how well a domain fits an authority, higher is better; None when it does not."""
    if domain == "*":
        return (0, 0)
    if domain == authority:
        return (3, len(domain))
    if domain.startswith("*") and authority.endswith(domain[1:]) and len(authority) > len(domain) - 1:
        return (2, len(domain))
    if domain.endswith("*") and authority.startswith(domain[:-1]) and len(authority) > len(domain) - 1:
        return (1, len(domain))
    return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _listener(listeners: Iterable[OutboundListener], address: str, port: int) -> OutboundListener | None:
    of_port = [listener for listener in listeners if listener.port == port]
    for wanted in (address, ANY_ADDRESS):
        for listener in of_port:
            if listener.address == wanted:
                return listener
    return None


def _through(plan: ProxyPlan, chain: Chain, request: Request, journey: Journey) -> Journey:
    if isinstance(chain, SniffedChain):
        chain = chain.http if request.is_http else chain.tcp
    if isinstance(chain, TcpChain):
        return _connected(journey, chain)
    if not request.is_http:
        return replace(journey, status=400)
    return _routed(_table(plan, chain), request, replace(journey, table=chain.table))


def _table(plan: ProxyPlan, chain: HttpChain) -> RouteTable:
    if chain.inline is not None:
        return chain.inline
    return next((table for table in plan.route_tables if table.name == chain.table), RouteTable(chain.table, ()))


def _routed(table: RouteTable, request: Request, journey: Journey) -> Journey:
    """Look a request up in a table and say what the route that matches does."""
    authority = request.authority or _default_authority(request)
    host = find_virtual_host(table, authority)
    if host is None:
        return replace(journey, status=404)
    journey = replace(journey, virtual_host=host.name)
    if host.requires_tls and request.scheme != "https":
        return replace(journey, status=301, location=f"https://{authority}{request.path}")
    considered: list[Considered] = []
    for route in host.routes:
        failed = failed_condition(route.match, request, authority)
        if not failed:
            return _acted(route, request, replace(journey, considered=tuple(considered), authority=authority))
        considered.append(Considered(route, failed))
    return replace(journey, considered=tuple(considered), status=404)


def _default_authority(request: Request) -> str:
    """Return the authority that a client writes by itself: without the port where that is the scheme's own."""
    usual = {"http": 80, "https": 443}.get(request.scheme)
    return request.host if request.port == usual else f"{request.host}:{request.port}"


def _acted(route: Route, request: Request, journey: Journey) -> Journey:
    journey = replace(journey, route=route, fault=route.fault)
    action = route.action
    if isinstance(action, Respond):
        return replace(journey, status=action.status)
    if isinstance(action, Redirect):
        return replace(journey, status=action.code, location=_location(action, route.match, request, journey.authority))
    return _forwarded(action, route.match, request, journey)


def _forwarded(action: Forward, match: RequestMatch, request: Request, journey: Journey) -> Journey:
    total = sum(target.weight for target in action.targets)
    rewrite = action.rewrite or Rewrite()
    return replace(
        journey,
        clusters=tuple((target.cluster, 100 * target.weight / total) for target in action.targets),
        path=_rewritten(rewrite, match, request.path),
        authority=rewrite.authority or journey.authority,
    )


def _rewritten(rewrite: Rewrite, match: RequestMatch, whole: str) -> str:
    path, mark, query = whole.partition("?")
    if rewrite.regex:
        path = re.sub(rewrite.regex, rewrite.substitution, path)
    return _replaced(path, match, rewrite.path, rewrite.prefix) + mark + query


def _replaced(path: str, match: RequestMatch, new_path: str, new_prefix: str) -> str:
    if new_path:
        return new_path
    if not new_prefix:
        return path
    matched = match.path.value if match.path and match.path.kind is MatchKind.PREFIX else "/"
    return new_prefix + path[len(matched) :]


def _location(action: Redirect, match: RequestMatch, request: Request, authority: str) -> str:
    """Compose where a redirect points to; a port that the new scheme has anyway is left out."""
    scheme = action.scheme or request.scheme
    host, _, port = authority.partition(":")
    usual = {"http": 80, "https": 443}[scheme]
    written = action.port or (int(port) if port and not action.authority and not action.scheme else usual)
    where = action.authority or host
    path, mark, query = request.path.partition("?")
    path = _replaced(path, match, action.path, action.prefix)
    return f"{scheme}://{where}{'' if written == usual else f':{written}'}{path}{mark}{query}"


def _connected(journey: Journey, chain: TcpChain) -> Journey:
    total = sum(target.weight for target in chain.targets)
    return replace(journey, clusters=tuple((target.cluster, 100 * target.weight / total) for target in chain.targets))
