"""Servers that get records of calls: in batches, beside the calls, and never waited for.

What cannot be sent in time is dropped and counted by Envoy: `access_logs.grpc_access_log.logs_dropped`, and of OTLP
`access_logs.open_telemetry_access_log.logs_dropped`.
"""

from typing import Any, Final

from envoy.config.core.v3 import grpc_service_pb2
from envoy.extensions.access_loggers.grpc.v3 import als_pb2
from envoy.extensions.access_loggers.open_telemetry.v3 import logs_service_pb2

from lateen.envoy.log_fields import FIELDS, LINE
from lateen.plan.telemetry_types import LogProtocol, LogServer

_LOG_NAME: Final = "access_log"


def access_logger(plan: LogServer) -> tuple[str, Any]:
    """Say the name and the settings of the logger that a server's protocol needs."""
    match plan.protocol:
        case LogProtocol.OTLP:
            return "envoy.access_loggers.open_telemetry", open_telemetry(plan)
        case LogProtocol.HTTP_ALS:
            return "envoy.access_loggers.http_grpc", _http_als(plan)
        case LogProtocol.TCP_ALS:
            message = als_pb2.TcpGrpcAccessLogConfig()
            _write_common(message.common_config, plan)
            return "envoy.access_loggers.tcp_grpc", message


def open_telemetry(plan: LogServer) -> Any:
    """Say a collector of OpenTelemetry: the body is a line, the attributes are texts."""
    message = logs_service_pb2.OpenTelemetryAccessLogConfig(disable_builtin_labels=True)
    _write_common(message.common_config, plan)
    message.body.string_value = plan.format or LINE
    for name, value in plan.attributes or tuple(FIELDS.items()):
        message.attributes.values.add(key=name).value.string_value = value
    return message


def _http_als(plan: LogServer) -> Any:
    message = als_pb2.HttpGrpcAccessLogConfig(
        additional_request_headers_to_log=plan.request_headers,
        additional_response_headers_to_log=plan.response_headers,
        additional_response_trailers_to_log=plan.response_trailers,
    )
    _write_common(message.common_config, plan)
    return message


def _write_common(message: Any, plan: LogServer) -> None:
    message.log_name = plan.log_name or _LOG_NAME
    message.transport_api_version = "V3"
    where = grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name=plan.cluster, authority=plan.authority)
    message.grpc_service.CopyFrom(grpc_service_pb2.GrpcService(envoy_grpc=where))
    message.filter_state_objects_to_log.extend(plan.filter_state)
