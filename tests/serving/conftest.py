"""A discovery server on a unix socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from open_door import OpenDoor

from lateen.manager.pushes import Pushes
from lateen.serving.xds import DiscoveryServer


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
