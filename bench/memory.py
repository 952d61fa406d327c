"""Measures the memory of a mesh that runs Bookinfo, after it has answered some requests.

The binary of Envoy is in memory once, however many of them run: what one more costs is its private memory.
"""

import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.table import Table

from bench import meshes, processes, startup

_PAGES: Final = 100
_REST_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Memory:
    """Of one process, in MiB."""

    rss: float
    private: float


def measure(quick: bool = False) -> dict[str, Memory]:
    """Run Bookinfo, ask for some pages, and look; sidecars are the median of six."""
    with meshes.running("bench-mem", startup.BOOKINFO, host_address=startup.own_address()) as run:
        url = run.until(lambda: startup.published(run), "published gateway")
        rows = run.workloads(startup.WORKLOADS)
        for _ in range(5 if quick else _PAGES):
            startup.status(url)
        time.sleep(0 if quick else _REST_SECONDS)
        sidecars = [_of(meshes.proxy_pid(row)) for row in rows.values() if row["role"] == "sidecar"]
        return {
            "supervisor": _of(run.process.pid),
            "control plane": _of(run.control_plane_pid()),
            "a sidecar": Memory(
                statistics.median(each.rss for each in sidecars), statistics.median(each.private for each in sidecars)
            ),
            "the ingress gateway": _of(meshes.proxy_pid(rows[startup.GATEWAY])),
        }


def tables(results: Mapping[str, Memory]) -> Iterator[Table]:
    """Show a process a row."""
    table = Table(title="Memory with Bookinfo (MiB)")
    for name in ("process", "resident", "private"):
        table.add_column(name, justify="left" if name == "process" else "right")
    for name, memory in results.items():
        table.add_row(name, f"{memory.rss:.0f}", f"{memory.private:.0f}")
    yield table


def record(results: Mapping[str, Memory]) -> dict[str, Any]:
    """Return the results as JSON."""
    return {name: asdict(memory) for name, memory in results.items()}


def _of(pid: int) -> Memory:
    return Memory(processes.rss_mib(pid), processes.private_mib(pid))
