"""What a Telemetry says of metrics: which are made, and with which labels."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator

from lateen.api.fields import EMPTY_MAP, FROZEN, Bool, PositiveDuration
from lateen.api.structs import Checked, Problem, Struct, at_most_one
from lateen.api.telemetry.expressions import AttributeText
from lateen.api.telemetry.scopes import ProviderRef, WorkloadMode

_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHORTEST_INTERVAL: Final = timedelta(milliseconds=1)


class StandardMetric(StrEnum):
    """The metrics that every mesh of Istio's kind has, as a Telemetry calls them."""

    ALL_METRICS = "ALL_METRICS"
    REQUEST_COUNT = "REQUEST_COUNT"
    REQUEST_DURATION = "REQUEST_DURATION"
    REQUEST_SIZE = "REQUEST_SIZE"
    RESPONSE_SIZE = "RESPONSE_SIZE"
    TCP_OPENED_CONNECTIONS = "TCP_OPENED_CONNECTIONS"
    TCP_CLOSED_CONNECTIONS = "TCP_CLOSED_CONNECTIONS"
    TCP_SENT_BYTES = "TCP_SENT_BYTES"
    TCP_RECEIVED_BYTES = "TCP_RECEIVED_BYTES"
    GRPC_REQUEST_MESSAGES = "GRPC_REQUEST_MESSAGES"
    GRPC_RESPONSE_MESSAGES = "GRPC_RESPONSE_MESSAGES"


class TagOperation(StrEnum):
    """What becomes of a label."""

    UPSERT = "UPSERT"
    REMOVE = "REMOVE"


def _check_label(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise ValueError(f"must be a label of letters, digits and _ that begins with no digit, not {name!r}")
    return name


LabelName = Annotated[str, AfterValidator(_check_label)]


class TagOverride(Checked):
    """A label gets another value, an expression in CEL, or is left out."""

    operation: TagOperation = TagOperation.UPSERT
    value: AttributeText | None = None

    def problems(self) -> Iterator[Problem]:
        if self.operation is TagOperation.UPSERT and self.value is None:
            yield Problem("must have a value: an expression in CEL, such as request.host", "value")
        if self.operation is TagOperation.REMOVE and self.value is not None:
            yield Problem("must not have a value: the label is removed", "value")


class MetricSelector(Checked):
    """Which metrics are meant, and of which calls. A `customMetric` that is none of Istio's is a counter of calls."""

    metric: StandardMetric | None = None
    custom_metric: LabelName | None = None
    mode: WorkloadMode = WorkloadMode.CLIENT_AND_SERVER

    def problems(self) -> Iterator[Problem]:
        yield from at_most_one(self, "metric", "custom_metric")


class MetricsOverride(Struct):
    """What is done to some metrics; without `match`, to all."""

    match: MetricSelector | None = None
    disabled: Bool | None = None
    tag_overrides: Annotated[Mapping[LabelName, TagOverride], FROZEN] = EMPTY_MAP

    @property
    def selector(self) -> MetricSelector:
        """Which metrics are meant."""
        return self.match or MetricSelector()


class Metrics(Checked):
    """One entry of a Telemetry's `metrics`."""

    providers: tuple[ProviderRef, ...] = ()
    overrides: tuple[MetricsOverride, ...] = ()
    reporting_interval: PositiveDuration | None = None

    def problems(self) -> Iterator[Problem]:
        if self.reporting_interval is not None and self.reporting_interval < _SHORTEST_INTERVAL:
            yield Problem("must be at least 1ms", "reportingInterval")
