"""How calls are traced: the values that a plan says it with."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum


class TagSource(Enum):
    """Where a tag of a span gets its value."""

    LITERAL = "literal"
    ENVIRONMENT = "environment"
    HEADER = "header"
    FORMATTER = "formatter"


@dataclass(frozen=True, slots=True)
class TraceTag:
    """A tag that every span gets. `value` is the text, the variable, the header or the format, as `source` says.

    A variable or header that is not there gives `default`, or no tag where that is empty.
    """

    name: str
    source: TagSource
    value: str
    default: str = ""


@dataclass(frozen=True, slots=True)
class ZipkinCollector:
    """A server that takes spans as Zipkin's JSON. Traces are passed on in B3 headers, and in W3C's if `with_w3c`."""

    cluster: str
    authority: str
    path: str = "/api/v2/spans"
    long_ids: bool = True
    with_w3c: bool = False
    timeout: timedelta = timedelta(seconds=5)
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OtlpCollector:
    """A server that takes spans over OTLP: gRPC, or HTTP to a `path`. Traces are passed on in W3C headers."""

    cluster: str
    authority: str
    path: str = ""
    timeout: timedelta | None = None
    headers: tuple[tuple[str, str], ...] = ()


Collector = ZipkinCollector | OtlpCollector


@dataclass(frozen=True, slots=True)
class Tracing:
    """Which calls are traced, and where their spans go.

    A call that came with a decision keeps it; of others `sampling_percent` are traced. With `by_request_id` the
    decision can be read from `x-request-id` too. Without `propagates` no call says to the next proxy what trace it
    is of.
    """

    collector: Collector
    sampling_percent: float
    tags: tuple[TraceTag, ...] = ()
    longest_path: int | None = None
    by_request_id: bool = True
    propagates: bool = True
