"""Nothing grows for ever: a million requests while workloads come and go, with the memory of all that carries them.

The mesh is that of `bench.changes`. While wrk asks as fast as it is answered, a version is scaled up and down; memory
is read when everything is warm, and then after every part of the requests.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.table import Table

from bench import changes, processes
from bench.changes import URL, Stage
from bench.meshes import Row, proxy_pid

_PARTS: Final = 6
_SECONDS_A_PART: Final = 45
_WHOLE: Final = 200_000
_QUICK_SECONDS: Final = 3


@dataclass(frozen=True)
class Sample:
    """Private memory in MiB after so many requests, by whose it is."""

    requests: int
    scalings: int
    failed: str
    private_mib: Mapping[str, float]


def measure(quick: bool = False) -> list[Sample]:
    """Ask, scale and look, part by part; the first part only warms up."""
    seconds = _QUICK_SECONDS if quick else _SECONDS_A_PART
    samples: list[Sample] = []
    with changes.running_stage() as stage:
        while len(samples) < (2 if quick else _PARTS) or (not quick and samples[-1].requests < 5 * _WHOLE):
            samples.append(_part(stage, seconds, samples[-1] if samples else None))
    return samples


def tables(results: Sequence[Sample]) -> Iterator[Table]:
    """Show what each part of the mesh holds after each part of the load."""
    table = Table(title="Private memory while workloads come and go (MiB)")
    for name in ("requests", "scalings", "failed", *results[0].private_mib):
        table.add_column(name, justify="right")
    for one in results:
        figures = (f"{value:.1f}" for value in one.private_mib.values())
        table.add_row(f"{one.requests:,}", str(one.scalings), one.failed, *figures)
    yield table


def record(results: Sequence[Sample]) -> list[dict[str, Any]]:
    """Return the results as JSON."""
    return [asdict(one) for one in results]


def _part(stage: Stage, seconds: int, before: Sample | None) -> Sample:
    replicas = iter(range(1_000_000))

    def scale() -> int:
        stage.scale("server-v1", 3 - next(replicas) % 2)
        time.sleep(4)
        return 1

    requests, failed, scalings = stage.loaded(URL, None, seconds, scale)
    sofar = before.requests if before else 0
    return Sample(sofar + requests, scalings + (before.scalings if before else 0), failed, _memory(stage))


def _memory(stage: Stage) -> dict[str, float]:
    rows: dict[str, Row] = {row["owner"].partition("/")[2]: row for row in stage.run.rows()}
    return {
        "control plane": processes.private_mib(stage.run.control_plane_pid()),
        "supervisor": processes.private_mib(stage.run.process.pid),
        "the client's sidecar": processes.private_mib(proxy_pid(rows["client"])),
        "a server's sidecar": processes.private_mib(proxy_pid(rows["server-v2"])),
    }
