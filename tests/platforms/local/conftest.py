"""A live mesh for each kind of user."""

from collections.abc import AsyncIterator

import pytest

from .live_mesh import LiveMesh, live_mesh, users


@pytest.fixture(params=users())
def user(request: pytest.FixtureRequest) -> str:
    """Who runs the mesh: `root`, or `user` for an ordinary one."""
    return str(request.param)


@pytest.fixture
async def mesh(user: str) -> AsyncIterator[LiveMesh]:
    """A mesh that is up, with nothing in it."""
    async with live_mesh(user) as up:
        yield up
