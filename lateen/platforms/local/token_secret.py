"""Secrets of the control plane's own: made at the first start, and kept where only the mesh's owner can read them."""

import os
import secrets
from pathlib import Path
from typing import Final

from lateen.errors import Unavailable

FILE: Final = "token-secret"
SESSION_FILE: Final = "session-key"
_BYTES: Final = 32


def token_secret(directory: Path) -> bytes:
    """Return the secret that bootstrap tokens are signed with; raises `Unavailable` when it cannot be kept."""
    return _kept(directory / FILE)


def session_key(run_directory: Path) -> bytes:
    """Return the key from which those of gateways' logins are derived; raises `Unavailable` when it cannot be kept.

    With another one, everybody has to log in again.
    """
    return _kept(run_directory / SESSION_FILE)


def _kept(file: Path) -> bytes:
    try:
        if file.exists() and len(found := file.read_bytes()) == _BYTES:
            return found
        made = secrets.token_bytes(_BYTES)
        beside = file.with_name(f".{file.name}.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(made)
        beside.replace(file)
    except OSError as error:
        raise Unavailable(f"cannot keep a secret in {file}: {error.strerror}") from None
    return made
