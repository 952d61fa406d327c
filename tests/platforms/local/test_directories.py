"""Run directories and their lock."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lateen.platforms.local import directories, lock
from lateen.platforms.local.directories import UnusableDirectory

from .live_mesh import ROOT


def test_where_a_mesh_lives() -> None:
    assert directories.run_directory("demo", {}, uid=0) == Path("/run/lateen/demo")
    user = {"XDG_RUNTIME_DIR": "/run/user/7"}
    assert directories.run_directory("demo", user, uid=7) == Path("/run/user/7/lateen/demo")
    assert directories.run_directory("demo", {}, uid=7) == Path("/tmp/lateen-7/demo")


@pytest.mark.parametrize("name", ["", "a/b", "..", "Demo", "-a", "a" * 41])
def test_names_that_no_mesh_has(name: str) -> None:
    with pytest.raises(UnusableDirectory, match="write at most 40 lower-case letters"):
        directories.run_directory(name, {}, uid=0)


def test_what_is_prepared_is_private_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "_SOCKET_PATH_LIMIT_BYTES", 1000)
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    for name in ("b", "a"):
        directories.prepare(directories.run_directory(name, environment, uid=7))
    assert directories.meshes(environment, uid=7) == ("a", "b")
    assert (tmp_path / "lateen" / "a").stat().st_mode & 0o777 == 0o700


def test_a_path_too_long_for_sockets_is_refused_with_the_excess() -> None:
    with pytest.raises(UnusableDirectory, match=r"is 5\d characters too long .* set XDG_RUNTIME_DIR"):
        directories.prepare(Path("/tmp", "x" * 120, "demo"))


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directories, "_SOCKET_PATH_LIMIT_BYTES", 1000)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "lateen").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnusableDirectory, match="belongs to somebody else"):
        directories.prepare(tmp_path / "lateen" / "demo")


def test_the_lock_is_held_by_one_and_ends_with_its_holder(tmp_path: Path) -> None:
    imports = "import sys; from pathlib import Path; from lateen.platforms.local import lock"
    script = f"{imports}; lock.acquire(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert lock.holder(tmp_path) == other.pid
        assert lock.acquire(tmp_path) is None
        other.kill()
    assert lock.holder(tmp_path) is None
    descriptor = lock.acquire(tmp_path)
    assert descriptor is not None
    assert lock.holder(tmp_path) == os.getpid()
    os.close(descriptor)
