"""How much a proxy takes from its clients, and for how long: `connectionSettings` of ProxyConfig."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field, Strict

from lateen.api.fields import Bool, Duration, Positive
from lateen.api.structs import OpenStruct

Streams = Annotated[int, Strict(), Field(ge=1, le=2**31 - 1)]
Window = Annotated[int, Strict(), Field(ge=65535, le=2**31 - 1)]


class Profile(StrEnum):
    """SIDECAR adds nothing; EDGE is for gateways that anybody can call."""

    SIDECAR = "SIDECAR"
    EDGE = "EDGE"


class Underscores(StrEnum):
    """What becomes of requests with an underscore in a header's name, which some servers take for a `-`."""

    UNSPECIFIED = "HEADERS_WITH_UNDERSCORES_UNSPECIFIED"
    ALLOW = "HEADERS_WITH_UNDERSCORES_ALLOW"
    REJECT = "HEADERS_WITH_UNDERSCORES_REJECT_REQUEST"
    DROP = "HEADERS_WITH_UNDERSCORES_DROP_HEADER"


class EscapedSlashes(StrEnum):
    """What becomes of requests with `%2F` or `%5C` in their path."""

    UNSPECIFIED = "PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED"
    KEEP = "KEEP_UNCHANGED"
    REJECT = "REJECT_REQUEST"
    REDIRECT = "UNESCAPE_AND_REDIRECT"
    FORWARD = "UNESCAPE_AND_FORWARD"


class ConnectionSettings(OpenStruct):
    """How much a proxy takes from its clients, and for how long; what is not written here is as the profile says."""

    profile: Profile = Profile.SIDECAR
    listener_per_connection_buffer_limit_bytes: Positive | None = None
    cluster_per_connection_buffer_limit_bytes: Positive | None = None
    http_idle_timeout: Duration | None = None
    http_max_connection_duration: Duration | None = None
    http_max_stream_duration: Duration | None = None
    http_stream_idle_timeout: Duration | None = None
    http_request_timeout: Duration | None = None
    http_request_headers_timeout: Duration | None = None
    http_drain_timeout: Duration | None = None
    http_max_concurrent_streams: Streams | None = None
    http2_initial_stream_window_size: Window | None = None
    http2_initial_connection_window_size: Window | None = None
    http_headers_with_underscores_action: Underscores = Underscores.UNSPECIFIED
    http_merge_slashes: Bool | None = None
    http_path_with_escaped_slashes_action: EscapedSlashes = EscapedSlashes.UNSPECIFIED
    global_downstream_connection_limit: Positive | None = None


NO_SETTINGS: Final = ConnectionSettings()

_KIB: Final = 1024
_EDGE: Final[dict[str, Any]] = {
    "listener_per_connection_buffer_limit_bytes": 32 * _KIB,
    "cluster_per_connection_buffer_limit_bytes": 32 * _KIB,
    "http_idle_timeout": timedelta(hours=1),
    "http_request_timeout": timedelta(minutes=5),
    "http_stream_idle_timeout": timedelta(minutes=5),
    "http_max_concurrent_streams": 100,
    "http2_initial_stream_window_size": 64 * _KIB,
    "http2_initial_connection_window_size": _KIB * _KIB,
    "http_request_headers_timeout": timedelta(minutes=1),
    "http_headers_with_underscores_action": Underscores.REJECT,
    "http_merge_slashes": True,
    "http_path_with_escaped_slashes_action": EscapedSlashes.REDIRECT,
}
"""What Envoy's authors advise for proxies that stand at the edge."""

_GATEWAY: Final[dict[str, Any]] = {
    "listener_per_connection_buffer_limit_bytes": 32 * _KIB,
    "http_request_headers_timeout": timedelta(minutes=1),
    "http_max_concurrent_streams": 100,
}
"""What holds at every gateway of ours: slow and greedy clients take nothing from others, and no honest one notices."""


def at_gateway(written: ConnectionSettings) -> ConnectionSettings:
    """Complete what is written with what holds at a gateway."""
    return _completed(written, _EDGE if written.profile is Profile.EDGE else _GATEWAY)


def _completed(written: ConnectionSettings, otherwise: dict[str, Any]) -> ConnectionSettings:
    missing = {
        name: value
        for name, value in otherwise.items()
        if getattr(written, name) in (None, Underscores.UNSPECIFIED, EscapedSlashes.UNSPECIFIED)
    }
    return written.model_copy(update=missing)
