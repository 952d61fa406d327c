"""However a mesh ends, nothing of it is left: no process, namespace, link, rule or file."""

import os
import signal
from collections.abc import Iterator

import pytest

from lateen.cli import meshes
from tests.live.mesh import EXAMPLES, Footprint, Mesh, Networks, Remains, processes, until
from tests.platforms.local.live_mesh import users

PATHS = (EXAMPLES / "sleep", EXAMPLES / "bookinfo" / "ingressgateway.yaml")


@pytest.fixture
def footprint() -> Iterator[Footprint]:
    """The host as it is without the mesh; it must look like that again."""
    before = Footprint.now()
    yield before
    assert Footprint.now() == before


def test_down_leaves_nothing(mesh: Mesh, footprint: Footprint) -> None:
    mesh.up(*PATHS)
    networks = Networks(mesh)
    assert len(networks) >= 3
    assert Footprint.now() == footprint
    said = mesh.run("down")
    assert (said.code, "has stopped" in said.out) == (0, True), said
    nothing_is_left(mesh, networks)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_the_foreground(mesh: Mesh, footprint: Footprint, number: signal.Signals) -> None:
    with mesh.foreground(*PATHS) as process:
        until((mesh.directory / "api.sock").exists, 20, "the mesh to come up")
        mesh.ready("sleep")
        networks = Networks(mesh)
        process.send_signal(number)
        code = process.wait(30)
    assert code == 0, (mesh.base / "foreground.log").read_text()
    nothing_is_left(mesh, networks)


@pytest.mark.parametrize("mesh", users()[:1], indirect=True)
def test_a_second_signal_while_it_ends_harms_nothing(mesh: Mesh, footprint: Footprint) -> None:
    with mesh.foreground(*PATHS) as process:
        until((mesh.directory / "api.sock").exists, 20, "the mesh to come up")
        mesh.ready("sleep")
        networks = Networks(mesh)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
        process.wait(30)
    nothing_is_left(mesh, networks)


@pytest.mark.parametrize("mesh", users()[:1], indirect=True)
def test_a_signal_in_the_middle_of_the_start_leaves_nothing(mesh: Mesh, footprint: Footprint) -> None:
    with mesh.foreground(*PATHS) as process:
        until((mesh.directory / "supervisor.sock").exists, 20, "the supervisor")
        process.send_signal(signal.SIGINT)
        process.wait(30)
    nothing_is_left(mesh)


def test_down_cleans_up_after_a_killed_supervisor(mesh: Mesh, footprint: Footprint) -> None:
    mesh.up(*PATHS)
    networks = Networks(mesh)
    os.kill(mesh_supervisor(mesh), signal.SIGKILL)
    said = mesh.run("down")
    assert said.code == 0, said
    nothing_is_left(mesh, networks)


def test_up_cleans_up_after_a_killed_supervisor(mesh: Mesh, footprint: Footprint) -> None:
    mesh.up(*PATHS)
    networks = Networks(mesh)
    os.kill(mesh_supervisor(mesh), signal.SIGKILL)
    mesh.up(*PATHS)
    assert [pid for pid, _ in processes() if pid in networks] == []
    (row,) = mesh.ready("sleep")
    assert row["address"] in mesh.do("exec", "deploy/sleep", "--", "hostname", "-I")


def mesh_supervisor(mesh: Mesh) -> int:
    """The pid of the supervisor."""
    pid = meshes.Mesh(mesh.name, mesh.directory).supervisor_pid
    assert pid is not None
    return pid


def nothing_is_left(mesh: Mesh, networks: Networks | None = None) -> None:
    """A supervisor that has said that all is over may take a moment to be gone itself."""
    try:
        until(lambda: not Remains.of(mesh, networks), 3)
    except AssertionError:
        raise AssertionError(str(Remains.of(mesh, networks))) from None
