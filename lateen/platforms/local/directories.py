"""Where a mesh keeps its sockets, logs and state while it runs: one private directory a mesh."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_SOCKET_PATH_LIMIT_BYTES = 107
_LONGEST_SOCKET = "edge/255.255.255.255-65535.sock"


class UnusableDirectory(Exception):
    """The run directory cannot be used; the message says what would be right."""


def base_directory(environment: Mapping[str, str], uid: int) -> Path:
    """Where all meshes of this user are: /run/lateen for root, else $XDG_RUNTIME_DIR/lateen or /tmp/lateen-UID."""
    if uid == 0:
        return Path("/run/lateen")
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        return Path(runtime, "lateen")
    # `prepare` refuses it if somebody else made it first
    return Path(f"/tmp/lateen-{uid}")  # noqa: S108


def run_directory(mesh: str, environment: Mapping[str, str] = os.environ, uid: int | None = None) -> Path:
    """The directory of one mesh; refuses names that are no DNS label of at most 40 characters."""
    if not _NAME.fullmatch(mesh):
        raise UnusableDirectory(
            f"mesh name {mesh!r} is not usable: write at most 40 lower-case letters, digits and inner dashes"
        )
    return base_directory(environment, os.geteuid() if uid is None else uid) / mesh


def meshes(environment: Mapping[str, str] = os.environ, uid: int | None = None) -> tuple[str, ...]:
    """The names of this user's meshes that have a run directory, whether they live or left it behind."""
    base = base_directory(environment, os.geteuid() if uid is None else uid)
    if not base.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in base.iterdir() if _NAME.fullmatch(entry.name) and entry.is_dir()))


def prepare(directory: Path) -> None:
    """Makes the run directory, and the one above it, for this user alone."""
    length = len(os.fsencode(directory / _LONGEST_SOCKET))
    if length > _SOCKET_PATH_LIMIT_BYTES:
        excess = length - _SOCKET_PATH_LIMIT_BYTES
        raise UnusableDirectory(
            f"{directory} is {excess} characters too long for the sockets in it:"
            " set XDG_RUNTIME_DIR to a shorter path or use a shorter mesh name"
        )
    for each in (directory.parent, directory):
        _make_private(each)


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise UnusableDirectory(
            f"cannot make {directory} ({error.strerror}): set XDG_RUNTIME_DIR to a directory that you can write"
        ) from None
    if directory.is_symlink() or found.st_uid != os.geteuid():
        raise UnusableDirectory(f"{directory} belongs to somebody else: remove it, or set XDG_RUNTIME_DIR")
    directory.chmod(0o700)
