"""Which protocol a port speaks, as Istio decides it: `appProtocol` first, then the port's name, else detection."""

from enum import StrEnum
from typing import Final


class Protocol(StrEnum):
    """What a port carries. AUTO means that the proxy looks at the first bytes."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-WEB"
    HTTPS = "HTTPS"
    TLS = "TLS"
    TCP = "TCP"
    MONGO = "MONGO"
    MYSQL = "MYSQL"
    REDIS = "REDIS"
    UDP = "UDP"
    AUTO = "AUTO"

    @property
    def is_http(self) -> bool:
        """True where requests can be routed one by one."""
        return self in _HTTP

    @property
    def is_http2(self) -> bool:
        """True where the upstream is spoken to in HTTP/2."""
        return self in _HTTP2

    @property
    def is_tls(self) -> bool:
        """True where the application encrypts and only the SNI can be seen."""
        return self in (Protocol.HTTPS, Protocol.TLS)


_HTTP: Final = frozenset({Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB})
_HTTP2: Final = frozenset({Protocol.HTTP2, Protocol.GRPC})
_APP_PROTOCOLS: Final = {
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "kubernetes.io/wss": Protocol.HTTPS,
}
# A server that speaks first would never be detected, so these well-known ports are TCP unless they are named.
_SERVER_FIRST_PORTS: Final = frozenset({25, 53, 3306, 27017})


def parse_protocol(text: str) -> Protocol | None:
    """Read a protocol's name in any case; None when it is unknown."""
    try:
        return Protocol(text.upper())
    except ValueError:
        return None


def choose_protocol(number: int, name: str = "", app_protocol: str | None = None, transport: str = "TCP") -> Protocol:
    """Decide what a service port carries from its `appProtocol`, its name (`<protocol>[-suffix]`) and its number."""
    if transport == "UDP":
        return Protocol.UDP
    if app_protocol is not None:
        declared = _APP_PROTOCOLS.get(app_protocol.lower()) or parse_protocol(app_protocol)
        if declared is not None:
            return declared
    prefix = "grpc-web" if name.lower().startswith("grpc-web") else name.partition("-")[0]
    named = parse_protocol(prefix) if prefix else None
    if named is not None and named is not Protocol.AUTO:
        return named
    return Protocol.TCP if number in _SERVER_FIRST_PORTS else Protocol.AUTO
