"""Envoy's access-log service: what proxies tell of calls that are over goes on as attributes, and nobody waits.

`envoy.service.accesslog.v3.AccessLogService`. A stream says at its beginning whose it is.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final, Protocol

from envoy.service.accesslog.v3 import als_pb2
from google.protobuf.message import DecodeError

from lateen.api.status_codes import StatusCode
from lateen.mixer.directory import Directory
from lateen.mixer.values import Attributes
from lateen.model.service import Service
from lateen.serving import access_log_entries
from lateen.serving.grpc_services import GrpcRefusal, GrpcService

SERVICE: Final = "envoy.service.accesslog.v3.AccessLogService"
METHOD: Final = "StreamAccessLogs"


class Hears(Protocol):
    """Whoever is told what happened."""

    @property
    def directory(self) -> Directory:
        """Who is who in the mesh."""
        ...

    @property
    def services_by_host(self) -> Mapping[str, Service]:
        """The services of the mesh by host."""
        ...

    def tell(self, calls: Iterable[Attributes]) -> None:
        """Take calls that are over; never waits."""
        ...


def access_log_service(hears: Hears) -> GrpcService:
    """Return the service that proxies tell."""

    async def stream(messages: AsyncIterator[bytes]) -> bytes:
        node, log_name = "", ""
        async for data in messages:
            try:
                message = als_pb2.StreamAccessLogsMessage.FromString(data)
            except DecodeError:
                raise GrpcRefusal(StatusCode.INVALID_ARGUMENT, "expected a StreamAccessLogsMessage") from None
            if message.HasField("identifier"):
                node, log_name = message.identifier.node.id, message.identifier.log_name
            hears.tell(_calls(message, node, log_name, hears))
        answer: bytes = als_pb2.StreamAccessLogsResponse().SerializeToString()
        return answer

    return GrpcService(SERVICE, streams={METHOD: stream})


def _calls(message: Any, node: str, log_name: str, hears: Hears) -> Iterable[Attributes]:
    told_by = access_log_entries.teller(node, log_name, hears.directory)
    for entry in message.http_logs.log_entry:
        yield access_log_entries.of_request(entry, told_by, hears.directory, hears.services_by_host)
    for entry in message.tcp_logs.log_entry:
        yield access_log_entries.of_connection(entry, told_by, hears.directory, hears.services_by_host)
