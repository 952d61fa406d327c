"""The Envoys that a sidecar is compared with: the least configuration that carries HTTP/1.1 from a client to a server.

Written by hand and on purpose not by Lateen's own code. A pair stands in sandboxes with the same rules of redirection
as those of a mesh, hence the ports 15001 and 15006, and the mark on the proxies' own connections.
"""

from typing import Any, Final

OUTBOUND_PORT: Final = 15001
INBOUND_PORT: Final = 15006
ANSWER: Final = "A short answer, the same for all that are measured.\n"
_TYPES: Final = "type.googleapis.com/envoy.extensions.filters"
_MARK: Final = {"level": 1, "name": 36, "int_value": 1337, "state": "STATE_PREBIND"}

Json = dict[str, Any]


def proxy(port: int, upstream: tuple[str, int]) -> Json:
    """A proxy that listens on `port` and sends every request to one address."""
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "connect_timeout": "1s",
        # As a sidecar's, its bounds are out of the way.
        "circuit_breakers": {
            "thresholds": [dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 10**6)]
        },
        "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [_endpoint(*upstream)]}]},
    }
    bootstrap = _bootstrap(
        _listener(port, {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}})
    )
    bootstrap["static_resources"]["clusters"] = [cluster]
    bootstrap["cluster_manager"] = {"upstream_bind_config": {"socket_options": [_MARK]}}
    return bootstrap


def server(port: int) -> Json:
    """A server that answers every request itself."""
    answer = {"status": 200, "body": {"inline_string": ANSWER}}
    return _bootstrap(_listener(port, {"match": {"prefix": "/"}, "direct_response": answer}))


def _bootstrap(listener: Json) -> Json:
    return {"static_resources": {"listeners": [listener]}}


def _listener(port: int, route: Json) -> Json:
    manager = {
        "@type": f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{_TYPES}.http.router.v3.Router"}}],
    }
    return {
        "name": "http",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def _endpoint(address: str, port: int) -> Json:
    return {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}
