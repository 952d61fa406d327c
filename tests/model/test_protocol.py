"""Which protocol a port speaks."""

import pytest

from lateen.model.protocol import Protocol, choose_protocol


@pytest.mark.parametrize(
    ("number", "name", "app_protocol", "transport", "expected"),
    [
        (80, "http", None, "TCP", Protocol.HTTP),
        (80, "http-web", None, "TCP", Protocol.HTTP),
        (80, "web", "http2", "TCP", Protocol.HTTP2),
        (80, "tcp-web", "kubernetes.io/h2c", "TCP", Protocol.HTTP2),
        (80, "grpc-web-x", None, "TCP", Protocol.GRPC_WEB),
        (80, "grpc-api", None, "TCP", Protocol.GRPC),
        (443, "https", None, "TCP", Protocol.HTTPS),
        (80, "HTTP", None, "TCP", Protocol.HTTP),
        (80, "", None, "TCP", Protocol.AUTO),
        (80, "backend", None, "TCP", Protocol.AUTO),
        (3306, "", None, "TCP", Protocol.TCP),
        (3306, "http", None, "TCP", Protocol.HTTP),
        (53, "dns", None, "UDP", Protocol.UDP),
        (80, "http", "acme.example/odd", "TCP", Protocol.HTTP),
    ],
)
def test_the_protocol_comes_from_app_protocol_then_name_then_number(
    number: int, name: str, app_protocol: str | None, transport: str, expected: Protocol
) -> None:
    assert choose_protocol(number, name, app_protocol, transport) is expected
