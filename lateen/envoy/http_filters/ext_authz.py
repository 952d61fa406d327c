"""External authorizers: servers that are asked about the requests that a gate has marked."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from envoy.config.core.v3 import base_pb2, grpc_service_pb2, http_uri_pb2
from envoy.type.matcher.v3 import string_pb2

from lateen.envoy import rbac
from lateen.envoy.matching import string_matcher
from lateen.envoy.side import Side
from lateen.envoy.values import duration
from lateen.plan.types import Authorizer, Guard, Route, TextMatch

NAME: Final = "envoy.filters.http.ext_authz"
SLEEPS: Final = False


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand once for each authorizer."""
    if side is not Side.OUTBOUND:
        for check in guard.access.custom:
            yield ext_authz(check.authorizer)


def route_config(route: Route) -> None:
    """Say nothing: authorizers are the workload's."""


def ext_authz(plan: Authorizer) -> Any:
    """Say how an authorizer is asked, and what its silence means."""
    # Loaded where one is used: the messages take memory.
    from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2

    message = ext_authz_pb2.ExtAuthz(
        transport_api_version="V3",
        stat_prefix=plan.name.replace(".", "_"),
        failure_mode_allow=plan.fails_open,
        clear_route_cache=plan.clears_route_cache,
        include_peer_certificate=True,
        filter_enabled_metadata=rbac.passed_gate(plan, NAME_OF_GATES),
    )
    message.status_on_error.code = plan.status_on_error
    if plan.grpc:
        message.grpc_service.CopyFrom(grpc_service(plan))
    else:
        _ask_over_http(message, plan)
    if plan.body is not None:
        message.with_request_body.max_request_bytes = plan.body.max_bytes
        message.with_request_body.allow_partial_message = plan.body.partial
        message.with_request_body.pack_as_bytes = plan.body.raw
    return message


NAME_OF_GATES: Final = "envoy.filters.http.rbac"


def grpc_service(plan: Authorizer) -> Any:
    """Say where an authorizer is asked over gRPC."""
    where = grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name=plan.cluster, authority=plan.authority)
    return grpc_service_pb2.GrpcService(envoy_grpc=where, timeout=duration(plan.timeout))


def _ask_over_http(message: Any, plan: Authorizer) -> None:
    server = http_uri_pb2.HttpUri(uri=f"http://{plan.authority}", cluster=plan.cluster, timeout=duration(plan.timeout))
    message.http_service.server_uri.CopyFrom(server)
    message.http_service.path_prefix = plan.path_prefix
    added = message.http_service.authorization_request.headers_to_add
    added.extend(base_pb2.HeaderValue(key=name, value=value) for name, value in plan.added_headers)
    answer = message.http_service.authorization_response
    for place, headers in (
        (answer.allowed_upstream_headers, plan.headers_to_upstream),
        (answer.allowed_client_headers_on_success, plan.headers_to_client_on_allow),
        (answer.allowed_client_headers, plan.headers_to_client_on_deny),
        (message.allowed_headers, plan.shown_headers),
    ):
        if headers:
            place.CopyFrom(_any_of(headers))


def _any_of(headers: Iterable[TextMatch]) -> Any:
    return string_pb2.ListStringMatcher(patterns=map(_header, headers))


def _header(match: TextMatch) -> Any:
    """Say a comparison of a header's name; Envoy wants no empty prefix."""
    return string_matcher(match) if match.value else string_pb2.StringMatcher(safe_regex={"regex": ".*"})
