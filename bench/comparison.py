"""Two pairs of sidecars in one mesh, which differ in one thing, under the same load in turn.

Rounds are short and alternate, so that what else the machine does hits both: read the ratios.
"""

import json
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from rich.table import Table

from bench import meshes
from bench.dataplane import FIGURES, SERVER_PORT, Demand, Pair, Round, envoy_command
from bench.minimal import server

_DEMANDS: Final = (Demand(32, None, rounds=24, seconds=1), Demand(50, 1000, rounds=10, seconds=3))

Json = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """What is compared: the mesh's name, the sides with the one that costs first, and how tables speak of them.

    Each side has a client, and a server with a Service; their labels are `app`, such as `server-SIDE`, `side` and
    `version`. `differing` are the objects that make the difference.
    """

    mesh: str
    sides: tuple[str, str]
    title: str
    columns: tuple[str, str]
    differing: Callable[[], Iterable[Json]]

    def measure(self, quick: bool = False) -> "list[Cost]":
        """Load both pairs in turn, at full speed and at a fixed rate."""
        demands = [Demand(each.connections, each.per_second, 2, 1) for each in _DEMANDS] if quick else _DEMANDS
        with tempfile.TemporaryDirectory(prefix="lateen-bench-") as name:
            folder = Path(name)
            with meshes.running(self.mesh, _manifest(self, folder)) as mesh:
                rows = mesh.workloads(2 * len(self.sides))
                pairs = {side: _pair(rows, side) for side in self.sides}
                for pair in pairs.values():
                    pair.run(folder, demands[0])
                return [_in_turn(self, folder, pairs, demand) for demand in demands]

    def tables(self, costs: "Sequence[Cost]") -> Iterator[Table]:
        """Lay the medians of both sides beside each other, and the quartiles of the rounds' ratios."""
        for cost in costs:
            table = Table(title=f"{self.title}: {cost.demand}; {cost.demand.rounds} rounds")
            for column in ("median of", *self.columns, "ratio", "half of the rounds"):
                table.add_column(column, justify="left" if column == "median of" else "right")
            for figure in FIGURES:
                medians = (f"{cost.median(side, figure.value):.4g}" for side in self.sides)
                low, middle, high = cost.ratios(figure.value)
                table.add_row(figure.name, *medians, f"{middle:.3f}", f"{low:.2f} … {high:.2f}")
            yield table

    def record(self, costs: "Sequence[Cost]") -> list[Json]:
        """Return the results as JSON: quartiles of the ratios, and every round."""
        return [
            {
                "load": str(cost.demand),
                "ratios": {figure.name: cost.ratios(figure.value) for figure in FIGURES},
                "rounds": {side: [asdict(each) for each in rounds] for side, rounds in cost.rounds.items()},
            }
            for cost in costs
        ]


@dataclass
class Cost:
    """The rounds of both sides under one kind of load, in the order in which they were run."""

    of: Comparison
    demand: Demand
    rounds: dict[str, list[Round]] = field(default_factory=dict)

    def median(self, side: str, value: Callable[[Round], float]) -> float:
        """Return a side's median."""
        return statistics.median(map(value, self.rounds[side]))

    def ratios(self, value: Callable[[Round], float]) -> tuple[float, float, float]:
        """Return the quartiles of the ratios of the rounds, the side that costs to the other; the median is second."""
        pairs = zip(*(map(value, self.rounds[side]) for side in self.of.sides), strict=True)
        found = (with_it / without for with_it, without in pairs)
        low, middle, high = statistics.quantiles(found, n=4, method="inclusive")
        return low, middle, high


def _in_turn(compared: Comparison, folder: Path, pairs: Mapping[str, Pair], demand: Demand) -> Cost:
    cost = Cost(compared, demand, {side: [] for side in compared.sides})
    for number in range(demand.rounds):
        # The other one begins every second time: whoever is first may find the machine in another state.
        for side in compared.sides if number % 2 == 0 else reversed(compared.sides):
            cost.rounds[side].append(pairs[side].run(folder, demand))
    return cost


def _pair(rows: Mapping[str, meshes.Row], side: str) -> Pair:
    client, called = rows[f"client-{side}"], rows[f"server-{side}"]
    url = f"http://server-{side}:{SERVER_PORT}/"
    return Pair(client["holder_pid"], url, meshes.proxy_pid(client), meshes.proxy_pid(called))


def _manifest(compared: Comparison, folder: Path) -> Path:
    config = folder / "server.json"
    config.write_text(json.dumps(server(SERVER_PORT)))
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump_all([*_workloads(compared, config), *compared.differing()]))
    return file


def _workloads(compared: Comparison, config: Path) -> Iterator[Json]:
    for side in compared.sides:
        for role in ("client", "server"):
            yield _deployment(f"{role}-{side}", side, config if role == "server" else None)
        ports = [{"name": "http", "port": SERVER_PORT}]
        yield written("v1", "Service", f"server-{side}", {"selector": {"app": f"server-{side}"}, "ports": ports})


def _deployment(name: str, side: str, config: Path | None) -> Json:
    container: Json = {"name": "app", "command": ["sleep", "infinity"]}
    if config is not None:
        ready = {"tcpSocket": {"port": SERVER_PORT}, "periodSeconds": 1}
        container = {"name": "app", "command": list(envoy_command(config)), "readinessProbe": ready}
    labels = {"app": name, "side": side, "version": "v1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return written("apps/v1", "Deployment", name, {"selector": {"matchLabels": {"app": name}}, "template": template})


def written(version: str, kind: str, name: str, spec: Json) -> Json:
    """Say an object as users write it."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
