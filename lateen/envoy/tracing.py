"""Tracing: which requests become spans, what is said in them, and where they go."""

from collections.abc import Iterable
from typing import Any, Final

from envoy.config.core.v3 import base_pb2, grpc_service_pb2, http_service_pb2
from envoy.config.trace.v3 import opentelemetry_pb2, zipkin_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.request_id.uuid.v3 import uuid_pb2
from envoy.extensions.tracers.opentelemetry.resource_detectors.v3 import environment_resource_detector_pb2
from envoy.type.tracing.v3 import custom_tag_pb2

from lateen.envoy import newer_fields
from lateen.envoy.values import duration, typed
from lateen.plan.tracing_types import OtlpCollector, TagSource, TraceTag, Tracing, ZipkinCollector

_ENVIRONMENT: Final = "envoy.tracers.opentelemetry.resource_detectors.environment"
_WHOLE: Final = 100
_HTTP_SECONDS: Final = 5


def write_tracing(message: Any, plan: Tracing | None) -> None:
    """Write into an HTTP connection manager how its requests are traced; nothing where they are not."""
    if plan is None:
        return
    message.tracing.CopyFrom(tracing(plan))
    identifiers = uuid_pb2.UuidRequestIdConfig()
    identifiers.use_request_id_for_trace_sampling.value = plan.by_request_id
    message.request_id_extension.typed_config.CopyFrom(typed(identifiers))


def tracing(plan: Tracing) -> Any:
    """Say which requests are traced, with which tags, and where spans go."""
    message = hcm_pb2.HttpConnectionManager.Tracing(custom_tags=[_tag(tag) for tag in plan.tags])
    message.client_sampling.value = _WHOLE
    message.random_sampling.value = plan.sampling_percent
    message.overall_sampling.value = _WHOLE
    if plan.longest_path is not None:
        message.max_path_tag_length.value = plan.longest_path
    _write_collector(message.provider, plan.collector)
    if not plan.propagates:
        newer_fields.pass_no_trace_on(message)
    return message


def _write_collector(message: Any, plan: ZipkinCollector | OtlpCollector) -> None:
    if isinstance(plan, ZipkinCollector):
        message.name = "envoy.tracers.zipkin"
        message.typed_config.CopyFrom(typed(_zipkin(plan)))
    else:
        message.name = "envoy.tracers.opentelemetry"
        message.typed_config.CopyFrom(typed(_otlp(plan)))


def _zipkin(plan: ZipkinCollector) -> Any:
    message = zipkin_pb2.ZipkinConfig(
        collector_endpoint_version="HTTP_JSON",
        trace_id_128bit=plan.long_ids,
        trace_context_option="USE_B3_WITH_W3C_PROPAGATION" if plan.with_w3c else "USE_B3",
        collector_service=_http_service(plan.cluster, plan.authority, plan.path, plan.headers),
    )
    message.shared_span_context.value = False
    message.collector_service.http_uri.timeout.CopyFrom(duration(plan.timeout))
    return message


def _otlp(plan: OtlpCollector) -> Any:
    message = opentelemetry_pb2.OpenTelemetryConfig()
    message.resource_detectors.add(
        name=_ENVIRONMENT,
        typed_config=typed(environment_resource_detector_pb2.EnvironmentResourceDetectorConfig()),
    )
    if plan.path:
        message.http_service.CopyFrom(_http_service(plan.cluster, plan.authority, plan.path, plan.headers))
        timeout = message.http_service.http_uri.timeout
    else:
        service = grpc_service_pb2.GrpcService(
            envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name=plan.cluster, authority=plan.authority),
            initial_metadata=[base_pb2.HeaderValue(key=name, value=value) for name, value in plan.headers],
        )
        message.grpc_service.CopyFrom(service)
        timeout = message.grpc_service.timeout
    if plan.timeout is not None:
        timeout.CopyFrom(duration(plan.timeout))
    elif plan.path:
        timeout.FromSeconds(_HTTP_SECONDS)
    return message


def _http_service(cluster: str, authority: str, path: str, headers: Iterable[tuple[str, str]]) -> Any:
    message = http_service_pb2.HttpService(
        request_headers_to_add=[
            base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=name, value=value)) for name, value in headers
        ]
    )
    message.http_uri.uri = f"http://{authority}/{path.removeprefix('/')}"
    message.http_uri.cluster = cluster
    return message


def _tag(plan: TraceTag) -> Any:
    message = custom_tag_pb2.CustomTag(tag=plan.name)
    match plan.source:
        case TagSource.LITERAL:
            message.literal.value = plan.value
        case TagSource.ENVIRONMENT:
            message.environment.name = plan.value
            message.environment.default_value = plan.default
        case TagSource.HEADER:
            message.request_header.name = plan.value
            message.request_header.default_value = plan.default
        case TagSource.FORMATTER:
            message.value = plan.value
    return message
