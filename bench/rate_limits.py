"""How exactly a limit of the mesh is kept, and what it costs: four proxies at 1000 requests/s, in memory and in Redis.

A limit lets a quarter of the load through in a minute. The load begins as a minute begins and ends in it. The same load
without a limit, before each, says what the questions to the Mixer process cost. It runs for some minutes:
`python -m bench rate-limits`.
"""

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from rich.table import Table

from bench import dataplane, meshes, minimal, processes
from lateen.platforms.local import namespaces

PROXIES: Final = 4
PER_SECOND: Final = 1000
LIMITED: Final = {"memory": "/memory", "redis": "/redis"}
_PORT: Final = 8080
_CONNECTIONS: Final = 10
_MINUTE: Final = 60
_SECONDS: Final = 56
_QUICK_SECONDS: Final = 3
_STATUSES: Final = re.compile(r"\[(\d+)\]\s+(\d+) responses")
_LATENCIES: Final = re.compile(r"(50|99)%+ in ([0-9.]+) secs")

Json = dict[str, Any]


@dataclass(frozen=True)
class Loaded:
    """What came of a load: answers by status, latencies in milliseconds."""

    statuses: dict[int, int]
    p50_ms: float
    p99_ms: float

    @property
    def requests(self) -> int:
        """All requests that were answered."""
        return sum(self.statuses.values())


@dataclass(frozen=True)
class Kept:
    """A limit, what passed of how many requests, and what that cost beside the same load without a limit."""

    store: str
    limit: int
    limited: Loaded
    free: Loaded
    mixer_cpu: float

    @property
    def passed(self) -> int:
        """How many requests passed."""
        return self.limited.statuses.get(200, 0)

    @property
    def error_percent(self) -> float:
        """By how much that differs from what the limit lets through of so many requests."""
        due = min(self.limit, self.limited.requests)
        return abs(self.passed - due) / due * 100


def measure(quick: bool = False) -> list[Kept]:
    """Load the four proxies under a limit in memory, and under one in Redis."""
    seconds = _QUICK_SECONDS if quick else _SECONDS
    with tempfile.TemporaryDirectory(prefix="lt-bench") as name, _redis(Path(name)) as url:
        folder = Path(name)
        limit = seconds * PER_SECOND // 4
        file = folder / "mesh.yaml"
        file.write_text(yaml.safe_dump_all(_objects(folder, url, limit)))
        with meshes.running("bench-limits", file) as mesh:
            client = mesh.workloads(PROXIES + 1)["client"]
            for store in LIMITED:
                _wait_for(mesh, store)
            return [_kept(mesh, client, store, limit, seconds) for store in LIMITED]


def tables(measured: Sequence[Kept]) -> Iterator[Table]:
    """Show how far off the limits were, and their price."""
    title = f"Limits of the mesh: {PROXIES} proxies, {PER_SECOND} requests/s"
    table = Table(title=title)
    columns = ("counted in", "requests", "limit", "passed", "error", "p50 ms, without", "p99 ms, without", "Mixer CPU")
    for column in columns:
        table.add_column(column, justify="left" if column == "counted in" else "right")
    for one in measured:
        table.add_row(
            one.store, str(one.limited.requests), str(one.limit), str(one.passed), f"{one.error_percent:.2f} %",
            f"{one.limited.p50_ms:.1f}, {one.free.p50_ms:.1f}", f"{one.limited.p99_ms:.1f}, {one.free.p99_ms:.1f}",
            f"{one.mixer_cpu:.2f}",
        )  # fmt: skip
    yield table


def record(measured: Sequence[Kept]) -> Any:
    """Return what is to be kept."""
    return [{**asdict(one), "passed": one.passed, "error_percent": one.error_percent} for one in measured]


def _kept(mesh: meshes.Running, client: meshes.Row, store: str, limit: int, seconds: int) -> Kept:
    free = _load(client, "/free", min(seconds, 10))
    mixer = _mixer_pid(mesh)
    if seconds + 2 > _MINUTE - time.time() % _MINUTE:
        time.sleep(_MINUTE - time.time() % _MINUTE)
    before = processes.cpu_seconds(mixer)
    limited = _load(client, LIMITED[store], seconds)
    used = processes.cpu_seconds(mixer) - before
    return Kept(store, limit, limited, free, used / seconds)


def _load(client: meshes.Row, path: str, seconds: int) -> Loaded:
    rate = str(PER_SECOND // _CONNECTIONS)
    command = ("hey", "-z", f"{seconds}s", "-c", str(_CONNECTIONS), "-q", rate, f"http://server:{_PORT}{path}")
    entering = namespaces.enter_argv(client["holder_pid"], command, rootless=os.geteuid() != 0)
    run = subprocess.run(entering, capture_output=True, text=True, check=True, timeout=seconds + 30)
    latencies = {percent: float(found) * 1000 for percent, found in _LATENCIES.findall(run.stdout)}
    statuses = {int(status): int(count) for status, count in _STATUSES.findall(run.stdout)}
    return Loaded(statuses, latencies.get("50", 0.0), latencies.get("99", 0.0))


def _wait_for(mesh: meshes.Running, limit: str) -> None:
    """Wait until the Mixer process, which takes longer to start than a proxy, counts by a limit."""
    command = [*meshes.LATEEN, "wait", "--name", mesh.mesh.name, f"ratelimit/{limit}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _mixer_pid(mesh: meshes.Running) -> int:
    wanted = f"lateen.mixer_app\0--directory\0{mesh.mesh.directory}"
    for process in Path("/proc").glob("[0-9]*"):
        if wanted in (process / "cmdline").read_text(errors="replace"):
            return int(process.name)
    raise SystemExit("the Mixer process does not run")


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    """Run a Redis on a unix socket, which keeps nothing on disk."""
    socket = folder / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "777", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
    try:
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait()


def _objects(folder: Path, redis: str, limit: int) -> Iterator[Json]:
    config = folder / "server.json"
    config.write_text(json.dumps(minimal.server(_PORT)))
    probe = {"tcpSocket": {"port": _PORT}, "periodSeconds": 1}
    served = {"name": "app", "command": list(dataplane.envoy_command(config)), "readinessProbe": probe}
    yield _deployment("server", served, PROXIES)
    yield _deployment("client", {"name": "app", "command": ["sleep", "infinity"]}, 1)
    spec = {"selector": {"app": "server"}, "ports": [{"name": "http", "port": _PORT}]}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server"}, "spec": spec}
    providers = [{"name": "counts", "redis": {"url": redis}}]
    metadata = {"name": "mesh", "namespace": "istio-system"}
    settings = {"extensionProviders": providers}
    yield {"apiVersion": "mesh.istio.io/v1alpha1", "kind": "MeshConfig", "metadata": metadata, "spec": settings}
    yield _limit("memory", limit)
    yield _limit("redis", limit, store={"name": "counts"})


def _limit(counted_in: str, limit: int, **more: Json) -> Json:
    limits = [{"rate": f"{limit}/minute", "match": {"paths": [LIMITED[counted_in]]}}]
    # A question that is answered too late would let a request pass uncounted: here it is told apart as a 503.
    spec = {"scope": "GLOBAL", "onFailure": "DENY", "selector": {"matchLabels": {"app": "server"}}, "limits": limits}
    return {
        "apiVersion": "lateen.dev/v1",
        "kind": "RateLimit",
        "metadata": {"name": counted_in},
        "spec": {**spec, **more},
    }


def _deployment(name: str, container: Json, replicas: int) -> Json:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
