"""Parameters of the adapters that report: prometheus, stdio, fluentd, statsd, dogstatsd, zipkin."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from lateen.api.fields import (
    EMPTY_MAP,
    FROZEN,
    Bool,
    Count,
    Duration,
    Float,
    NonEmpty,
    Positive,
    PositiveDuration,
    StringMap,
)
from lateen.api.mixer.structs import AdapterParams, MixerStruct, NumberedEnum
from lateen.api.security.request_authentication import Url
from lateen.api.structs import Problem, exactly_one

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class LinearBuckets(MixerStruct):
    """Buckets of the same width; there is one more below the first and above the last bound."""

    num_finite_buckets: Positive
    width: Float
    offset: Float = 0.0

    def problems(self) -> Iterator[Problem]:
        if self.width <= 0:
            yield Problem("must be more than 0", "width")


class ExponentialBuckets(MixerStruct):
    """Buckets of which each is `growthFactor` times as wide as the one before it; the first bound is `scale`."""

    num_finite_buckets: Positive
    growth_factor: Float
    scale: Float = 1.0

    def problems(self) -> Iterator[Problem]:
        if self.growth_factor <= 1:
            yield Problem("must be more than 1", "growthFactor")
        if self.scale <= 0:
            yield Problem("must be more than 0", "scale")


class ExplicitBuckets(MixerStruct):
    """Buckets by their bounds."""

    bounds: Annotated[tuple[Float, ...], Field(min_length=1)]

    def problems(self) -> Iterator[Problem]:
        if any(later <= earlier for earlier, later in zip(self.bounds, self.bounds[1:], strict=False)):
            yield Problem("must rise from bound to bound", "bounds")


class Buckets(MixerStruct):
    """The buckets of a distribution, said in one of three ways."""

    linear_buckets: LinearBuckets | None = None
    exponential_buckets: ExponentialBuckets | None = None
    explicit_buckets: ExplicitBuckets | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "linear_buckets", "exponential_buckets", "explicit_buckets")


class MetricKind(NumberedEnum):
    """What is made of the values of a metric."""

    UNSPECIFIED = "UNSPECIFIED"
    GAUGE = "GAUGE"
    COUNTER = "COUNTER"
    DISTRIBUTION = "DISTRIBUTION"


_METRIC_NAME = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"
_LABEL_NAME = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
LabelName = Annotated[str, Field(pattern=_LABEL_NAME)]


class PrometheusMetric(MixerStruct):
    """A metric that instances of one name fill; `labelNames` are the dimensions that become labels."""

    name: Annotated[str, Field(pattern=_METRIC_NAME)]
    namespace: Annotated[str, Field(pattern=_METRIC_NAME)] = "istio"
    instance_name: NonEmpty
    description: str = ""
    kind: MetricKind
    buckets: Buckets | None = None
    label_names: tuple[LabelName, ...] = ()

    def problems(self) -> Iterator[Problem]:
        if self.kind is MetricKind.UNSPECIFIED:
            yield Problem("must be GAUGE, COUNTER or DISTRIBUTION", "kind")
        if self.buckets is not None and self.kind is not MetricKind.DISTRIBUTION:
            yield Problem("must be left out: only a DISTRIBUTION has buckets", "buckets")


class ExpirationPolicy(MixerStruct):
    """After which time without a value a series goes, and how often that is looked at."""

    metrics_expiry_duration: PositiveDuration
    expiry_check_interval_duration: Duration | None = None


class PrometheusParams(AdapterParams):
    """Metrics that Prometheus fetches."""

    metrics: tuple[PrometheusMetric, ...] = ()
    metrics_expiration_policy: ExpirationPolicy | None = None

    def problems(self) -> Iterator[Problem]:
        known: set[tuple[str, str]] = set()
        for position, metric in enumerate(self.metrics):
            if (metric.namespace, metric.name) in known:
                yield Problem("must be another name than that of an earlier metric", f"metrics[{position}].name")
            known.add((metric.namespace, metric.name))


class LogStream(NumberedEnum):
    """Where lines are written to."""

    STDOUT = "STDOUT"
    STDERR = "STDERR"
    FILE = "FILE"
    ROTATED_FILE = "ROTATED_FILE"


class Level(NumberedEnum):
    """How important a line is."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class StdioParams(AdapterParams):
    """Lines on the standard output or in a file."""

    log_stream: LogStream = LogStream.STDOUT
    severity_levels: Annotated[Mapping[str, Level], FROZEN] = EMPTY_MAP
    metric_level: Level = Level.INFO
    output_as_json: Bool = True
    output_level: Level = Level.INFO
    output_path: str = ""
    max_megabytes_before_rotation: Positive = 100
    max_days_before_rotation: Count = 30
    max_rotated_files: Count = 1000

    def problems(self) -> Iterator[Problem]:
        is_file = self.log_stream in (LogStream.FILE, LogStream.ROTATED_FILE)
        if is_file and not self.output_path:
            yield Problem(f"must be set where logStream is {self.log_stream}", "outputPath")


class FluentdParams(AdapterParams):
    """Log entries for fluentd; the tag is the variable `tag`, or else the name of the instance."""

    address: NonEmpty = "localhost:24224"
    integer_duration: Bool = False
    instance_buffer_size: Positive = 1024
    max_batch_size_bytes: Positive = 8 * 1024 * 1024
    push_interval_duration: PositiveDuration = timedelta(minutes=1)
    push_timeout_duration: PositiveDuration = timedelta(minutes=1)


_SAMPLES = (MetricKind.UNSPECIFIED, MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.DISTRIBUTION)


def _sample(value: Any) -> Any:
    """Return a kind that is written as statsd's adapters do: in another order, with another name for none."""
    if isinstance(value, int) and not isinstance(value, bool) and value in range(len(_SAMPLES)):
        return _SAMPLES[value]
    return MetricKind.UNSPECIFIED if value == "UNKNOWN" else value


SampleKind = Annotated[MetricKind, BeforeValidator(_sample)]


class StatsdMetric(MixerStruct):
    """What is made of a metric; in the name `{{.dimension}}` stands for a dimension's value."""

    type: SampleKind = MetricKind.COUNTER
    name_template: str = ""


class StatsdParams(AdapterParams):
    """Metrics for statsd, by the name of the instance."""

    address: NonEmpty = "localhost:8125"
    prefix: str = ""
    flush_duration: PositiveDuration = timedelta(milliseconds=300)
    flush_bytes: Positive = 512
    sampling_rate: Share = 1.0
    metrics: Annotated[Mapping[str, StatsdMetric], FROZEN] = EMPTY_MAP


class DogstatsdMetric(MixerStruct):
    """By which name a metric is told, as what, and with which tags beside its dimensions."""

    name: NonEmpty
    type: SampleKind = MetricKind.COUNTER
    tags: StringMap = EMPTY_MAP


class DogstatsdParams(AdapterParams):
    """Metrics for DogStatsD, by the name of the instance; dimensions become tags."""

    address: NonEmpty = "localhost:8125"
    prefix: str = "istio."
    buffer_length: Count = 0
    global_tags: StringMap = EMPTY_MAP
    sample_rate: Share = 1.0
    metrics: Annotated[Mapping[str, DogstatsdMetric], FROZEN] = EMPTY_MAP


class ZipkinParams(AdapterParams):
    """Spans for Zipkin; nothing is sampled unless a probability says so."""

    url: Url
    sample_probability: Share = 0.0
