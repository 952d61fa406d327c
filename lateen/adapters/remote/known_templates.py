"""The built-in templates as adapters elsewhere see them: names and numbers of fields, as Istio's protos have them."""

from collections.abc import Mapping
from typing import Final

POLICY: Final = "istio.policy.v1beta1"
VALUE: Final = f"{POLICY}.Value"
TIME: Final = f"{POLICY}.TimeStamp"

Fields = Mapping[str, tuple[int, str]]
"""Name → number and type of a field; a type may begin with `repeated ` or `map `."""

INSTANCES: Final[Mapping[str, tuple[str, str, Fields]]] = {
    "checknothing": ("CheckNothing", "CheckResult", {}),
    "listentry": ("ListEntry", "CheckResult", {"value": (1, "string")}),
    "authorization": (
        "Authorization",
        "CheckResult",
        {"subject": (1, "authorization.SubjectMsg"), "action": (2, "authorization.ActionMsg")},
    ),
    "apikey": (
        "ApiKey",
        "CheckResult",
        {
            "api": (1, "string"),
            "api_version": (2, "string"),
            "api_operation": (3, "string"),
            "api_key": (4, "string"),
            "timestamp": (5, TIME),
        },
    ),
    "quota": ("Quota", "QuotaResult", {"dimensions": (1, f"map {VALUE}")}),
    "reportnothing": ("ReportNothing", "ReportResult", {}),
    "metric": (
        "Metric",
        "ReportResult",
        {
            "value": (1, VALUE),
            "dimensions": (2, f"map {VALUE}"),
            "monitored_resource_type": (3, "string"),
            "monitored_resource_dimensions": (4, f"map {VALUE}"),
        },
    ),
    "logentry": (
        "LogEntry",
        "ReportResult",
        {
            "variables": (1, f"map {VALUE}"),
            "timestamp": (2, TIME),
            "severity": (3, "string"),
            "monitored_resource_type": (4, "string"),
            "monitored_resource_dimensions": (5, f"map {VALUE}"),
        },
    ),
    "tracespan": (
        "TraceSpan",
        "ReportResult",
        {
            "trace_id": (1, "string"),
            "span_id": (2, "string"),
            "parent_span_id": (3, "string"),
            "span_name": (4, "string"),
            "start_time": (5, TIME),
            "end_time": (6, TIME),
            "span_tags": (7, f"map {VALUE}"),
            "httpStatusCode": (8, "int64"),
            "client_span": (9, "bool"),
            "rewrite_client_span_id": (10, "bool"),
            "source_name": (11, "string"),
            "source_ip": (12, f"{POLICY}.IPAddress"),
            "destination_name": (13, "string"),
            "destination_ip": (14, f"{POLICY}.IPAddress"),
            "request_size": (15, "int64"),
            "request_total_size": (16, "int64"),
            "response_size": (17, "int64"),
            "response_total_size": (18, "int64"),
            "api_protocol": (19, "string"),
        },
    ),
    "edge": (
        "Edge",
        "ReportResult",
        {
            "timestamp": (1, TIME),
            "source_workload_namespace": (10, "string"),
            "source_workload_name": (11, "string"),
            "source_owner": (12, "string"),
            "source_uid": (13, "string"),
            "destination_workload_namespace": (20, "string"),
            "destination_workload_name": (21, "string"),
            "destination_owner": (22, "string"),
            "destination_uid": (23, "string"),
            "destination_service_namespace": (24, "string"),
            "destination_service_name": (25, "string"),
            "context_protocol": (30, "string"),
            "api_protocol": (31, "string"),
        },
    ),
}
"""Template → the middle of its service's name, what its method answers, and the fields of its instances."""

PARTS: Final[Mapping[str, Mapping[str, Fields]]] = {
    "authorization": {
        "SubjectMsg": {"user": (1, "string"), "groups": (2, "string"), "properties": (3, f"map {VALUE}")},
        "ActionMsg": {
            "namespace": (1, "string"),
            "service": (2, "string"),
            "method": (3, "string"),
            "path": (4, "string"),
            "properties": (5, f"map {VALUE}"),
        },
    }
}
