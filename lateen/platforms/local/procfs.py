"""What the kernel tells about processes in /proc. They may be gone at any moment: then the answer is None or False."""

import os
from collections.abc import Iterator
from pathlib import Path

_STATE, _PARENT, _START_TIME = 0, 1, 19
_FIELDS_BEFORE_STATE = b") "
_LISTENING, _UNCONNECTED = b"0A", b"07"


def pids() -> Iterator[int]:
    """The ids of all processes that we can see."""
    with os.scandir("/proc") as entries:
        yield from [int(entry.name) for entry in entries if entry.name.isdecimal()]


def start_time(pid: int) -> int | None:
    """When a living process started, in clock ticks since boot; None for one that is gone or waits to be reaped."""
    stat = _stat(pid)
    return int(stat[_START_TIME]) if stat and stat[_STATE] not in (b"Z", b"X") else None


def ancestors(pid: int) -> Iterator[int]:
    """The process itself, its parent, and so on up."""
    while pid > 0:
        yield pid
        stat = _stat(pid)
        pid = int(stat[_PARENT]) if stat else 0


def network_namespace(pid: int) -> int | None:
    """The inode number of a process's network namespace."""
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return None


def has_environment(pid: int, *entries: str) -> bool:
    """Whether a process was started with all these `NAME=value` entries."""
    content = _content(f"/proc/{pid}/environ")
    return content is not None and {entry.encode() for entry in entries} <= set(content.split(b"\0"))


def environment_value(pid: int, name: str) -> str | None:
    """The value of an environment variable that a process was started with; None where there is none."""
    prefix = f"{name}=".encode()
    entries = (_content(f"/proc/{pid}/environ") or b"").split(b"\0")
    return next(
        (entry.removeprefix(prefix).decode(errors="replace") for entry in entries if entry.startswith(prefix)), None
    )


def command(pid: int) -> str:
    """What a process runs, for people to read."""
    content = _content(f"/proc/{pid}/cmdline") or b""
    return content.replace(b"\0", b" ").decode(errors="replace").strip()


def boot() -> str:
    """An id of this boot: pids and start times recorded under another one mean nothing."""
    return (_content("/proc/sys/kernel/random/boot_id") or b"").decode().strip()


def listeners(port: int) -> frozenset[int]:
    """The socket inodes that listen on a TCP port in our own network namespace."""
    return _sockets("tcp", _LISTENING, port)


def datagram_sockets(port: int) -> frozenset[int]:
    """The socket inodes that are bound to a UDP port in our own network namespace, for everybody to send to."""
    return _sockets("udp", _UNCONNECTED, port)


def _sockets(transport: str, state: bytes, port: int) -> frozenset[int]:
    found = set()
    for table in (f"/proc/self/net/{transport}", f"/proc/self/net/{transport}6"):
        for line in (_content(table) or b"").splitlines()[1:]:
            columns = line.split()
            if columns[3] == state and int(columns[1].rpartition(b":")[2], 16) == port:
                found.add(int(columns[9]))
    return frozenset(found)


def holder_of(sockets: frozenset[int]) -> int | None:
    """A process, among those that we may look into, that has one of these sockets open."""
    names = {f"socket:[{inode}]" for inode in sockets}
    return next((pid for pid in pids() if names & _open_files(pid)), None)


def _open_files(pid: int) -> set[str]:
    try:
        return {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()


def _stat(pid: int) -> list[bytes] | None:
    content = _content(f"/proc/{pid}/stat")
    # the command name, in parentheses, may itself hold spaces and parentheses
    return content.rpartition(_FIELDS_BEFORE_STATE)[2].split() if content else None


def _content(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None
