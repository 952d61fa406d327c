"""A request's way through one proxy: listener, filter chain, virtual host, route and clusters.

The rules are Envoy's: the most specific listener, then the most specific domain, then the first route that matches.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Final

from lateen import names
from lateen.plan import tls
from lateen.plan.explain import matching, rewriting
from lateen.plan.explain.matching import FittingHost
from lateen.plan.explain.requests import Request, Secured, is_address
from lateen.plan.types import (
    Arrival,
    Chain,
    Fault,
    Forward,
    GatewayListener,
    HttpChain,
    NamedChain,
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
    Way,
)

ANY_ADDRESS: Final = "0.0.0.0"
_FITTING: Final = {
    Arrival.ANY: (Secured.PLAIN, Secured.OWN_TLS),
    Arrival.PLAIN: (Secured.PLAIN,),
    Arrival.MESH: (Secured.MESH,),
    Arrival.MESH_ONLY: (Secured.MESH,),
    Arrival.OWN_TLS: (Secured.OWN_TLS,),
}


@dataclass(frozen=True, slots=True)
class Considered:
    """A route that was asked and did not match, and the condition that failed."""

    route: Route
    failed: str


@dataclass(frozen=True, slots=True)
class Journey:
    """What happens to a request in one proxy. `status` is its own answer, None when the request is forwarded.

    `refused` is why its connection is closed. `named` is the chain that was chosen by server name, `carried` what
    carries a connection that is not looked into. `listener` is empty where no listener knew the address, so that the
    fallback acted. `clusters` have their shares in percent.
    """

    address: str = ""
    listener: str = ""
    entered: OutboundListener | GatewayListener | None = None
    named: NamedChain | None = None
    carried: TcpChain | None = None
    table: str = ""
    host: FittingHost | None = None
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
    address = request.address or resolve(plan, request.host, request.namespace)
    found = _listener(plan.outbound, address, request.port)
    if found is None:
        fallback = plan.outbound_fallback
        return _connected(Journey(address=address), fallback) if fallback else Journey(address=address, status=503)
    start = Journey(address=address, listener=f"{found.address}:{found.port}", entered=found)
    if (carried := _by_subnet(found, address)) is not None:
        return _connected(start, carried)
    if request.is_encrypted:
        request = replace(request, is_http=False)
        named = matching.for_server_name(found.named, request.server_name or request.host)
        if named is not None:
            return _through(plan, named.chain, request, replace(start, named=named))
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


def through_gateway(plan: ProxyPlan, request: Request) -> Journey:
    """Follow a request that reaches one of a gateway's ports, `request.port` as it is bound."""
    for listener in plan.gateway:
        if listener.port == request.port and listener.address in (ANY_ADDRESS, "::", request.address):
            start = Journey(listener=f"{listener.address}:{listener.port}", entered=listener)
            if listener.chain is not None:
                return _through(plan, listener.chain, request, start)
            return _by_server_name(plan, listener.named, request, start)
    return Journey(status=503)


def resolve(plan: ProxyPlan, host: str, namespace: str = "") -> str:
    """Return the address that a client gets for a host: its own when it is one, nothing when the plan knows none.

    Short names are those of the client's namespace; without one, of any.
    """
    if is_address(host):
        return host.strip("[]")
    records = {record.host: record.addresses for record in plan.dns}
    domain = names.DEFAULT_DOMAIN
    if namespace:
        others = [f"{host}.{tail}" for tail in (f"{namespace}.svc.{domain}", f"svc.{domain}", domain)]
    else:
        others = [known for known in records if known.startswith(f"{host}.")]
    return next((records[name][0] for name in (host, *others) if records.get(name)), "")


def _admitted(plan: ProxyPlan, ways: Iterable[Way], request: Request, journey: Journey) -> Journey:
    """Take the way in that is for the request's connection; there is none where its kind is not taken."""
    for way in ways:
        if request.secured in _FITTING[way.arrival] and way.is_http in (None, request.is_http):
            if request.secured is Secured.OWN_TLS and isinstance(way.carries, TcpChain):
                return _connected(journey, way.carries)
            return _through(plan, way.carries, request, journey)
    return replace(journey, refused=f"{request.secured.value} is not taken here")


def _by_server_name(plan: ProxyPlan, chains: Iterable[NamedChain], request: Request, journey: Journey) -> Journey:
    if not request.is_encrypted:
        return replace(journey, refused="the port takes TLS only")
    name = "" if is_address(request.host) else request.host
    named = matching.for_server_name(chains, request.server_name or name)
    if named is None:
        return replace(journey, refused=f"no server has the name {request.server_name or name or 'of none'}")
    ended = replace(request, is_http=request.is_http and named.tls is not None)
    return _through(plan, named.chain, ended, replace(journey, named=named))


def _by_subnet(listener: OutboundListener, address: str) -> TcpChain | None:
    """Find where connections to an address go by its subnet, of which the narrowest counts."""
    if not listener.subnets or not is_address(address):
        return None
    called = ip_address(address)
    fitting = [
        (network.prefixlen, one.chain)
        for one in listener.subnets
        for network in map(ip_network, one.subnets)
        if called in network
    ]
    return max(fitting, key=lambda entry: entry[0])[1] if fitting else None


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
    authority = request.written_authority
    found = matching.find_virtual_host(table, authority)
    if found is None:
        return replace(journey, status=404, authority=authority)
    journey = replace(journey, host=found, authority=authority)
    if found.host.requires_tls and request.scheme != "https":
        return replace(journey, status=301, location=f"https://{authority}{request.path}")
    considered: list[Considered] = []
    for route in found.host.routes:
        failed = matching.failed_condition(route.match, request, authority)
        if not failed:
            return _acted(route, request, replace(journey, considered=tuple(considered)))
        considered.append(Considered(route, failed))
    return replace(journey, considered=tuple(considered), status=404)


def _acted(route: Route, request: Request, journey: Journey) -> Journey:
    journey = replace(journey, route=route, fault=route.fault)
    action = route.action
    if isinstance(action, Respond):
        return replace(journey, status=action.status)
    if isinstance(action, Redirect):
        where = rewriting.location(action, route.match, request, journey.authority)
        return replace(journey, status=action.code, location=where)
    return _forwarded(action, route.match, request, journey)


def _forwarded(action: Forward, match: RequestMatch, request: Request, journey: Journey) -> Journey:
    total = sum(target.weight for target in action.targets)
    rewrite = action.rewrite or Rewrite()
    return replace(
        journey,
        clusters=tuple((target.cluster, 100 * target.weight / total) for target in action.targets),
        path=rewriting.path(rewrite, match, request.path),
        authority=rewrite.authority or journey.authority,
    )


def _connected(journey: Journey, chain: TcpChain) -> Journey:
    total = sum(target.weight for target in chain.targets)
    shares = tuple((target.cluster, 100 * target.weight / total) for target in chain.targets)
    return replace(journey, carried=chain, clusters=shares)
