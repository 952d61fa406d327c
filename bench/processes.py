"""What the kernel says about a process's cost."""

from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used so far, its living threads included, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process, shared pages included."""
    return _rollup_kib(pid, "Rss:") / 1024


def private_mib(pid: int) -> float:
    """Return the memory that would be free without this process."""
    return (_rollup_kib(pid, "Private_Clean:") + _rollup_kib(pid, "Private_Dirty:")) / 1024


def _rollup_kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
