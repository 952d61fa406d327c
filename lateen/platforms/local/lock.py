"""One supervisor a mesh: a lock file that the kernel lets go of when its holder dies, however it dies."""

import contextlib
import fcntl
import os
from pathlib import Path

FILE = "supervisor.lock"


def acquire(directory: Path) -> int | None:
    """Takes the mesh's lock and writes our pid into it; an open descriptor that keeps it, or None if another has it."""
    while True:
        descriptor = os.open(directory / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_current(descriptor, directory / FILE):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            return descriptor
        # its last holder removed the file between our opening and our locking it
        os.close(descriptor)


def holder(directory: Path) -> int | None:
    """The pid of the living supervisor of this directory, None where there is none."""
    try:
        descriptor = os.open(directory / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        with contextlib.suppress(ValueError):
            return int(os.pread(descriptor, 32, 0))
        return 0
    finally:
        os.close(descriptor)


def _is_current(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False
