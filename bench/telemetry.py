"""What telemetry costs: two pairs of sidecars in one mesh, which differ in whether they make metrics.

Both have mutual TLS and trace as usual. Rounds are short and alternate: read the ratios.
"""

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from rich.table import Table

from bench import meshes
from bench.dataplane import FIGURES, SERVER_PORT, Demand, Pair, Round, envoy_command
from bench.minimal import server

SIDES: Final = ("metrics", "silent")
"""The standard metrics, as everybody has them; and none."""
_DEMANDS: Final = (Demand(32, None, rounds=24, seconds=1), Demand(50, 1000, rounds=10, seconds=3))

Json = dict[str, Any]


@dataclass
class Cost:
    """The rounds of both sides under one kind of load, in the order in which they were run."""

    demand: Demand
    rounds: dict[str, list[Round]] = field(default_factory=lambda: {side: [] for side in SIDES})

    def median(self, side: str, value: Callable[[Round], float]) -> float:
        """Return a side's median."""
        return statistics.median(map(value, self.rounds[side]))

    def ratios(self, value: Callable[[Round], float]) -> tuple[float, float, float]:
        """Return the quartiles of the ratios of the rounds, with metrics to without; the median is second."""
        pairs = zip(*(map(value, self.rounds[side]) for side in SIDES), strict=True)
        low, middle, high = statistics.quantiles((told / silent for told, silent in pairs), n=4, method="inclusive")
        return low, middle, high


def measure(quick: bool = False) -> list[Cost]:
    """Load both pairs in turn, at full speed and at a fixed rate."""
    demands = [Demand(each.connections, each.per_second, 2, 1) for each in _DEMANDS] if quick else _DEMANDS
    with tempfile.TemporaryDirectory(prefix="lateen-bench-") as name:
        folder = Path(name)
        with meshes.running("bench-told", _manifest(folder)) as mesh:
            rows = mesh.workloads(2 * len(SIDES))
            pairs = {side: _pair(rows, side) for side in SIDES}
            for pair in pairs.values():
                pair.run(folder, demands[0])
            return [_in_turn(folder, pairs, demand) for demand in demands]


def tables(costs: Sequence[Cost]) -> Iterator[Table]:
    """Lay the medians of both sides beside each other, and the quartiles of the rounds' ratios."""
    for cost in costs:
        table = Table(title=f"Standard metrics through two sidecars: {cost.demand}; {cost.demand.rounds} rounds")
        for column in ("median of", "with metrics", "without", "ratio", "half of the rounds"):
            table.add_column(column, justify="left" if column == "median of" else "right")
        for figure in FIGURES:
            told, silent = (f"{cost.median(side, figure.value):.4g}" for side in SIDES)
            low, middle, high = cost.ratios(figure.value)
            table.add_row(figure.name, told, silent, f"{middle:.3f}", f"{low:.2f} … {high:.2f}")
        yield table


def record(costs: Sequence[Cost]) -> list[Json]:
    """Return the results as JSON: quartiles of the ratios, and every round."""
    return [
        {
            "load": str(cost.demand),
            "ratios": {figure.name: cost.ratios(figure.value) for figure in FIGURES},
            "rounds": {side: [asdict(each) for each in rounds] for side, rounds in cost.rounds.items()},
        }
        for cost in costs
    ]


def _in_turn(folder: Path, pairs: Mapping[str, Pair], demand: Demand) -> Cost:
    cost = Cost(demand)
    for number in range(demand.rounds):
        # The other one begins every second time: whoever is first may find the machine in another state.
        for side in SIDES if number % 2 == 0 else reversed(SIDES):
            cost.rounds[side].append(pairs[side].run(folder, demand))
    return cost


def _pair(rows: Mapping[str, meshes.Row], side: str) -> Pair:
    client, called = rows[f"client-{side}"], rows[f"server-{side}"]
    url = f"http://server-{side}:{SERVER_PORT}/"
    return Pair(client["holder_pid"], url, meshes.proxy_pid(client), meshes.proxy_pid(called))


def _manifest(folder: Path) -> Path:
    config = folder / "server.json"
    config.write_text(json.dumps(server(SERVER_PORT)))
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump_all(_objects(config)))
    return file


def _objects(config: Path) -> Iterator[Json]:
    for side in SIDES:
        for role in ("client", "server"):
            yield _deployment(f"{role}-{side}", side, config if role == "server" else None)
        yield _object("v1", "Service", f"server-{side}", _service(f"server-{side}"))
    silent = {"selector": {"matchLabels": {"side": "silent"}}, "metrics": [{"overrides": [{"disabled": True}]}]}
    yield _object("telemetry.istio.io/v1", "Telemetry", "silent", silent)


def _service(name: str) -> Json:
    return {"selector": {"app": name}, "ports": [{"name": "http", "port": SERVER_PORT}]}


def _deployment(name: str, side: str, config: Path | None) -> Json:
    container: Json = {"name": "app", "command": ["sleep", "infinity"]}
    if config is not None:
        ready = {"tcpSocket": {"port": SERVER_PORT}, "periodSeconds": 1}
        container = {"name": "app", "command": list(envoy_command(config)), "readinessProbe": ready}
    labels = {"app": name, "side": side}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
    return _object("apps/v1", "Deployment", name, spec)


def _object(version: str, kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
