"""What a sandbox mounts is seen by its processes and by nobody else, wherever the mount path is."""

import os
from pathlib import Path

import pytest

from lateen.platforms.local.mounting import Plan
from lateen.platforms.local.protocol import Mount, Refused

from .live_mesh import LiveMesh, until


@pytest.fixture
def volume(mesh: LiveMesh) -> Path:
    """A folder of the mesh that every process of it may write to."""
    folder = mesh.directory / "w" / "w1" / "volumes" / "data"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    (folder / "greeting").write_text("ahoy")
    (folder / "greeting").chmod(0o755)
    return folder


def mount(source: Path, target: str, *, read_only: bool = False) -> Mount:
    return Mount(source=str(source), target=target, what="volume data", read_only=read_only)


PATHS = {
    "there already": "/mnt",
    "missing in a folder": "/etc/lateen-test/config",
    "missing at the top": "/lateen-test/deep/below",
    "missing in a folder with mounts": "/dev/lateen-test",
    "covers what the machine has": "/var/tmp",
}


@pytest.mark.live
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
async def test_a_volume_is_seen_at_its_path_and_only_there(mesh: LiveMesh, volume: Path, path: str) -> None:
    before = (Path(path).exists(), sorted(os.listdir("/")), sorted(os.listdir("/etc")))
    sandbox = await mesh.sandbox(1, mounts=(mount(volume, path),))
    assert await mesh.inside(sandbox, "cat", f"{path}/greeting") == "ahoy"
    assert await mesh.inside(sandbox, "sh", "-c", f"echo there > {path}/answer") == ""
    assert (volume / "answer").read_text() == "there\n"
    assert (
        await mesh.inside(sandbox, "sh", "-c", "cat /proc/self/comm; test -d /usr/bin && test -s /etc/passwd") == "cat"
    )
    assert "10.244.0.1" in await mesh.inside(sandbox, "cat", "/etc/resolv.conf")
    assert (Path(path).exists(), sorted(os.listdir("/")), sorted(os.listdir("/etc"))) == before


@pytest.mark.live
async def test_a_read_only_volume_cannot_be_written_and_a_changed_file_is_seen(mesh: LiveMesh, volume: Path) -> None:
    sandbox = await mesh.sandbox(1, mounts=(mount(volume, "/etc/lateen-test", read_only=True),))
    assert "Read-only" in await mesh.inside(sandbox, "touch", "/etc/lateen-test/new")
    (volume / "greeting").write_text("farewell")
    assert await mesh.inside(sandbox, "cat", "/etc/lateen-test/greeting") == "farewell"


@pytest.mark.live
async def test_single_files_and_volumes_inside_volumes(mesh: LiveMesh, volume: Path) -> None:
    (volume / "file").write_text("one file")
    sandbox = await mesh.sandbox(
        1,
        mounts=(
            mount(volume / "file", "/lateen-test/data/inner/name.conf", read_only=True),
            mount(volume, "/lateen-test/data"),
            mount(volume / "file", "/etc/hostname"),
        ),
    )
    shown = await mesh.inside(
        sandbox, "sh", "-c", "cat /lateen-test/data/inner/name.conf /etc/hostname; ls /lateen-test"
    )
    assert shown == "one fileone filedata"


@pytest.mark.live
async def test_what_a_pod_is_run_from_stays_visible_below_a_mount(mesh: LiveMesh, volume: Path) -> None:
    home = mesh.directory.parent / "home"
    home.mkdir()
    (home / "program").write_text("#!/bin/sh\necho ran\n")
    (home / "program").chmod(0o755)
    sandbox = await mesh.sandbox(1, mounts=(mount(volume, "/tmp"),), visible=(str(home),))
    shown = await mesh.inside(
        sandbox, "sh", "-c", f"cat /tmp/greeting; {home}/program; ls {mesh.directory}/supervisor.sock"
    )
    assert shown == f"ahoyran\n{mesh.directory}/supervisor.sock"


@pytest.mark.live
async def test_a_program_in_a_volume_can_be_run(mesh: LiveMesh, volume: Path) -> None:
    (volume / "run").write_text("#!/bin/sh\npwd\n")
    (volume / "run").chmod(0o755)
    sandbox = await mesh.sandbox(1, mounts=(mount(volume, "/lateen-scripts"),))
    state = await mesh.start(sandbox, "/lateen-scripts/run", cwd="/lateen-scripts")
    await until(lambda: Path(state.log).read_text() == "/lateen-scripts\n")
    with pytest.raises(Refused, match="command '/lateen-scripts/none' of other in w1 is not an executable file"):
        await mesh.start(sandbox, "/lateen-scripts/none", name="other")


REFUSALS = {
    "/proc/lateen": "belongs to the kernel: choose a mount path outside /proc and /sys",
    "/etc/passwd": "/etc/passwd is a file on this machine, and the volume gives a folder for it",
    "/etc/passwd/below": "/etc/passwd is no folder: nothing can be mounted below it",
}


@pytest.mark.live
@pytest.mark.parametrize(("path", "reason"), REFUSALS.items(), ids=REFUSALS)
async def test_what_cannot_be_mounted_is_refused_with_the_reason(
    mesh: LiveMesh, volume: Path, path: str, reason: str
) -> None:
    with pytest.raises(Refused, match=f"w1 cannot be made: volume data cannot be mounted at {path}: .*{reason}"):
        await mesh.sandbox(1, mounts=(mount(volume, path),))


def test_a_plan_is_read_as_it_was_written() -> None:
    text = '{"mounts": [{"source": "/a", "target": "/b", "read_only": true, "what": "c"}], "own": "/run", "visible": ["/d"]}'
    plan = Plan.read(text)
    assert [(each.source, each.target, each.read_only, each.what) for each in plan.mounts] == [("/a", "/b", True, "c")]
    assert (plan.own, plan.visible) == ("/run", ("/d",))
