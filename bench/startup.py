"""Measures `lateen up examples/bookinfo`: from the command to the first page through the gateway, stage by stage.

Every run is a fresh mesh on an address of its own, so that no other mesh's ports are in the way.
"""

import http.client
import os
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from rich.table import Table

from bench import meshes, processes

BOOKINFO: Final = meshes.ROOT / "examples" / "bookinfo"
WORKLOADS: Final = 7
GATEWAY: Final = "istio-ingressgateway"
_ANSWER_SECONDS: Final = 5.0
_PAGE: Final = "/productpage"
STAGES: Final = (
    "the files are read, the supervisor answers",
    "the control plane starts workloads",
    "the gateway is ready",
    "productpage is ready",
    "first 200 through the gateway",
    "all workloads are ready",
)


@dataclass(frozen=True)
class Start:
    """One start: seconds from the command to each stage, and CPU-seconds until all was ready, by kind of process."""

    seconds: Mapping[str, float]
    cpu: Mapping[str, float]


def measure(quick: bool = False) -> list[Start]:
    """Start Bookinfo several times."""
    return [start_once() for _ in range(1 if quick else 7)]


def start_once() -> Start:
    """Start Bookinfo, and end it when all of it is ready."""
    with meshes.running("bench-up", BOOKINFO, host_address=own_address()) as run:
        run.until((run.mesh.directory / "supervisor.sock").exists, "supervisor")
        supervisor = time.monotonic() - run.began
        url = run.until(lambda: published(run), "published gateway")
        run.until(lambda: status(url) == http.HTTPStatus.OK, f"200 from {url}{_PAGE}")
        page = time.monotonic() - run.began
        rows = run.workloads(WORKLOADS)
        reached = (
            supervisor,
            _said(run, ": starting"),
            _said(run, f"{GATEWAY}: ready"),
            _said(run, "productpage-v1: ready"),
            page,
            max(_said(run, f"{name}: ready") for name in rows),
        )
        return Start(dict(zip(STAGES, reached, strict=True)), _cpu(run, rows.values()))


def own_address() -> str:
    """Return a loopback address that nobody else uses: it is made of our process id."""
    pid = os.getpid()
    return f"127.{64 + pid // 62500 % 64}.{pid // 250 % 250}.{1 + pid % 250}"


def published(run: meshes.Running) -> str | None:
    """Return where the ingress gateway is published; None before it is."""
    port = next((port for port in run.ports() if port["service"] == GATEWAY and port["port"] == 80), None)
    return f"http://{port['host_address']}:{port['host_port']}" if port and not port["error"] else None


def status(url: str) -> int | None:
    """Ask for the page once; None where nobody answers yet."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 80, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", _PAGE)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def tables(results: Sequence[Start]) -> Iterator[Table]:
    """Show the stages, and what they cost."""
    stages = Table(title=f"lateen up examples/bookinfo, {len(results)} starts (seconds from the command)")
    for name in ("until", "median", "least", "most"):
        stages.add_column(name, justify="left" if name == "until" else "right")
    for stage in STAGES:
        stages.add_row(stage, *_spread([start.seconds[stage] for start in results]))
    yield stages
    cpu = Table(title="CPU-seconds until all workloads are ready")
    for name in ("of", "median", "least", "most"):
        cpu.add_column(name, justify="left" if name == "of" else "right")
    for kind in results[0].cpu:
        cpu.add_row(kind, *_spread([start.cpu[kind] for start in results]))
    yield cpu


def record(results: Sequence[Start]) -> list[dict[str, Any]]:
    """Return the results as JSON."""
    return [asdict(start) for start in results]


def _spread(values: Sequence[float]) -> tuple[str, str, str]:
    return f"{statistics.median(values):.2f}", f"{min(values):.2f}", f"{max(values):.2f}"


def _said(run: meshes.Running, part: str) -> float:
    return float(run.until(lambda: run.when_said(part), f"line with {part!r}"))


def _cpu(run: meshes.Running, rows: Iterable[meshes.Row]) -> dict[str, float]:
    """Add up what the mesh's processes have used since they began."""
    containers = [container for row in rows for container in row["containers"]]

    def of(kind: str) -> float:
        return sum(processes.cpu_seconds(each["pid"]) for each in containers if each["kind"] == kind)

    return {
        "supervisor, with the reading of the files": processes.cpu_seconds(run.process.pid),
        "control plane": processes.cpu_seconds(run.control_plane_pid()),
        "sidecars and gateway": of("proxy"),
        "applications": of("app"),
    }
