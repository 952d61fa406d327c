"""What proxies tell of the calls that pass them: the values that a plan says it with."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from lateen.plan.tracing_types import Tracing


class ServiceName(NamedTuple):
    """What telemetry calls the service that a cluster stands for; an empty part is not known."""

    host: str
    name: str
    namespace: str = ""


class Measure(StrEnum):
    """The standard metrics, by the names that they have everywhere."""

    REQUESTS = "istio_requests_total"
    REQUEST_DURATION = "istio_request_duration_milliseconds"
    REQUEST_BYTES = "istio_request_bytes"
    RESPONSE_BYTES = "istio_response_bytes"
    CONNECTIONS_OPENED = "istio_tcp_connections_opened_total"
    CONNECTIONS_CLOSED = "istio_tcp_connections_closed_total"
    SENT_BYTES = "istio_tcp_sent_bytes_total"
    RECEIVED_BYTES = "istio_tcp_received_bytes_total"


class TagChange(NamedTuple):
    """A label gets the value of an expression in CEL; without one it is left out."""

    name: str
    value: str | None = None


class MetricKind(StrEnum):
    """What is done with the values of a metric: they are added up, or counted in buckets."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Unit(StrEnum):
    """What a histogram's values are."""

    NONE = ""
    MILLISECONDS = "ms"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the user's own. `value` is a number or an expression in CEL, `when` a condition in CEL for its calls.

    With `is_standard` it has the labels of the standard ones, changed by `tags`; else it has `tags` alone. It is made
    of requests where `of_requests` holds, of connections where `of_connections` does.
    """

    name: str
    value: str = "1"
    kind: MetricKind = MetricKind.COUNTER
    unit: Unit = Unit.NONE
    tags: tuple[TagChange, ...] = ()
    when: str = ""
    is_standard: bool = False
    of_requests: bool = True
    of_connections: bool = False


@dataclass(frozen=True, slots=True)
class Metrics:
    """Which metrics are made of the calls of a direction: the standard ones but for `disabled`, and `custom` ones.

    `changes` are what labels a metric has otherwise than usual, as far as there are any. With `is_compact`, the labels
    of the others are kept in one (see `compact_labels`).
    """

    disabled: tuple[Measure, ...] = ()
    changes: tuple[tuple[Measure, tuple[TagChange, ...]], ...] = ()
    custom: tuple[Metric, ...] = ()
    is_compact: bool = True


STANDARD_METRICS: Final = Metrics()


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of the proxy, with a line for each call. A `format` of the user's own is a text or a JSON object."""

    path: str
    json: bool = False
    format: str = ""
    omits_empty: bool = False


class LogProtocol(StrEnum):
    """How records of calls are sent to a server."""

    OTLP = "OTLP"
    HTTP_ALS = "HTTP_ALS"
    TCP_ALS = "TCP_ALS"


@dataclass(frozen=True, slots=True)
class LogServer:
    """A server that gets records of calls, in batches and beside the calls.

    `format` and `attributes` are what OTLP is told; the ALS protocols have records of their own, to which the headers,
    trailers and `filter_state` add.
    """

    protocol: LogProtocol
    cluster: str
    authority: str
    log_name: str = ""
    format: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    request_headers: tuple[str, ...] = ()
    response_headers: tuple[str, ...] = ()
    response_trailers: tuple[str, ...] = ()
    filter_state: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessLog:
    """Where calls are logged, and which: those for which an expression in CEL is true, or all."""

    sink: LogFile | LogServer
    when: str = ""


@dataclass(frozen=True, slots=True)
class Reports:
    """What is told of the calls of one direction."""

    metrics: Metrics | None = None
    logs: tuple[AccessLog, ...] = ()
    tracing: Tracing | None = None


SILENT: Final = Reports()


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a proxy tells: of the calls that it makes for its workload, and of those to its workload.

    A gateway's calls are `outbound` ones.
    """

    outbound: Reports = SILENT
    inbound: Reports = SILENT


SILENCE: Final = Telemetry()
