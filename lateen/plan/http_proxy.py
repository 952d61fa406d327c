"""The port at which a sidecar is an HTTP proxy that applications are told to use: `proxyHttpPort` of MeshConfig."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from lateen import names
from lateen.plan.directory import Directory
from lateen.plan.types import Forward, HttpChain, OutboundListener, RouteTable, Target, VirtualHost

ADDRESS: Final = "127.0.0.1"
_HTTP: Final = 80


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """The open port, and the table in which its requests are looked up by host and port."""

    listener: OutboundListener
    table: RouteTable


def http_proxy(
    number: int, shared: Iterable[tuple[int, VirtualHost]], unknown: VirtualHost, directory: Directory
) -> HttpProxy:
    """Open the port: requests for `host:port` are routed as captured ones would be; without a port 80 is meant.

    Requests for hosts that nobody knows go where DNS says, unless the policy for unknown traffic answers them: they
    have no address of their own that they were going to.
    """
    hosts = tuple(_each(shared, directory))
    name = names.HTTP_PROXY_TABLE
    strangers = directory.cache.recall("proxied strangers", (unknown,), (), lambda: _by_name(unknown))
    parts = (*hosts, strangers)
    table = directory.cache.recall("table", parts, (name,), lambda: RouteTable(name, parts, by_port=True))
    listener = OutboundListener(ADDRESS, number, HttpChain(name), opens=True)
    return HttpProxy(directory.cache.intern(listener), table)


def _each(shared: Iterable[tuple[int, VirtualHost]], directory: Directory) -> Iterator[VirtualHost]:
    for port, host in shared:
        yield directory.cache.recall("proxied", (host,), (port,), lambda: _at_port(host, port))  # noqa: B023  at once


def _at_port(host: VirtualHost, port: int) -> VirtualHost:
    domains = tuple(f"{domain}:{port}" for domain in host.domains)
    return replace(host, domains=(*domains, *host.domains) if port == _HTTP else domains)


def _by_name(unknown: VirtualHost) -> VirtualHost:
    """Have requests to unknown hosts follow the host that they name."""
    routes = []
    for route in unknown.routes:
        action = route.action
        if isinstance(action, Forward) and action.targets[0].cluster == names.PASSTHROUGH_CLUSTER:
            action = Forward((Target(names.DYNAMIC_DNS_CLUSTER),), resolves_host=True)
        routes.append(replace(route, action=action))
    return replace(unknown, routes=tuple(routes))
