"""Runs commands as a user would, against a real API on a real socket with a small mesh behind it."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lateen.cli.main import lateen
from lateen.platforms.local import directories, lock
from lateen.serving import api
from lateen.serving.door_tls import DoorTls
from tests.serving import identity
from tests.serving.small_mesh import SmallMesh


@dataclass
class Machine:
    """The run directories of one user; nothing runs at first."""

    base: Path

    def run(self, *arguments: str, stdin: str | None = None) -> Result:
        """Run a command to its end."""
        return CliRunner().invoke(lateen, arguments, input=stdin)

    def run_json(self, *arguments: str) -> Any:
        """Run a command that succeeds, and read the JSON that it prints."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    base = tmp_path / "run"
    monkeypatch.setattr(directories, "base_directory", lambda environment, uid: base)
    monkeypatch.chdir(tmp_path)
    return Machine(base)


@pytest.fixture
def mesh(machine: Machine) -> Iterator[SmallMesh]:
    """A mesh called `test` that runs: its lock is held and its API answers."""
    small = SmallMesh()
    with running(machine, "test", small):
        yield small


class running:
    """Lets a mesh run while the block does."""

    def __init__(self, machine: Machine, name: str, small: SmallMesh) -> None:
        self._directory = machine.base / name
        self._small = small
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> None:
        directories.prepare(self._directory)
        descriptor = lock.acquire(self._directory)
        assert descriptor is not None
        self._descriptor = descriptor
        self._thread.start()
        self.signer = identity.authority()
        identity.let_owner_in(self._directory, self.signer)
        tls = DoorTls(identity.credentials(self.signer, identity.CONTROL_PLANE))
        serving = api.serve(self._small.api(self._directory.name), self._directory / "api.sock", tls)
        self._runner = asyncio.run_coroutine_threadsafe(serving, self._loop).result(5)

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        os.close(self._descriptor)
