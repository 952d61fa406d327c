"""What security costs, and whether it is felt: mutual TLS and authorization, and certificates exchanged under load.

One mesh has three pairs of sidecars with the same client and server: without security, with mutual TLS and one policy,
and with mutual TLS and a hundred policies. Their rounds are short and alternate: read the ratios. Another mesh has
certificates of 60 s, and its root is rotated to the end while requests go through its gateway and between its sidecars,
which make a new connection every twenty requests. `python -m bench.security [cost|rotation]` runs one of the two.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console
from rich.table import Table

from bench import dataplane, meshes, minimal
from bench.dataplane import FIGURES, Demand, Pair, Round
from lateen.platforms.local import namespaces

SERVER_PORT: Final = 8080
SIDES: Final = ("open", "one", "hundred")
"""No security; mutual TLS and one policy; mutual TLS and a hundred."""
COMPARED: Final = {"mTLS + authorization / neither": ("one", "open"), "100 policies / 1 policy": ("hundred", "one")}
REQUESTS: Final = 100_000
LIFETIME_SECONDS: Final = 60
_POLICIES: Final = 100
_DEMAND: Final = Demand(32, None, rounds=18, seconds=1)
_PACED: Final = Demand(32, 1000, rounds=6, seconds=2)
_PER_SECOND: Final = 900
_HEY_CONNECTIONS: Final = 10
_REQUESTS_A_CONNECTION: Final = 20
_ROTATION_SECONDS: Final = 240
_ROOT_NAMESPACE: Final = "istio-system"

Json = dict[str, Any]


@dataclass
class Cost:
    """The rounds of all sides under one kind of load, in the order in which they were run."""

    demand: Demand
    rounds: dict[str, list[Round]] = field(default_factory=lambda: {side: [] for side in SIDES})

    def ratios(self, sides: tuple[str, str], value: Callable[[Round], float]) -> tuple[float, float, float]:
        """Return the quartiles of the ratios of the rounds of two sides; the median is second."""
        pairs = zip(*(map(value, self.rounds[side]) for side in sides), strict=True)
        low, middle, high = statistics.quantiles((first / second for first, second in pairs), n=4, method="inclusive")
        return low, middle, high


@dataclass(frozen=True)
class Rotated:
    """What came of the requests during a rotation, and of the rotation."""

    requests: int
    failures: int
    seconds: float
    rotation_seconds: float
    root_before: str
    root_after: str
    renewed: int


@dataclass(frozen=True)
class Measured:
    """Both parts; a part that was not run is empty."""

    costs: Sequence[Cost] = ()
    rotated: Rotated | None = None


def measure(quick: bool = False) -> Measured:
    """Measure both."""
    return Measured(cost(quick), rotation(REQUESTS // 50 if quick else REQUESTS))


def cost(quick: bool = False) -> list[Cost]:
    """Load the three pairs in turn, at full speed and at a fixed rate."""
    demands = [Demand(each.connections, each.per_second, 2, 1) if quick else each for each in (_DEMAND, _PACED)]
    with tempfile.TemporaryDirectory(prefix="lateen-bench-") as name:
        folder = Path(name)
        with meshes.running("bench-cost", _written(folder, _cost_objects(folder))) as mesh:
            rows = mesh.workloads(2 * len(SIDES))
            pairs = {side: _pair(rows, side) for side in SIDES}
            for pair in pairs.values():
                pair.run(folder, demands[0])
            return [_in_turn(folder, pairs, demand) for demand in demands]


def rotation(requests: int = REQUESTS) -> Rotated:
    """Make so many requests, half of them through the gateway, while the root is rotated."""
    with tempfile.TemporaryDirectory(prefix="lateen-bench-") as name:
        folder = Path(name)
        objects = _rotation_objects(folder)
        gateway = meshes.ROOT / "examples" / "bookinfo" / "ingressgateway.yaml"
        with meshes.running("bench-ca", _written(folder, objects), gateway) as mesh:
            rows = mesh.workloads(3)
            url = mesh.until(
                lambda: next((port["url"] for port in mesh.ports() if port["url"]), ""), "published gateway"
            )
            enter = _entering(rows["client"])
            return _rotated(mesh, requests, url, enter)


def _rotated(mesh: meshes.Running, requests: int, url: str, enter: Callable[[Sequence[str]], Sequence[str]]) -> Rotated:
    before = _authority(mesh)["signer"]["fingerprint"]
    serials = _serials(mesh)
    began = time.monotonic()
    loads = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for command in (_hey(requests // 2, url), enter(_hey(requests // 2, f"http://server:{SERVER_PORT}/")))
    ]
    try:
        time.sleep(1.0)
        rotation_began = time.monotonic()
        subprocess.run(
            [*meshes.LATEEN, "ca", "rotate", "--name", mesh.mesh.name], check=True, stdout=subprocess.DEVNULL,
            timeout=_ROTATION_SECONDS,
        )  # fmt: skip
        rotation_seconds = time.monotonic() - rotation_began
        if any(load.poll() is not None for load in loads):
            print("the load ended before the rotation did", file=sys.stderr)
        outcomes = [load.communicate(timeout=_ROTATION_SECONDS)[0] for load in loads]
    finally:
        for load in loads:
            load.kill()
            load.wait()
    good = sum(map(_good, outcomes))
    after = _authority(mesh)
    assert len(after["roots"]) == 1
    assert not after["lacks"]
    return Rotated(
        requests=requests // 2 * 2,
        failures=requests // 2 * 2 - good,
        seconds=time.monotonic() - began,
        rotation_seconds=rotation_seconds,
        root_before=before,
        root_after=after["signer"]["fingerprint"],
        renewed=len(_serials(mesh) - serials),
    )


def tables(measured: Measured) -> Iterator[Table]:
    """Show medians and ratios, and what the rotation did to requests."""
    for each in measured.costs:
        yield _cost_table(each)
    if (rotated := measured.rotated) is not None:
        table = Table(title=f"Root rotated under load, certificates of {LIFETIME_SECONDS} s")
        for column in ("requests", "failures", "seconds", "rotation took, s", "new certificates", "root"):
            table.add_column(column, justify="left" if column == "root" else "right")
        table.add_row(
            str(rotated.requests),
            str(rotated.failures),
            f"{rotated.seconds:.0f}",
            f"{rotated.rotation_seconds:.0f}",
            str(rotated.renewed),
            f"{rotated.root_before[:8]} → {rotated.root_after[:8]}",
        )
        yield table


def record(measured: Measured) -> Json:
    """Return what is to be kept."""
    return {
        "cost": [
            {
                "load": str(each.demand),
                "ratios": {
                    name: {figure.name: each.ratios(sides, figure.value) for figure in FIGURES}
                    for name, sides in COMPARED.items()
                },
                "rounds": {side: [asdict(one) for one in rounds] for side, rounds in each.rounds.items()},
            }
            for each in measured.costs
        ],
        "rotation": asdict(measured.rotated) if measured.rotated else None,
    }


def _cost_table(result: Cost) -> Table:
    table = Table(title=f"Security through two sidecars: {result.demand}; {result.demand.rounds} rounds")
    for column in ("median of", "neither", "mTLS, 1 policy", "mTLS, 100 policies", *COMPARED):
        table.add_column(column, justify="left" if column == "median of" else "right")
    for figure in FIGURES:
        medians = (f"{statistics.median(map(figure.value, result.rounds[side])):.4g}" for side in SIDES)
        ratios = (result.ratios(sides, figure.value) for sides in COMPARED.values())
        table.add_row(
            figure.name, *medians, *(f"{middle:.3f} ({low:.2f} … {high:.2f})" for low, middle, high in ratios)
        )
    return table


def _in_turn(folder: Path, pairs: Mapping[str, Pair], demand: Demand) -> Cost:
    result = Cost(demand)
    for number in range(demand.rounds):
        # Each begins as often: whoever is first may find the machine in another state.
        first = number % len(SIDES)
        for side in (*SIDES[first:], *SIDES[:first]):
            result.rounds[side].append(pairs[side].run(folder, demand))
    return result


def _pair(rows: Mapping[str, meshes.Row], side: str) -> Pair:
    client, server = rows[f"client-{side}"], rows[f"server-{side}"]
    url = f"http://server-{side}:{SERVER_PORT}/"
    return Pair(client["holder_pid"], url, meshes.proxy_pid(client), meshes.proxy_pid(server))


def _hey(requests: int, url: str) -> Sequence[str]:
    """A load at a fixed rate, so that it lasts for longer than certificates do."""
    per_worker = _PER_SECOND // 2 // _HEY_CONNECTIONS
    return ("hey", "-n", str(requests), "-c", str(_HEY_CONNECTIONS), "-q", str(per_worker), url)


def _good(said: str) -> int:
    """Read from hey's report how many requests were answered with 200."""
    lines = [line.split() for line in said.splitlines() if line.strip().startswith("[200]")]
    return int(lines[0][1]) if lines else 0


def _authority(mesh: meshes.Running) -> Any:
    return json.loads(_told(mesh, "show"))


def _serials(mesh: meshes.Running) -> set[str]:
    return {each["serial"] for each in json.loads(_told(mesh, "issued"))}


def _told(mesh: meshes.Running, what: str) -> str:
    command = [*meshes.LATEEN, "ca", what, "-o", "json", "--name", mesh.mesh.name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _entering(row: meshes.Row) -> Callable[[Sequence[str]], Sequence[str]]:
    return lambda command: namespaces.enter_argv(row["holder_pid"], command, rootless=os.geteuid() != 0)


def _cost_objects(folder: Path) -> Iterator[Json]:
    for side in SIDES:
        yield from _workload(folder, f"client-{side}")
        yield from _workload(folder, f"server-{side}")
        mode = "DISABLE" if side == "open" else "STRICT"
        selector = {"matchLabels": {"app": f"server-{side}"}}
        yield _object("PeerAuthentication", f"server-{side}", {"selector": selector, "mtls": {"mode": mode}})
    yield _policy("one", 0, "client-one")
    for number in range(_POLICIES):
        yield _policy("hundred", number, "client-hundred" if number == _POLICIES - 1 else f"nobody-{number}")


def _policy(side: str, number: int, account: str) -> Json:
    source = {"principals": [f"cluster.local/ns/default/sa/{account}"]}
    rule = {"from": [{"source": source}], "to": [{"operation": {"methods": ["GET"], "paths": ["/*"]}}]}
    spec = {"selector": {"matchLabels": {"app": f"server-{side}"}}, "action": "ALLOW", "rules": [rule]}
    return _object("AuthorizationPolicy", f"{side}-{number:03}", spec)


def _rotation_objects(folder: Path) -> Iterator[Json]:
    yield from _workload(folder, "client")
    yield from _workload(folder, "server")
    yield {
        "apiVersion": "mesh.istio.io/v1alpha1",
        "kind": "MeshConfig",
        "metadata": {"name": "mesh", "namespace": _ROOT_NAMESPACE},
        "spec": {"defaultConfig": {"proxyMetadata": {"SECRET_TTL": f"{LIFETIME_SECONDS}s"}}},
    }
    yield _object("PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}, namespace=_ROOT_NAMESPACE)
    # So that there are handshakes all the time.
    bound = {"connectionPool": {"http": {"maxRequestsPerConnection": _REQUESTS_A_CONNECTION}}}
    yield _object("DestinationRule", "server", {"host": "server", "trafficPolicy": bound}, group="networking")
    servers = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]
    yield _object(
        "Gateway", "gateway", {"selector": {"istio": "ingressgateway"}, "servers": servers}, group="networking"
    )
    route = {"route": [{"destination": {"host": "server", "port": {"number": SERVER_PORT}}}]}
    yield _object(
        "VirtualService", "gateway", {"hosts": ["*"], "gateways": ["gateway"], "http": [route]}, group="networking"
    )


def _workload(folder: Path, name: str) -> Iterator[Json]:
    """A workload with an account of its own; one whose name begins with `server` serves."""
    serves = name.startswith("server")
    config = folder / "server.json"
    config.write_text(json.dumps(minimal.server(SERVER_PORT)))
    container: Json = {"name": "app", "command": ["sleep", "infinity"]}
    if serves:
        container = {
            "name": "app",
            "command": list(dataplane.envoy_command(config)),
            "readinessProbe": {"tcpSocket": {"port": SERVER_PORT}, "periodSeconds": 1},
        }
        spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": SERVER_PORT}]}
        yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    pod = {"serviceAccountName": name, "containers": [container]}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


def _object(kind: str, name: str, spec: Json, *, group: str = "security", namespace: str = "default") -> Json:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": f"{group}.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _written(folder: Path, objects: Iterator[Json]) -> Path:
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    return file


def main() -> None:
    """Measure what is named, and print the tables."""
    parts = sys.argv[1:] or ["cost", "rotation"]
    costs = cost() if "cost" in parts else []
    for table in tables(Measured(costs, rotation() if "rotation" in parts else None)):
        Console(width=160).print(table)


if __name__ == "__main__":
    main()
