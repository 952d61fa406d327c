"""Where a patch acts: whether what it asks for holds of a listener, a chain, a filter, a route or a cluster."""

from typing import Any, Final

from lateen import names
from lateen.api.networking.envoy_filter import (
    ClusterMatch,
    FilterChainMatch,
    FilterMatch,
    ListenerMatch,
    PatchContext,
    RouteAction,
    RouteConfigurationMatch,
    RouteMatch,
    VirtualHostMatch,
)
from lateen.model.proxy import Role

HTTP_MANAGER: Final = "envoy.filters.network.http_connection_manager"

_OLD_NAMES: Final = {
    "envoy.http_connection_manager": HTTP_MANAGER,
    "envoy.tcp_proxy": "envoy.filters.network.tcp_proxy",
    "envoy.router": "envoy.filters.http.router",
    "envoy.cors": "envoy.filters.http.cors",
    "envoy.fault": "envoy.filters.http.fault",
    "envoy.lua": "envoy.filters.http.lua",
    "envoy.ext_authz": "envoy.filters.http.ext_authz",
}
_ACTIONS: Final = {
    RouteAction.ROUTE: "route",
    RouteAction.REDIRECT: "redirect",
    RouteAction.DIRECT_RESPONSE: "direct_response",
}


def has_context(wanted: PatchContext, actual: PatchContext) -> bool:
    """Tell whether a patch for some proxies and direction is for these."""
    return wanted in (PatchContext.ANY, actual)


def listener_context(role: Role, name: str) -> PatchContext:
    """Tell what the traffic of a listener is."""
    if role is Role.GATEWAY:
        return PatchContext.GATEWAY
    return PatchContext.SIDECAR_INBOUND if name == names.VIRTUAL_INBOUND else PatchContext.SIDECAR_OUTBOUND


def cluster_context(role: Role, name: str) -> PatchContext:
    """Tell what the traffic of a cluster is."""
    if role is Role.GATEWAY:
        return PatchContext.GATEWAY
    parts = names.parse_cluster(name)
    is_inbound = name == names.INBOUND_PASSTHROUGH_CLUSTER or (parts is not None and parts.direction == "inbound")
    return PatchContext.SIDECAR_INBOUND if is_inbound else PatchContext.SIDECAR_OUTBOUND


def is_listener(match: ListenerMatch | None, listener: Any) -> bool:
    """Tell whether a listener is meant; the workload's ports are those of the chains of its one inbound listener."""
    if match is None:
        return True
    if match.name and match.name != listener.name:
        return False
    if match.port_number is None or listener.name == names.VIRTUAL_INBOUND:
        return True
    return bool(listener.address.socket_address.port_value == match.port_number)


def is_chain(match: ListenerMatch | None, listener: Any, chain: Any) -> bool:
    """Tell whether a chain of a listener that is meant is meant."""
    if match is None:
        return True
    taken = chain.filter_chain_match
    port = taken.destination_port.value
    if listener.name == names.VIRTUAL_INBOUND and match.port_number not in (None, port):
        return False
    return match.filter_chain is None or _is_chain(match.filter_chain, chain, taken)


def _is_chain(asked: FilterChainMatch, chain: Any, taken: Any) -> bool:
    protocols = [part.strip() for part in asked.application_protocols.split(",") if part.strip()]
    return (
        asked.name in ("", chain.name)
        and (not asked.sni or asked.sni in taken.server_names)
        and asked.transport_protocol in ("", taken.transport_protocol)
        and (not protocols or protocols == list(taken.application_protocols))
        and asked.destination_port in (None, taken.destination_port.value)
    )


def filter_match(match: ListenerMatch | None) -> FilterMatch:
    """Return what a patch asks of network filters."""
    chain = match.filter_chain if match else None
    return (chain.filter if chain else None) or FilterMatch()


def has_name(asked: str, name: str) -> bool:
    """Tell whether a filter is meant; nothing asked is any. Envoy's old names are understood."""
    return not asked or _OLD_NAMES.get(asked, asked) == name


def is_table(match: RouteConfigurationMatch | None, name: str) -> bool:
    """Tell whether a route table may be meant, by its name alone."""
    if match is None:
        return True
    if match.name and match.name != name:
        return False
    if match.port_number not in (None, _port_of(name)):
        return False
    return _is_of_server(match, name)


def _is_of_server(match: RouteConfigurationMatch, table: str) -> bool:
    """Tell whether a table is for the gateway and port that are asked for; one for plain HTTP may be for several."""
    parts = table.split(".")
    if parts[0] != "https" or len(parts) < 5:
        return True
    port_name, gateway, namespace = ".".join(parts[2:-2]), parts[-2], parts[-1]
    return match.port_name in ("", port_name) and match.gateway in ("", f"{namespace}/{gateway}")


def is_virtual_host(asked: VirtualHostMatch | None, host: Any) -> bool:
    """Tell whether a virtual host is meant."""
    if asked is None:
        return True
    return asked.name in ("", host.name) and (not asked.domain_name or asked.domain_name in host.domains)


def is_route(asked: RouteMatch | None, route: Any) -> bool:
    """Tell whether a route is meant."""
    if asked is None:
        return True
    if asked.name not in ("", route.name):
        return False
    return asked.action is RouteAction.ANY or route.WhichOneof("action") == _ACTIONS[asked.action]


def is_cluster(match: ClusterMatch | None, name: str) -> bool:
    """Tell whether a cluster is meant, by its name alone."""
    if match is None:
        return True
    if match.name:
        return match.name == name
    parts = names.parse_cluster(name)
    if parts is None:
        return not (match.service or match.subset or match.port_number)
    return (
        match.service in ("", parts.host)
        and match.subset in ("", parts.subset)
        and match.port_number in (None, parts.port)
    )


def _port_of(table: str) -> int | None:
    """Find the port that a table is for: `80`, `http.8080`, `https.443.…`, `reviews.default.svc.cluster.local:9080`."""
    if table.startswith(("http.", "https.")):
        number = table.split(".")[1]
    else:
        parts = names.parse_cluster(table)
        number = str(parts.port) if parts is not None else table.rpartition(":")[2]
    return int(number) if number.isdecimal() else None
