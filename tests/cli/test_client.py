"""How the command line finds its way in while certificates are being exchanged."""

import threading

import pytest

from lateen.platforms.local.owner_files import DIRECTORY, IDENTITY_FILE, OwnerFiles
from tests.cli.conftest import Machine, running
from tests.serving import identity
from tests.serving.small_mesh import SmallMesh


def show_an_old_certificate(machine: Machine, mesh: running) -> None:
    """Leave the owner with a certificate of an authority that the control plane believes no more."""
    credentials = identity.credentials(identity.authority(), identity.OWNER, mesh.signer)
    OwnerFiles(machine.base / "test").take(credentials)


def test_an_owner_who_is_turned_away_for_a_moment_tries_again(machine: Machine) -> None:
    mesh, file = running(machine, "test", SmallMesh()), machine.base / "test" / DIRECTORY / IDENTITY_FILE
    with mesh:
        good = file.read_bytes()
        show_an_old_certificate(machine, mesh)
        exchange = threading.Timer(0.4, file.write_bytes, (good,))
        exchange.start()
        result = machine.run("get", "all", "-o", "json")
        exchange.join()
    assert result.exit_code == 0, result.output


def test_an_owner_who_stays_turned_away_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lateen.cli.client.ApiClient.__init__.__defaults__", (0.3,))
    mesh = running(machine, "test", SmallMesh())
    with mesh:
        show_an_old_certificate(machine, mesh)
        result = machine.run("get", "all", "-o", "json")
    assert result.exit_code == 3
    assert "mesh 'test' broke off its answer" in result.output
