"""Makes sure that nothing of a mesh is left, also after its supervisor was killed and could not tidy up.

While it lives, a supervisor writes down what it starts (`Ledger`). Its children die with it, and namespaces, links and
rules go with their last process; what remains are processes that workloads started themselves, and files. They are
found by three signs: recorded pid and start time of this boot; the markers in their environment; a recorded network
namespace that still carries our table of rules.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lateen.platforms.local import lock, namespaces, procfs, tools

LEDGER = "ledger"
_TIMEOUT_SECONDS = 5.0


def markers(mesh: str, directory: Path) -> dict[str, str]:
    """The environment by which every process of this mesh is known."""
    return {"LATEEN_MESH": mesh, "LATEEN_DIRECTORY": str(directory)}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a ledger says: pairs of pid and start time, and network namespaces."""

    processes: frozenset[tuple[int, int]] = frozenset()
    networks: frozenset[int] = frozenset()


class Ledger:
    """The running record of one supervisor: a line is on file before the next step is taken."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LEDGER
        self._write({"boot": procfs.boot()})

    def add_process(self, pid: int, start_time: int) -> None:
        """Records a process that we started."""
        self._write({"pid": pid, "start_time": start_time})

    def add_network(self, inode: int) -> None:
        """Records a network namespace that we made."""
        self._write({"network": inode})

    def _write(self, entry: dict[str, object]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def read_ledger(directory: Path) -> Recorded:
    """What the last supervisor recorded; nothing if that was before the machine's last start."""
    try:
        lines = (directory / LEDGER).read_text().splitlines()
    except OSError:
        return Recorded()
    entries = list(_entries(lines))
    if not entries or entries[0].get("boot") != procfs.boot():
        return Recorded()
    return Recorded(
        processes=frozenset((int(each["pid"]), int(each["start_time"])) for each in entries if "pid" in each),
        networks=frozenset(int(each["network"]) for each in entries if "network" in each),
    )


def is_left_behind(directory: Path) -> bool:
    """Whether a supervisor began here and did not tidy up; true also while one lives."""
    return (directory / LEDGER).exists()


def clean(mesh: str, directory: Path) -> tuple[str, ...]:
    """Kills and removes what a dead supervisor left; one line for what resisted. Call it only while none lives.

    Takes at most five seconds. The lock file stays: its holder removes it.
    """
    recorded = read_ledger(directory)
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while found := survivors(mesh, directory, recorded):
        if time.monotonic() > deadline:
            return tuple(f"process {pid} of mesh {mesh} cannot be killed; end it by hand" for pid in sorted(found))
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    remove_files(directory)
    return ()


def survivors(mesh: str, directory: Path, recorded: Recorded) -> set[int]:
    """The living processes of a mesh, ourselves and those above us excepted."""
    ours = set(procfs.ancestors(os.getpid()))
    marked = [f"{name}={value}" for name, value in markers(mesh, directory).items()]
    known = {pid for pid, start_time in recorded.processes if procfs.start_time(pid) == start_time}
    others = set(procfs.pids()) - known
    found = known | {pid for pid in others if procfs.has_environment(pid, *marked)}
    return (found | _inside(recorded.networks, others - found, str(directory))) - ours


def remove_files(directory: Path) -> None:
    """Empties the run directory, except for the lock."""
    if not directory.is_dir():
        return
    for entry in directory.iterdir():
        if entry.name == lock.FILE:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def remove_directory(directory: Path) -> None:
    """Removes the run directory with its lock, and the one above it if it was the last."""
    remove_files(directory)
    (directory / lock.FILE).unlink(missing_ok=True)
    for each in (directory, directory.parent):
        with contextlib.suppress(OSError):
            each.rmdir()


def _inside(networks: frozenset[int], pids: Iterable[int], directory: str) -> set[int]:
    """Find processes in recorded network namespaces that still are ours.

    The kernel gives the inode numbers of dead namespaces to new ones: one that another mesh has now is known by the
    marker of the process that holds it, one of somebody else by the lack of our rules.
    """
    by_network: dict[int, set[int]] = {}
    own = procfs.network_namespace(os.getpid())
    for pid in pids:
        inode = procfs.network_namespace(pid)
        if inode in networks and inode is not None and inode != own:
            by_network.setdefault(inode, set()).add(pid)
    return {
        pid
        for members in by_network.values()
        if not _is_of_another_mesh(members, directory) and _has_our_rules(min(members))
        for pid in members
    }


def _is_of_another_mesh(pids: Iterable[int], directory: str) -> bool:
    return any(procfs.environment_value(pid, "LATEEN_DIRECTORY") not in (None, directory) for pid in pids)


def _has_our_rules(pid: int) -> bool:
    look = (tools.tool("nft"), "list", "tables")
    argv = namespaces.enter_argv(pid, look, rootless=os.geteuid() != 0)
    try:
        listed = subprocess.run(argv, capture_output=True, text=True, timeout=2, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "table ip lateen" in listed.stdout.splitlines()


def _entries(lines: Iterable[str]) -> Iterable[dict[str, str]]:
    for line in lines:
        # the last line may be torn
        with contextlib.suppress(json.JSONDecodeError):
            yield json.loads(line)
