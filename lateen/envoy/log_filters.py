"""Which calls an access logger is about. Without a filter, it is told of connections when they begin, too."""

from typing import Any, Final

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.data.accesslog.v3 import accesslog_pb2 as record_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2

from lateen.envoy.values import typed

_ENDS: Final = (record_pb2.DownstreamEnd, record_pb2.TcpConnectionEnd)
_CEL: Final = "envoy.access_loggers.extension_filters.cel"


def at_end() -> Any:
    """Say calls that have ended, and nothing of them before."""
    return _of_types(*_ENDS)


def at_open() -> Any:
    """Say connections that have just reached their server."""
    return _of_types(record_pb2.TcpUpstreamConnected)


def with_header(name: str, prefix: str) -> Any:
    """Say requests of which a header begins with a text."""
    return _header(name, prefix, invert_match=False)


def without_header(name: str, prefix: str) -> Any:
    """Say requests of which a header does not begin with a text, or is not there."""
    return _header(name, prefix, invert_match=True)


def cel(expression: str) -> Any:
    """Say calls for which an expression is true; it is false where it asks for what is not there."""
    config = typed(cel_pb2.ExpressionFilter(expression=expression))
    return accesslog_pb2.AccessLogFilter(extension_filter={"name": _CEL, "typed_config": config})


def all_of(*filters: Any) -> Any:
    """Say the calls that all of some filters are about."""
    if len(filters) == 1:
        return filters[0]
    return accesslog_pb2.AccessLogFilter(and_filter={"filters": list(filters)})


def _header(name: str, prefix: str, *, invert_match: bool) -> Any:
    matcher = route_components_pb2.HeaderMatcher(
        name=name, string_match={"prefix": prefix}, invert_match=invert_match, treat_missing_header_as_empty=True
    )
    return accesslog_pb2.AccessLogFilter(header_filter={"header": matcher})


def _of_types(*types: Any) -> Any:
    return accesslog_pb2.AccessLogFilter(log_type_filter={"types": list(types)})
