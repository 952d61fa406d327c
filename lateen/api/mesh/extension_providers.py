"""Extension providers: servers outside of the proxies that policies name."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from lateen.api.fields import EMPTY_MAP, Bool, FreeForm, NonEmpty, Port, Positive, PositiveDuration, StringMap
from lateen.api.mesh.log_providers import FileAccessLog, GrpcAccessLog, OpenTelemetryLog
from lateen.api.mesh.metric_providers import DogStatsdServer, OpenTelemetryMetrics, StatsdServer
from lateen.api.mesh.tracing_providers import OpenTelemetryTracing, ZipkinTracing
from lateen.api.security.patterns import Wildcard
from lateen.api.structs import Checked, NoEffect, OpenStruct, Problem, Struct, alias

_NOT_BUILT_IN: Final = "traces are sent in two forms: name a provider with opentelemetry or zipkin instead"


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


class GrpcProcessor(Struct):
    """A server that speaks Envoy's `envoy.service.ext_proc.v3.ExternalProcessor`; `service` is as for authorizers."""

    service: NonEmpty
    port: Port
    timeout: PositiveDuration = timedelta(seconds=1)


def _check_redis_url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in ("redis", "rediss", "unix") or not (url.path if url.scheme == "unix" else url.hostname):
        raise ValueError(f"must be a URL like redis://redis.default:6379/0 or unix:///run/redis.sock, not {text!r}")
    return text


class RedisStore(Struct):
    """A Redis in which GLOBAL rate limits are counted. What it does not answer in `timeout` counts as its failure."""

    url: Annotated[str, AfterValidator(_check_redis_url)] = Field(repr=False)
    timeout: PositiveDuration = timedelta(milliseconds=250)
    pool_size: Positive = 10


class ExtensionProvider(OpenStruct):
    """A server by the name that policies call it by. Logs under the name `audit` get audit records (see `plan.audit`).

    `redis`, `envoyExtProcGrpc`, `statsd`, `dogstatsd` and `openTelemetryMetrics` are kinds of our own.
    """

    name: NonEmpty
    envoy_ext_authz_http: HttpAuthorizer | None = None
    envoy_ext_authz_grpc: GrpcAuthorizer | None = None
    envoy_ext_proc_grpc: GrpcProcessor | None = None
    redis: RedisStore | None = None
    statsd: StatsdServer | None = None
    dogstatsd: DogStatsdServer | None = None
    open_telemetry_metrics: OpenTelemetryMetrics | None = None
    datadog: Annotated[FreeForm, NoEffect(_NOT_BUILT_IN)] = None
    envoy_file_access_log: FileAccessLog | None = None
    envoy_http_als: GrpcAccessLog | None = None
    envoy_otel_als: OpenTelemetryLog | None = None
    envoy_tcp_als: GrpcAccessLog | None = None
    lightstep: Annotated[FreeForm, NoEffect(_NOT_BUILT_IN)] = None
    opencensus: Annotated[FreeForm, NoEffect(_NOT_BUILT_IN)] = None
    opentelemetry: OpenTelemetryTracing | None = None
    prometheus: OpenStruct | None = None
    sds: Annotated[FreeForm, NoEffect("keys and certificates of gateways come from Secrets")] = None
    skywalking: Annotated[FreeForm, NoEffect(_NOT_BUILT_IN)] = None
    stackdriver: Annotated[FreeForm, NoEffect(_NOT_BUILT_IN)] = None
    zipkin: ZipkinTracing | None = None

    @property
    def has_metrics(self) -> bool:
        """Whether whoever this is reads the metrics of proxies."""
        readers = (self.prometheus, self.statsd, self.dogstatsd, self.open_telemetry_metrics)
        return any(reader is not None for reader in readers)
