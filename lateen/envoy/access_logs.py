"""Access logs: a line for each request or connection, in a file."""

import json
from typing import Any, Final

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import substitution_format_string_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from google.protobuf.struct_pb2 import Struct

from lateen.envoy.values import typed
from lateen.plan.types import AccessLog

FIELDS: Final = {
    "start_time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "route_name": "%ROUTE_NAME%",
}
"""What Istio logs, in its order. The raw name of the cluster has no semicolon for statistics."""

_LINE: Final = (
    '[{start_time}] "{method} {path} {protocol}" {response_code} {response_flags} {response_code_details} '
    '{connection_termination_details} "{upstream_transport_failure_reason}" {bytes_received} {bytes_sent} '
    '{duration} {upstream_service_time} "{x_forwarded_for}" "{user_agent}" "{request_id}" "{authority}" '
    '"{upstream_host}" {upstream_cluster} {upstream_local_address} {downstream_local_address} '
    "{downstream_remote_address} {requested_server_name} {route_name}\n"
).format(**FIELDS)


def access_logs(plan: AccessLog) -> list[Any]:
    """Say where requests are logged; nothing where logging is off."""
    if not plan.path:
        return []
    log = file_pb2.FileAccessLog(path=plan.path, log_format=_json_format(plan) if plan.json else _text_format(plan))
    return [accesslog_pb2.AccessLog(name="envoy.access_loggers.file", typed_config=typed(log))]


def _text_format(plan: AccessLog) -> Any:
    line = plan.format or _LINE
    message = substitution_format_string_pb2.SubstitutionFormatString()
    message.text_format_source.inline_string = line if line.endswith("\n") else f"{line}\n"
    return message


def _json_format(plan: AccessLog) -> Any:
    """Say a line of JSON; a format of the user's own is a JSON object."""
    fields = Struct()
    fields.update(json.loads(plan.format) if plan.format else FIELDS)
    return substitution_format_string_pb2.SubstitutionFormatString(json_format=fields)
