"""What compiled rules cost: two pairs of sidecars in one mesh, of which one server has fifty rules of Mixer to hold to.

All fifty concern every request, and refuse none: by headers, paths, callers, addresses and lists. Both pairs have
mutual TLS. Rounds are short and alternate: read the ratios.
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

SIDES: Final = ("ruled", "free")
"""With fifty rules, and with none."""
RULES: Final = 50
_DEMANDS: Final = (Demand(32, None, rounds=24, seconds=1), Demand(50, 1000, rounds=10, seconds=3))
_CALLEE: Final = 'destination.labels["app"] == "server-ruled"'
_MATCHES: Final = (
    'source.labels["app"] == "nobody-{n}" && request.method != "GET"',
    'request.headers["x-user"] == "nobody-{n}"',
    '(request.headers["x-tier"] | "none") == "{n}" || source.namespace == "elsewhere-{n}"',
    'request.path.startsWith("/private/{n}/") && source.labels["version"] == "v{n}"',
    'source.ip == ip("10.9.0.{n}")',
)
"""What rules ask for, in turn; `{n}` is the number of the rule."""

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
        """Return the quartiles of the ratios of the rounds, with rules to without; the median is second."""
        pairs = zip(*(map(value, self.rounds[side]) for side in SIDES), strict=True)
        low, middle, high = statistics.quantiles((ruled / free for ruled, free in pairs), n=4, method="inclusive")
        return low, middle, high


def measure(quick: bool = False) -> list[Cost]:
    """Load both pairs in turn, at full speed and at a fixed rate."""
    demands = [Demand(each.connections, each.per_second, 2, 1) for each in _DEMANDS] if quick else _DEMANDS
    with tempfile.TemporaryDirectory(prefix="lateen-bench-") as name:
        folder = Path(name)
        with meshes.running("bench-rules", _manifest(folder)) as mesh:
            rows = mesh.workloads(2 * len(SIDES))
            pairs = {side: _pair(rows, side) for side in SIDES}
            for pair in pairs.values():
                pair.run(folder, demands[0])
            return [_in_turn(folder, pairs, demand) for demand in demands]


def tables(costs: Sequence[Cost]) -> Iterator[Table]:
    """Lay the medians of both sides beside each other, and the quartiles of the rounds' ratios."""
    for cost in costs:
        table = Table(title=f"{RULES} compiled rules: {cost.demand}; {cost.demand.rounds} rounds")
        for column in ("median of", "with rules", "without", "ratio", "half of the rounds"):
            table.add_column(column, justify="left" if column == "median of" else "right")
        for figure in FIGURES:
            ruled, free = (f"{cost.median(side, figure.value):.4g}" for side in SIDES)
            low, middle, high = cost.ratios(figure.value)
            table.add_row(figure.name, ruled, free, f"{middle:.3f}", f"{low:.2f} … {high:.2f}")
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
    file.write_text(yaml.safe_dump_all([*_objects(config), *_rules()]))
    return file


def _rules() -> Iterator[Json]:
    status = {"code": 7, "message": "not allowed"}
    yield _mixer("handler", "deny", {"compiledAdapter": "denier", "params": {"status": status}})
    yield _mixer("instance", "nothing", {"compiledTemplate": "checknothing"})
    banned = {"overrides": [f"banned-{number}" for number in range(20)], "blacklist": True}
    yield _mixer("handler", "banned", {"compiledAdapter": "listchecker", "params": banned})
    user = {"value": 'request.headers["x-user"] | "none"'}
    yield _mixer("instance", "user", {"compiledTemplate": "listentry", "params": user})
    for number in range(RULES):
        is_list = number % 10 == 0
        action = (
            {"handler": "banned", "instances": ["user"]} if is_list else {"handler": "deny", "instances": ["nothing"]}
        )
        asked = _MATCHES[number % len(_MATCHES)].format(n=number)
        match = _CALLEE if is_list else f"{_CALLEE} && ({asked})"
        yield _mixer("rule", f"rule-{number:02}", {"match": match, "actions": [action]})


def _objects(config: Path) -> Iterator[Json]:
    for side in SIDES:
        for role in ("client", "server"):
            yield _deployment(f"{role}-{side}", config if role == "server" else None)
        ports = [{"name": "http", "port": SERVER_PORT}]
        yield _object("v1", "Service", f"server-{side}", {"selector": {"app": f"server-{side}"}, "ports": ports})


def _deployment(name: str, config: Path | None) -> Json:
    container: Json = {"name": "app", "command": ["sleep", "infinity"]}
    if config is not None:
        ready = {"tcpSocket": {"port": SERVER_PORT}, "periodSeconds": 1}
        container = {"name": "app", "command": list(envoy_command(config)), "readinessProbe": ready}
    template = {"metadata": {"labels": {"app": name, "version": "v1"}}, "spec": {"containers": [container]}}
    return _object("apps/v1", "Deployment", name, {"selector": {"matchLabels": {"app": name}}, "template": template})


def _mixer(kind: str, name: str, spec: Json) -> Json:
    return _object("config.istio.io/v1alpha2", kind, name, spec)


def _object(version: str, kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
