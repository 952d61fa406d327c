"""Access logs: a record of each request or connection, in a file or sent to a server."""

import json
from typing import Any

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import substitution_format_string_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from google.protobuf.struct_pb2 import Struct

from lateen.envoy import log_filters, log_servers
from lateen.envoy.log_fields import FIELDS, LINE
from lateen.envoy.values import typed
from lateen.plan.telemetry_types import AccessLog, LogFile, LogProtocol, LogServer, Reports


def request_logs(reports: Reports) -> list[Any]:
    """Say the logs with a record of each request that has ended."""
    return [_access_log(plan) for plan in reports.logs if not _is_sent_by(plan, LogProtocol.TCP_ALS)]


def connection_logs(reports: Reports) -> list[Any]:
    """Say the logs with a record of each connection that has ended."""
    return [_access_log(plan) for plan in reports.logs if not _is_sent_by(plan, LogProtocol.HTTP_ALS)]


def _is_sent_by(plan: AccessLog, protocol: LogProtocol) -> bool:
    return isinstance(plan.sink, LogServer) and plan.sink.protocol is protocol


def _access_log(plan: AccessLog) -> Any:
    name, config = _file(plan.sink) if isinstance(plan.sink, LogFile) else log_servers.access_logger(plan.sink)
    filters = (log_filters.at_end(), *((log_filters.cel(plan.when),) if plan.when else ()))
    return accesslog_pb2.AccessLog(name=name, filter=log_filters.all_of(*filters), typed_config=typed(config))


def _file(plan: LogFile) -> tuple[str, Any]:
    format_ = _json_format(plan) if plan.json else _text_format(plan)
    format_.omit_empty_values = plan.omits_empty
    return "envoy.access_loggers.file", file_pb2.FileAccessLog(path=plan.path, log_format=format_)


def _text_format(plan: LogFile) -> Any:
    line = plan.format or LINE
    message = substitution_format_string_pb2.SubstitutionFormatString()
    message.text_format_source.inline_string = line if line.endswith("\n") else f"{line}\n"
    return message


def _json_format(plan: LogFile) -> Any:
    """Say a line of JSON; a format of the user's own is a JSON object."""
    fields = Struct()
    fields.update(json.loads(plan.format) if plan.format else FIELDS)
    return substitution_format_string_pb2.SubstitutionFormatString(json_format=fields)
