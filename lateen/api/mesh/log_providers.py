"""Places where access logs go: files of the proxy, and servers."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated

from lateen.api.fields import EMPTY_MAP, FROZEN, Bool, FreeFormMap, HeaderName, NonEmpty, Port
from lateen.api.structs import Checked, OpenStruct, Problem, Struct, at_most_one
from lateen.api.telemetry.formats import FormatText, format_faults

TextMap = Annotated[Mapping[NonEmpty, FormatText], FROZEN]


class FileLogFormat(Checked):
    """What a line says, in Envoy's format operators: a text, or a JSON object of `labels`."""

    text: FormatText = ""
    labels: FreeFormMap | None = None

    def problems(self) -> Iterator[Problem]:
        yield from at_most_one(self, "text", "labels")
        for name, value in (self.labels or {}).items():
            for fault in format_faults(str(value)):
                yield Problem(fault, f"labels.{name}")

    @property
    def as_text(self) -> str:
        """The text, or the JSON object."""
        return self.text or json.dumps(self.labels)


class FileAccessLog(OpenStruct):
    """A file of the proxy, one line a record."""

    path: NonEmpty = "/dev/stdout"
    omit_empty_values: Bool = False
    log_format: FileLogFormat | None = None


class RecordFormat(Struct):
    """What a record says: its body, and attributes by name."""

    text: FormatText = ""
    labels: TextMap = EMPTY_MAP


class OpenTelemetryLog(OpenStruct):
    """A collector that takes records over OTLP and gRPC. `service` is `host` or `namespace/host`."""

    service: NonEmpty
    port: Port
    log_name: str = ""
    log_format: RecordFormat | None = None


class GrpcAccessLog(OpenStruct):
    """A server that speaks Envoy's `envoy.service.accesslog.v3.AccessLogService`; `service` is as for OTLP."""

    service: NonEmpty
    port: Port
    log_name: NonEmpty = "access_log"
    additional_request_headers_to_log: tuple[HeaderName, ...] = ()
    additional_response_headers_to_log: tuple[HeaderName, ...] = ()
    additional_response_trailers_to_log: tuple[HeaderName, ...] = ()
    filter_state_objects_to_log: tuple[NonEmpty, ...] = ()
