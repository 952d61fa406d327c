"""Where the system's own commands are: PATH, and the sbin directories that ordinary users often do not have on it."""

import os
import shutil
from functools import cache

_SYSTEM = ("/usr/sbin", "/sbin", "/usr/bin", "/bin")


def search_path() -> str:
    """The PATH for commands that the supervisor runs itself."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM))


@cache
def tool(name: str) -> str:
    """The absolute path of a system command, so that a workload's own PATH cannot hide it.

    A command that is not there keeps its plain name: `preflight` has said so before.
    """
    return shutil.which(name, path=search_path()) or name
