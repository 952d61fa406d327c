"""A discovery server on a unix socket, with proxies that are all let in and all of one class."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lateen.errors import NotPermitted
from lateen.manager.ports import NodeIdentity
from lateen.manager.pushes import Connection, Outlet, Pushes
from lateen.serving.xds import DiscoveryServer

CLASS = "all"


class OpenDoor:
    """Lets everybody in but `stranger`."""

    def __init__(self, pushes: Pushes) -> None:
        self._pushes = pushes

    def connect(self, node: NodeIdentity, outlet: Outlet) -> Connection:
        if node.id == "stranger":
            raise NotPermitted("proxy stranger is not of this mesh")
        connection = self._pushes.connect(node.id, outlet)
        self._pushes.place(connection, CLASS)
        return connection

    def disconnect(self, connection: Connection) -> None:
        self._pushes.disconnect(connection)


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "xds.sock"


@pytest.fixture
async def pushes(socket: Path) -> AsyncIterator[Pushes]:
    """What the server on `socket` pushes from."""
    pushes = Pushes()
    server = DiscoveryServer(OpenDoor(pushes))
    await server.start(socket)
    yield pushes
    await server.stop()
