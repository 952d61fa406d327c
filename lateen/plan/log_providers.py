"""The extensionProviders that take access logs, as places where records go."""

from dataclasses import replace
from typing import Final

from lateen import names
from lateen.api.mesh.extension_providers import ExtensionProvider
from lateen.api.mesh.log_providers import FileAccessLog, GrpcAccessLog, OpenTelemetryLog
from lateen.api.mesh.mesh_config import AccessLogEncoding, MeshConfig
from lateen.plan.directory import Directory
from lateen.plan.telemetry_types import LogFile, LogProtocol, LogServer

ENVOY: Final = "envoy"
"""The provider that every mesh has: the log of the proxy."""
STDOUT: Final = "/dev/stdout"

Sink = LogFile | LogServer


def mesh_file(mesh: MeshConfig) -> LogFile | None:
    """Return the file that `accessLogFile` names; none where logging is off."""
    return _file_of(mesh) if mesh.access_log_file else None


def _file_of(mesh: MeshConfig) -> LogFile:
    return LogFile(mesh.access_log_file, mesh.access_log_encoding is AccessLogEncoding.JSON, mesh.access_log_format)


def sink(name: str, directory: Directory) -> Sink | str:
    """Return where a provider has records sent, or why it cannot have any."""
    mesh = directory.view.mesh
    provider = next((one for one in mesh.extension_providers if one.name == name), None)
    if provider is None and name == ENVOY:
        return replace(_file_of(mesh), path=mesh.access_log_file or STDOUT)
    if provider is None:
        known = ", ".join(sorted({ENVOY, *(one.name for one in mesh.extension_providers)}))
        return f"there is no extensionProvider {name!r} in MeshConfig (there is: {known})"
    return _of_provider(provider, directory)


def _of_provider(provider: ExtensionProvider, directory: Directory) -> Sink | str:
    if provider.envoy_file_access_log is not None:
        return _file(provider.envoy_file_access_log)
    if provider.envoy_otel_als is not None:
        return _otlp(provider.envoy_otel_als, directory)
    if provider.envoy_http_als is not None:
        return _als(LogProtocol.HTTP_ALS, provider.envoy_http_als, directory)
    if provider.envoy_tcp_als is not None:
        return _als(LogProtocol.TCP_ALS, provider.envoy_tcp_als, directory)
    return (
        f"extensionProvider {provider.name!r} takes no access logs here: it needs envoyFileAccessLog, envoyOtelAls, "
        "envoyHttpAls or envoyTcpAls"
    )


def _file(settings: FileAccessLog) -> LogFile:
    format_ = settings.log_format
    if format_ is None:
        return LogFile(settings.path, omits_empty=settings.omit_empty_values)
    return LogFile(settings.path, bool(format_.labels), format_.as_text, settings.omit_empty_values)


def _otlp(settings: OpenTelemetryLog, directory: Directory) -> LogServer | str:
    place = _place(settings.service, settings.port, directory)
    if isinstance(place, str):
        return place
    format_ = settings.log_format
    return LogServer(
        LogProtocol.OTLP,
        *place,
        log_name=settings.log_name,
        format=format_.text if format_ else "",
        attributes=tuple(format_.labels.items()) if format_ else (),
    )


def _als(protocol: LogProtocol, settings: GrpcAccessLog, directory: Directory) -> LogServer | str:
    place = _place(settings.service, settings.port, directory)
    if isinstance(place, str):
        return place
    return LogServer(
        protocol,
        *place,
        log_name=settings.log_name,
        request_headers=settings.additional_request_headers_to_log,
        response_headers=settings.additional_response_headers_to_log,
        response_trailers=settings.additional_response_trailers_to_log,
        filter_state=settings.filter_state_objects_to_log,
    )


def _place(service: str, port: int, directory: Directory) -> tuple[str, str] | str:
    """Return the cluster of a service and its authority, or why there is none."""
    host = service.rpartition("/")[2]
    found = directory.service(host)
    if found is None or found.port(port) is None:
        return f"the service {host} is not known here on port {port}"
    return names.outbound_cluster(directory.stands_for(found).host, port), f"{host}:{port}"
