"""Route configurations, virtual hosts and routes."""

from typing import Any, Final

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2

from lateen.envoy import headers, matching, route_actions
from lateen.envoy.http_filters import order
from lateen.envoy.values import origin_metadata
from lateen.names import BLACK_HOLE_CLUSTER, BLOCK_ALL, OWN_METADATA, parse_cluster
from lateen.plan.types import Forward, Redirect, Respond, Route, RouteTable, VirtualHost

_MAX_BODY_BYTES: Final = 1024 * 1024


def route_configuration(plan: RouteTable, operation: str = "") -> Any:
    """Say a whole route table. `operation` names what its requests are for in traces where no cluster says it."""
    message = route_table(plan.name, by_port=plan.by_port)
    message.virtual_hosts.extend(virtual_host(host, operation) for host in plan.virtual_hosts)
    return message


def route_table(name: str, *, by_port: bool = False) -> Any:
    """Say a route table without its virtual hosts.

    It is accepted before its clusters are: those may come later, and one that is missing must not keep all others out.
    Clients may write a port behind the host or not, unless hosts are told apart `by_port`.
    """
    message = route_pb2.RouteConfiguration(name=name, ignore_port_in_host_matching=not by_port)
    message.validate_clusters.value = False
    message.max_direct_response_body_size_bytes.value = _MAX_BODY_BYTES
    return message


def virtual_host(plan: VirtualHost, operation: str = "") -> Any:
    """Say the routes of some domains."""
    return route_components_pb2.VirtualHost(
        name=plan.name,
        domains=plan.domains,
        routes=[route(line, operation) for line in plan.routes],
        require_tls="ALL" if plan.requires_tls else "NONE",
        include_request_attempt_count=plan.counts_attempts,
    )


def route(plan: Route, operation: str = "") -> Any:
    """Say one route: which requests, what is done with them, and where it was written."""
    message = route_components_pb2.Route(name=plan.name, match=matching.route_match(plan.match))
    message.stat_prefix = plan.statistics
    headers.add_request_headers(message, plan.request_headers)
    headers.add_response_headers(message, plan.response_headers)
    _act(message, plan, operation)
    for name, config in order.route_configs(plan).items():
        message.typed_per_filter_config[name].CopyFrom(config)
    if plan.origin is not None:
        message.metadata.CopyFrom(origin_metadata(plan.origin))
    if plan.name == BLOCK_ALL:
        message.metadata.filter_metadata[OWN_METADATA].update({"name": BLACK_HOLE_CLUSTER})
    return message


def _act(message: Any, plan: Route, operation: str) -> None:
    match plan.action:
        case Forward() as forward:
            message.route.CopyFrom(route_actions.route_action(forward))
            if named := operation or _operation(forward):
                message.decorator.operation = named
        case Redirect() as redirect:
            message.redirect.CopyFrom(route_actions.redirect_action(redirect))
        case Respond(status, body):
            message.direct_response.status = status
            if body:
                message.direct_response.body.CopyFrom(base_pb2.DataSource(inline_bytes=body))


def _operation(forward: Forward) -> str:
    """Name a request's operation in traces after its service: `reviews.default.svc.cluster.local:9080/*`."""
    cluster = parse_cluster(forward.targets[0].cluster) if forward.targets else None
    return f"{cluster.host}:{cluster.port}/*" if cluster and cluster.host else ""
