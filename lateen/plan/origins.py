"""Which objects an xDS resource comes from: what a refused one is blamed on."""

from collections.abc import Iterable, Iterator

from lateen import names
from lateen.plan.types import (
    Chain,
    Guards,
    HttpChain,
    NamedChain,
    Origin,
    ProxyPlan,
    RouteTable,
    SniffedChain,
    TcpChain,
)


def of_resource(plan: ProxyPlan, kind: str, name: str) -> Iterator[Origin]:
    """Yield the origins of the parts that a resource is made of; `kind` is CDS, EDS, SDS, ECDS, LDS or RDS."""
    if kind in ("CDS", "EDS"):
        yield from (cluster.origin for cluster in plan.clusters if cluster.name == name and cluster.origin)
    elif kind == "SDS":
        yield from (secret.origin for secret in plan.secrets if secret.name == name and secret.origin)
    elif kind == "RDS":
        for table in plan.route_tables:
            if table.name == name:
                yield from _of_table(table)
    elif kind == "ECDS":
        yield from _of_guards(plan.guards)
    elif kind == "LDS":
        yield from _of_listener(plan, name)


def _of_table(table: RouteTable) -> Iterator[Origin]:
    for host in table.virtual_hosts:
        yield from (route.origin for route in host.routes if route.origin)


def _of_listener(plan: ProxyPlan, name: str) -> Iterator[Origin]:
    if name == names.VIRTUAL_INBOUND or plan.gateway:
        yield from _of_guards(plan.guards)
    for gateway in plan.gateway:
        if names.listener(gateway.address, gateway.port) == name:
            if gateway.origin:
                yield gateway.origin
            if gateway.chain is not None:
                yield from _of_chain(gateway.chain)
            yield from _of_named(gateway.named)
    for outbound in plan.outbound:
        if names.listener(outbound.address, outbound.port) == name:
            yield from _of_chain(outbound.chain)
            for subnet in outbound.subnets:
                yield from _of_chain(subnet.chain)
            yield from _of_named(outbound.named)


def _of_guards(guards: Guards) -> Iterator[Origin]:
    for guard in (guards.everywhere, *(one for _, one in guards.by_port)):
        access = guard.access
        yield from (issuer.origin for issuer in guard.issuers if issuer.origin)
        for others in (guard.api_keys, guard.limits, guard.processors, guard.headers):
            yield from (one.origin for one in others if one.origin)
        rules = (*access.audit, *access.deny, *(access.allow or ()), *access.tried_deny, *(access.tried_allow or ()))
        yield from (rule.origin for rule in (*rules, *(rule for check in access.custom for rule in check.rules)))


def _of_named(chains: Iterable[NamedChain]) -> Iterator[Origin]:
    for named in chains:
        if named.origin:
            yield named.origin
        yield from _of_chain(named.chain)


def _of_chain(chain: Chain) -> Iterator[Origin]:
    match chain:
        case TcpChain(origin=origin) if origin:
            yield origin
        case HttpChain(inline=table) if table:
            yield from _of_table(table)
        case SniffedChain(http=http, tcp=tcp):
            yield from _of_chain(http)
            yield from _of_chain(tcp)
        case _:
            return
