"""In which form HTTP/1 headers are sent: their names in small letters, or as they came."""

from typing import Any, Final

from envoy.config.core.v3 import protocol_pb2
from envoy.extensions.http.header_formatters.preserve_case.v3 import preserve_case_pb2

from lateen.envoy.values import typed

_NAME: Final = "envoy.http.stateful_header_formatters.preserve_case"


def as_they_came() -> Any:
    """Say that names are sent as whoever wrote them spelt them."""
    message = protocol_pb2.Http1ProtocolOptions.HeaderKeyFormat()
    message.stateful_formatter.name = _NAME
    message.stateful_formatter.typed_config.CopyFrom(typed(preserve_case_pb2.PreserveCaseFormatterConfig()))
    return message
