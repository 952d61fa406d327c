"""The owner's way into the API: a certificate with its key, and the roots to know the control plane by.

The run directory is the owner's alone. Whoever can read these files can change the mesh, and could anyway.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the command line reads the names here, and cryptography takes long to import
    from lateen.auth.credentials import Credentials

DIRECTORY: Final = "admin"
IDENTITY_FILE: Final = "identity.pem"
ROOTS_FILE: Final = "roots.pem"


class OwnerFiles:
    """Keeps the owner's credentials in `admin/` of a run directory (0700, files 0600), each file replaced whole.

    Key and certificate are in one file, so that nobody reads two that do not fit.
    """

    def __init__(self, run_directory: Path) -> None:
        self._directory = run_directory / DIRECTORY
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._directory.chmod(0o700)

    def take(self, credentials: "Credentials") -> None:
        """Write these; the roots first, because the control plane may already show what only they vouch for."""
        _replace(self._directory / ROOTS_FILE, credentials.bundle.own_pem.encode())
        _replace(self._directory / IDENTITY_FILE, credentials.key_pem + credentials.chain_pem.encode())


def _replace(file: Path, content: bytes) -> None:
    beside = file.with_name(f".{file.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
    beside.replace(file)
