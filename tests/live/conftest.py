"""The meshes that live tests share, since starting one takes seconds."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.mesh import CALLER, EXAMPLES, Caller, Mesh, a_mesh
from tests.platforms.local.live_mesh import users

ECHO_IMAGE = "example.com/echo:1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are live ones."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.live)


@pytest.fixture(params=users())
def mesh(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """A mesh that is not started yet, as root and as an ordinary user."""
    with a_mesh(request.param) as made:
        yield made


@pytest.fixture(scope="session", params=users())
def bookinfo(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """Bookinfo with sleep, all on v1, as root and as an ordinary user; `routing` in its base is a followed folder."""
    with a_mesh(request.param) as made:
        routing = made.base / "routing"
        routing.mkdir()
        for name in ("destination-rule-all.yaml", "virtual-service-all-v1.yaml"):
            shutil.copyfile(EXAMPLES / "bookinfo" / "routing" / name, routing / name)
        made.up(EXAMPLES / "bookinfo", EXAMPLES / "sleep", routing)
        yield made


@pytest.fixture(scope="session")
def httpbin() -> Iterator[Mesh]:
    """Httpbin in two versions, with sleep and a gateway."""
    with a_mesh(users()[0]) as made:
        gateway = EXAMPLES / "bookinfo" / "ingressgateway.yaml"
        echo = f"{ECHO_IMAGE}={made.python} -m http.server"
        made.up("--image-map", echo, EXAMPLES / "httpbin", EXAMPLES / "sleep", gateway)
        yield made


@pytest.fixture(scope="session")
def sleep(httpbin: Mesh) -> Iterator[Caller]:
    """Calls from the workload sleep of the httpbin mesh."""
    with httpbin.call_from("deploy/sleep") as caller:
        yield caller


@pytest.fixture(scope="session")
def outside(httpbin: Mesh) -> Iterator[Caller]:
    """Calls from the host."""
    with Caller([httpbin.python, str(CALLER)], httpbin.environment) as caller:
        yield caller
