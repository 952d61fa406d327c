"""Extension providers: servers outside of the proxies that policies name."""

from collections.abc import Iterator
from datetime import timedelta

from lateen.api.fields import EMPTY_MAP, Bool, Ignored, NonEmpty, Port, Positive, PositiveDuration, StringMap
from lateen.api.security.patterns import Wildcard
from lateen.api.structs import Checked, OpenStruct, Problem, Struct, alias


class CheckedRequestBody(Struct):
    """How much of a request's body the authorizer is shown."""

    max_request_bytes: Positive
    allow_partial_message: Bool = False
    pack_as_bytes: Bool = False


class AuthorizerSettings(Checked):
    """What authorizers over HTTP and gRPC have in common. `service` is `host` or `namespace/host`."""

    service: NonEmpty
    port: Port
    timeout: PositiveDuration = timedelta(seconds=600)
    fail_open: Bool = False
    status_on_error: str = ""
    clear_route_cache: Bool = False
    include_request_body_in_check: CheckedRequestBody | None = None

    def problems(self) -> Iterator[Problem]:
        status = self.status_on_error
        if status and not (status.isascii() and status.isdigit() and 100 <= int(status) <= 599):
            yield Problem(f"must be an HTTP status in quotes like '503', not {status!r}", "statusOnError")


class HttpAuthorizer(AuthorizerSettings):
    """An authorizer that is asked with an HTTP request: any answer but 200 denies."""

    path_prefix: str = ""
    include_headers_in_check: tuple[Wildcard, ...] = ()
    include_request_headers_in_check: tuple[Wildcard, ...] = ()
    include_additional_headers_in_check: StringMap = EMPTY_MAP
    headers_to_upstream_on_allow: tuple[Wildcard, ...] = ()
    headers_to_downstream_on_allow: tuple[Wildcard, ...] = ()
    headers_to_downstream_on_deny: tuple[Wildcard, ...] = ()

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.path_prefix and not self.path_prefix.startswith("/"):
            yield Problem(f"must begin with /, not {self.path_prefix!r}", "pathPrefix")
        if self.include_headers_in_check and self.include_request_headers_in_check:
            yield Problem(
                f"must not come together with {alias('include_headers_in_check')}", "includeRequestHeadersInCheck"
            )


class GrpcAuthorizer(AuthorizerSettings):
    """An authorizer that is asked by Envoy's `envoy.service.auth.v3.Authorization/Check`."""


class FileAccessLog(OpenStruct):
    """A file of the proxy, one line a record."""

    path: NonEmpty = "/dev/stdout"
    omit_empty_values: Ignored = None
    log_format: Ignored = None


class OpenTelemetryLog(OpenStruct):
    """A collector that takes records over OTLP and gRPC. `service` is `host` or `namespace/host`."""

    service: NonEmpty
    port: Port
    log_name: str = ""
    log_format: Ignored = None


class ExtensionProvider(OpenStruct):
    """A server by the name that policies call it by. Logs have an effect under the name `audit` (see `plan.audit`)."""

    name: NonEmpty
    envoy_ext_authz_http: HttpAuthorizer | None = None
    envoy_ext_authz_grpc: GrpcAuthorizer | None = None
    datadog: Ignored = None
    envoy_file_access_log: FileAccessLog | None = None
    envoy_http_als: Ignored = None
    envoy_otel_als: OpenTelemetryLog | None = None
    envoy_tcp_als: Ignored = None
    lightstep: Ignored = None
    opencensus: Ignored = None
    opentelemetry: Ignored = None
    prometheus: Ignored = None
    sds: Ignored = None
    skywalking: Ignored = None
    stackdriver: Ignored = None
    zipkin: Ignored = None
