"""External authorizers: what MeshConfig's extensionProviders say, as far as policies ask for them."""

from collections.abc import Iterable

from lateen import names
from lateen.api.mesh.extension_providers import CheckedRequestBody, GrpcAuthorizer, HttpAuthorizer
from lateen.plan.directory import Directory
from lateen.plan.types import Authorizer, CheckedBody, MatchKind, TextMatch

_STATUS_ON_ERROR = 403


def find(name: str, directory: Directory) -> Authorizer | str:
    """Return the authorizer of a name, or why there is none."""
    provider = next((one for one in directory.view.mesh.extension_providers if one.name == name), None)
    if provider is None:
        known = ", ".join(one.name for one in directory.view.mesh.extension_providers) or "none"
        return f"there is no extensionProvider {name!r} in MeshConfig (there is: {known})"
    settings = provider.envoy_ext_authz_http or provider.envoy_ext_authz_grpc
    if settings is None:
        return f"extensionProvider {name!r} is no authorizer: it needs envoyExtAuthzHttp or envoyExtAuthzGrpc"
    host = settings.service.rpartition("/")[2]
    service = directory.service(host)
    if service is None or service.port(settings.port) is None:
        return f"the service {host} of extensionProvider {name!r} is not known here on port {settings.port}"
    cluster = names.outbound_cluster(directory.stands_for(service).host, settings.port)
    return _authorizer(name, cluster, host, settings)


def _authorizer(name: str, cluster: str, host: str, settings: HttpAuthorizer | GrpcAuthorizer) -> Authorizer:
    http = settings if isinstance(settings, HttpAuthorizer) else HttpAuthorizer(service=host, port=settings.port)
    return Authorizer(
        name=name,
        cluster=cluster,
        authority=f"{host}:{settings.port}",
        grpc=isinstance(settings, GrpcAuthorizer),
        timeout=settings.timeout,
        fails_open=settings.fail_open,
        status_on_error=int(settings.status_on_error or _STATUS_ON_ERROR),
        path_prefix=http.path_prefix,
        shown_headers=_headers(http.include_request_headers_in_check or http.include_headers_in_check),
        added_headers=tuple(sorted(http.include_additional_headers_in_check.items())),
        body=_body(settings.include_request_body_in_check),
        headers_to_upstream=_headers(http.headers_to_upstream_on_allow),
        headers_to_client_on_allow=_headers(http.headers_to_downstream_on_allow),
        headers_to_client_on_deny=_headers(http.headers_to_downstream_on_deny),
        clears_route_cache=settings.clear_route_cache,
    )


def _body(written: CheckedRequestBody | None) -> CheckedBody | None:
    if written is None:
        return None
    return CheckedBody(written.max_request_bytes, written.allow_partial_message, written.pack_as_bytes)


def _headers(patterns: Iterable[str]) -> tuple[TextMatch, ...]:
    return tuple(_header(pattern) for pattern in patterns)


def _header(pattern: str) -> TextMatch:
    if pattern == "*":
        return TextMatch(MatchKind.PREFIX, "", ignore_case=True)
    if pattern.endswith("*"):
        return TextMatch(MatchKind.PREFIX, pattern[:-1], ignore_case=True)
    if pattern.startswith("*"):
        return TextMatch(MatchKind.SUFFIX, pattern[1:], ignore_case=True)
    return TextMatch(MatchKind.EXACT, pattern, ignore_case=True)
