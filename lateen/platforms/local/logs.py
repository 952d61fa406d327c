"""Keeps log files from growing without bound, although their writers hold them open."""

import asyncio
import os
import shutil
from pathlib import Path

MOST_BYTES = 16 * 1024 * 1024
_EVERY_SECONDS = 5.0


async def keep_short(*directories: Path) -> None:
    """Looks after all `*.log` files in some directories, for ever."""
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        for directory in directories:
            for path in directory.glob("*.log"):
                shorten(path)


def shorten(path: Path, most_bytes: int = MOST_BYTES) -> bool:
    """Moves the content of an overlong log to `NAME.1`; whether it did.

    Writers go on at the then empty file's beginning because they append. Lines written during the copy are lost.
    """
    if path.stat().st_size <= most_bytes:
        return False
    shutil.copyfile(path, path.with_name(path.name + ".1"))
    os.truncate(path, 0)
    return True


def tail(path: Path, most_bytes: int = 2000) -> str:
    """The last whole lines of a log."""
    try:
        content = path.read_bytes()[-most_bytes:]
    except OSError:
        return ""
    lines = content.decode(errors="replace").splitlines()
    return "\n".join(lines[1:] if len(content) == most_bytes else lines)
