"""Answers that a proxy gives itself in the words of whoever refused: Mixer's checks have a status and a text."""

from typing import Any, Final

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.api.expressions import cel
from lateen.envoy.values import typed
from lateen.plan.mixer_types import Denial, Reply, Shown
from lateen.plan.types import Guard

_CEL_FILTER: Final = "envoy.access_loggers.extension_filters.cel"
_PRINCIPAL: Final = "^spiffe://(.*)$"
_REFUSED: Final = "rbac_access_denied_matched_policy"


def local_reply_config(guard: Guard) -> Any | None:
    """Say what refused clients get; None where nobody has words of his own."""
    if guard.mixer is None or not guard.mixer.requests.denials:
        return None
    return hcm_pb2.LocalReplyConfig(mappers=map(response_mapper, guard.mixer.requests.denials))


def response_mapper(plan: Denial) -> Any:
    """Say the answer to requests that a check has refused."""
    message = hcm_pb2.ResponseMapper(filter=_by(plan.name))
    message.status_code.value = plan.reply.status
    message.body_format_override.text_format_source.inline_string = body(plan.reply)
    return message


def _by(name: str) -> Any:
    """Say that a rule of this name has refused; what filters note in metadata is not there yet."""
    refused = cel_pb2.ExpressionFilter(expression=f"response.code_details.startsWith('{_REFUSED}[{name}/')")
    return accesslog_pb2.AccessLogFilter(extension_filter={"name": _CEL_FILTER, "typed_config": typed(refused)})


def body(reply: Reply) -> str:
    """Say a text as a format: its signs of percent are doubled, what it shows of the request is looked up."""
    return "".join(_shown(part) if isinstance(part, Shown) else part.replace("%", "%%") for part in reply.text)


def _shown(part: Shown) -> str:
    if part.header:
        return f"%REQ({part.header})%"
    if part.expression is not None:
        return f"%CEL({cel.render(part.expression)})%"
    if part.principal:
        return f"%CEL(re.extract(connection.uri_san_peer_certificate, '{_PRINCIPAL}', '\\\\1'))%"
    direct = "" if part.forwarded else "DIRECT_"
    return f"%DOWNSTREAM_{direct}REMOTE_ADDRESS_WITHOUT_PORT%"
