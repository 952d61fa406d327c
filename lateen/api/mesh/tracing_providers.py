"""Servers that take traces: Zipkin's, and those of OpenTelemetry's protocol."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from lateen.api.fields import Bool, Count, FreeForm, HeaderName, NonEmpty, Port, PositiveDuration
from lateen.api.structs import NoEffect, OpenStruct, Struct


class TraceContext(StrEnum):
    """In which headers a trace is passed on."""

    USE_B3 = "USE_B3"
    USE_B3_WITH_W3C_PROPAGATION = "USE_B3_WITH_W3C_PROPAGATION"


class ToldHeader(Struct):
    """A header of every request to the server."""

    name: HeaderName
    value: str = ""
    env_name: Annotated[FreeForm, NoEffect("write the value itself in value")] = None


class ZipkinTracing(OpenStruct):
    """A server that takes Zipkin's JSON. `service` is `host` or `namespace/host`."""

    service: NonEmpty
    port: Port
    max_tag_length: Count = 0
    path: str = ""
    enable_64bit_trace_id: Bool = False
    trace_context_option: TraceContext = TraceContext.USE_B3
    timeout: PositiveDuration = timedelta(seconds=5)
    headers: tuple[ToldHeader, ...] = ()

    @property
    def uses_w3c(self) -> bool:
        """Whether traces are passed on in W3C's headers too."""
        return self.trace_context_option is TraceContext.USE_B3_WITH_W3C_PROPAGATION

    @property
    def told_headers(self) -> tuple[tuple[str, str], ...]:
        """The headers of every request, as pairs."""
        return tuple((header.name, header.value) for header in self.headers)


class OtlpHttp(Struct):
    """OTLP over HTTP."""

    path: NonEmpty
    timeout: PositiveDuration | None = None
    headers: tuple[ToldHeader, ...] = ()

    @property
    def told_headers(self) -> tuple[tuple[str, str], ...]:
        """The headers of every request, as pairs."""
        return tuple((header.name, header.value) for header in self.headers)


class OtlpGrpc(Struct):
    """OTLP over gRPC."""

    timeout: PositiveDuration | None = None
    initial_metadata: tuple[ToldHeader, ...] = ()

    @property
    def told_headers(self) -> tuple[tuple[str, str], ...]:
        """The metadata of every call, as pairs."""
        return tuple((header.name, header.value) for header in self.initial_metadata)


class OpenTelemetryTracing(OpenStruct):
    """A server that takes OTLP, over gRPC where nothing else is said. `service` is `host` or `namespace/host`."""

    service: NonEmpty
    port: Port
    max_tag_length: Count = 0
    http: OtlpHttp | None = None
    grpc: OtlpGrpc | None = None
    resource_detectors: Annotated[FreeForm, NoEffect("the environment of the proxy says who it is, always")] = None
    dynatrace_sampler: Annotated[FreeForm, NoEffect("randomSamplingPercentage of a Telemetry says what is traced")] = (
        None
    )
    service_attribute_enrichment: Annotated[
        FreeForm, NoEffect("spans say app, version, workload and namespace, always")
    ] = None
