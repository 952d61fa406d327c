"""Which objects an xDS resource comes from: what a refused one is blamed on."""

from collections.abc import Iterator

from lateen import names
from lateen.plan.types import Chain, HttpChain, Origin, ProxyPlan, RouteTable, SniffedChain, TcpChain


def of_resource(plan: ProxyPlan, kind: str, name: str) -> Iterator[Origin]:
    """Yield the origins of the parts that a resource is made of; `kind` is CDS, EDS, LDS or RDS."""
    if kind in ("CDS", "EDS"):
        yield from (cluster.origin for cluster in plan.clusters if cluster.name == name and cluster.origin)
    elif kind == "RDS":
        for table in plan.route_tables:
            if table.name == name:
                yield from _of_table(table)
    elif kind == "LDS":
        yield from _of_listener(plan, name)


def _of_table(table: RouteTable) -> Iterator[Origin]:
    for host in table.virtual_hosts:
        yield from (route.origin for route in host.routes if route.origin)


def _of_listener(plan: ProxyPlan, name: str) -> Iterator[Origin]:
    for gateway in plan.gateway:
        if names.listener(gateway.address, gateway.port) == name:
            if gateway.origin:
                yield gateway.origin
            yield from _of_chain(gateway.chain)
    for outbound in plan.outbound:
        if names.listener(outbound.address, outbound.port) == name:
            yield from _of_chain(outbound.chain)


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
