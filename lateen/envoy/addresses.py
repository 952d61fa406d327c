"""Addresses in Envoy's words."""

from typing import Any, Final

from envoy.config.core.v3 import address_pb2, socket_option_pb2

from lateen.names import PROXY_SOCKET_MARK

ANY_ADDRESS: Final = "0.0.0.0"

_SOL_SOCKET: Final = 1
_SO_MARK: Final = 36
_UNIX: Final = "unix://"


def address(host: str, port: int) -> Any:
    """Say `host:port`, or the socket of `unix://path`."""
    message = address_pb2.Address()
    fill(message, host, port)
    return message


def fill(message: Any, host: str, port: int) -> None:
    """Write an address into the message of a larger one; this costs a third of composing it."""
    if host.startswith(_UNIX):
        message.pipe.path = host.removeprefix(_UNIX)
        return
    socket = message.socket_address
    socket.address = host
    socket.port_value = port


def udp_address(host: str, port: int) -> Any:
    """Say a UDP address."""
    socket = address_pb2.SocketAddress(protocol="UDP", address=host, port_value=port)
    return address_pb2.Address(socket_address=socket)


def marked_source(host: str) -> Any:
    """Say that connections start at `host` and carry the mark; a cluster's own binding replaces the bootstrap's."""
    mark = socket_option_pb2.SocketOption(
        description="SO_MARK", level=_SOL_SOCKET, name=_SO_MARK, int_value=PROXY_SOCKET_MARK, state="STATE_PREBIND"
    )
    source = address_pb2.SocketAddress(address=host, port_value=0)
    return address_pb2.BindConfig(source_address=source, socket_options=[mark])
