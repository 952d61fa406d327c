"""Changes under load: no request fails while rules, endpoints and workloads come and go, and changes are live soon.

One mesh: a client with wrk, and a service in two versions of two replicas, each an Envoy that answers itself.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import yaml
from rich.table import Table

from bench import load, meshes, minimal
from bench.dataplane import envoy_command
from lateen.cli.client import ApiClient
from lateen.platforms.local import namespaces

PORT: Final = 8080
URL: Final = f"http://server:{PORT}/"
FLAPPING: Final = "flapping.example"
_REPLICAS: Final = 2
_WORKLOADS: Final = 1 + 2 * _REPLICAS
_ISTIO: Final = "networking.istio.io/v1"

Json = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    rule_changes: int
    rolling_requests: int
    flapping_seconds: int
    virtual_services: int


WHOLE: Final = Size(rule_changes=200, rolling_requests=50_000, flapping_seconds=60, virtual_services=500)
QUICK: Final = Size(rule_changes=5, rolling_requests=1_000, flapping_seconds=2, virtual_services=20)


@dataclass(frozen=True)
class Outcome:
    """What one experiment saw: `changes` were made under `requests`, of which `failed` did not get a 2xx."""

    name: str
    requests: int
    failed: str
    changes: int
    live_ms: list[float] = field(default_factory=list)


class Stage:
    """The running mesh, and what is done to it."""

    def __init__(self, run: meshes.Running, folder: Path, holder_pid: int, server: Sequence[str]) -> None:
        self.server = server
        self._api = ApiClient(run.mesh)
        self._folder = folder
        self._holder_pid = holder_pid
        self.run = run

    def apply(self, *objects: Json) -> None:
        """Write objects into the running mesh."""
        documents = [{"file": "bench.yaml", "text": yaml.safe_dump_all(objects)}]
        answer = self._api.post("v1", "apply", body={"documents": documents, "namespace": "default"})
        assert all(each["action"] != "refused" for each in answer["outcomes"]), answer

    def wait(self, reference: str) -> None:
        """Return when every proxy has acknowledged an object."""
        kind, _, name = reference.partition("/")
        answer = self._api.get("v1", "wait", kind=kind, name=name, namespace="default", timeout=30)
        assert answer["is_live"], answer

    def scale(self, deployment: str, replicas: int) -> None:
        """Have so many instances of a Deployment."""
        self._api.post("v1", "scale", body={"name": deployment, "namespace": "default", "replicas": replicas})

    def loaded(self, url: str, per_second: int | None, seconds: int, change: Callable[[], int]) -> tuple[int, str, int]:
        """Make changes under load: requests that were sent, what failed of them, and how many changes there were."""
        with ThreadPoolExecutor(1) as pool:
            sending: Future[load.Load] = pool.submit(
                load.apply, self._enter, self._folder, url, seconds=seconds, connections=50, per_second=per_second
            )
            changes = 0
            while not sending.done():
                changes += change()
            try:
                return sending.result().requests, "none", changes
            except load.Failed as failed:
                return 0, str(failed), changes

    def _enter(self, command: Sequence[str]) -> Sequence[str]:
        return namespaces.enter_argv(self._holder_pid, command, rootless=os.geteuid() != 0)


def measure(quick: bool = False) -> list[Outcome]:
    """Run all experiments, one after the other, on one mesh."""
    size = QUICK if quick else WHOLE
    with running_stage() as stage:
        experiments = (_rules, _rolling, _flapping, _many_routes)
        return [experiment(stage, size) for experiment in experiments]


def tables(results: Sequence[Outcome]) -> Iterator[Table]:
    """Show what failed, and how soon changes were live."""
    table = Table(title="Changes under load")
    for name in ("experiment", "changes", "requests", "failed", "live after, median", "longest"):
        table.add_column(name, justify="left" if name in ("experiment", "failed") else "right")
    for one in results:
        live = (f"{median(one.live_ms):.0f} ms", f"{max(one.live_ms):.0f} ms") if one.live_ms else ("", "")
        table.add_row(one.name, str(one.changes), str(one.requests), one.failed, *live)
    yield table


def record(results: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return the results as JSON."""
    return [asdict(one) for one in results]


def _rules(stage: Stage, size: Size) -> Outcome:
    """Change the weights of a split again and again."""
    seconds = max(size.rule_changes // 5, 2)
    live: list[float] = []

    def change() -> int:
        began = time.monotonic()
        stage.apply(_split(50 + len(live) % 40))
        stage.wait("virtualservice/server")
        live.append(1000 * (time.monotonic() - began))
        time.sleep(max(0.0, 0.2 - (time.monotonic() - began)))
        return 1

    requests, failed, changes = stage.loaded(URL, 2000, seconds, change)
    return Outcome("weights of a split, about 2000 requests/s", requests, failed, changes, live)


def _rolling(stage: Stage, size: Size) -> Outcome:
    """Replace all instances of a version, over and over."""
    rounds = iter(range(1_000_000))

    def change() -> int:
        before = {row["name"] for row in _instances(stage.run)}
        stage.apply(_deployment("v1", stage.server, str(next(rounds))))
        stage.run.until(lambda: _are_replaced(before, _instances(stage.run)), "instances of the new revision")
        return 1

    requests, failed, changes = stage.loaded(URL, 1000, max(size.rolling_requests // 1000, 2), change)
    return Outcome("rolling updates, about 1000 requests/s", requests, failed, changes)


def _flapping(stage: Stage, size: Size) -> Outcome:
    """Take an endpoint away and back, twenty times a second; the others stay."""
    addresses = [str(row["address"]) for row in stage.run.rows() if row["owner"].startswith("Deployment/server")]
    stage.apply(_entry(addresses))
    stage.wait("serviceentry/flapping")
    states = iter(range(1_000_000))

    def change() -> int:
        began = time.monotonic()
        stage.apply(_entry(addresses[next(states) % 2 :]))
        time.sleep(max(0.0, 0.05 - (time.monotonic() - began)))
        return 1

    requests, failed, changes = stage.loaded(f"http://{FLAPPING}:{PORT}/", 1000, size.flapping_seconds, change)
    return Outcome("an endpoint flaps, about 1000 requests/s", requests, failed, changes)


def _many_routes(stage: Stage, size: Size) -> Outcome:
    """Change one of very many VirtualServices with ten routes each."""
    stage.apply(*(_routes(number) for number in range(size.virtual_services)))
    stage.wait("virtualservice/many-0")
    live = []
    for number in range(10):
        began = time.monotonic()
        stage.apply(_routes(number, status=200 + number))
        stage.wait(f"virtualservice/many-{number}")
        live.append(1000 * (time.monotonic() - began))
    name = f"one of {10 * size.virtual_services} routes in {size.virtual_services} VirtualServices"
    return Outcome(name, 0, "", len(live), live)


@contextmanager
def running_stage() -> Iterator[Stage]:
    """Bring up the mesh of the experiments."""
    with tempfile.TemporaryDirectory(prefix="lateen-bench-") as place:
        folder = Path(place)
        server = folder / "server.json"
        server.write_text(json.dumps(minimal.server(PORT)))
        command = list(envoy_command(server))
        manifest = folder / "mesh.yaml"
        versions = [_deployment(version, command) for version in ("v1", "v2")]
        manifest.write_text(yaml.safe_dump_all([_service(), _client(), *versions, _subsets(), _split(50)]))
        with meshes.running("bench-changes", manifest) as run:
            rows = run.workloads(_WORKLOADS)
            yield Stage(run, folder, rows["client"]["holder_pid"], command)


def _instances(run: meshes.Running) -> list[meshes.Row]:
    return [row for row in run.rows() if row["owner"] == "Deployment/server-v1"]


def _are_replaced(before: set[str], rows: Sequence[meshes.Row]) -> bool:
    return len(rows) == _REPLICAS and all(row["is_ready"] and row["name"] not in before for row in rows)


def _service() -> Json:
    spec = {"selector": {"app": "server"}, "ports": [{"name": "http", "port": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server"}, "spec": spec}


def _client() -> Json:
    return _of_deployment("client", {"app": "client"}, {"name": "app", "command": ["sleep", "infinity"]}, 1)


def _deployment(version: str, command: Sequence[str], revision: str = "") -> Json:
    probe = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    container = {"name": "app", "command": list(command), "readinessProbe": probe}
    labels = {"app": "server", "version": version}
    return _of_deployment(f"server-{version}", labels, container, _REPLICAS, {"bench/revision": revision})


def _of_deployment(
    name: str, labels: Mapping[str, str], container: Json, replicas: int, annotations: Mapping[str, str] | None = None
) -> Json:
    template = {
        "metadata": {"labels": dict(labels), "annotations": dict(annotations or {})},
        "spec": {"containers": [container]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": dict(labels)}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def _subsets() -> Json:
    subsets = [{"name": version, "labels": {"version": version}} for version in ("v1", "v2")]
    return _rule("DestinationRule", "server", {"host": "server", "subsets": subsets})


def _split(first: int) -> Json:
    weights = {"v1": first, "v2": 100 - first}
    route = [{"destination": {"host": "server", "subset": name}, "weight": weight} for name, weight in weights.items()]
    return _rule("VirtualService", "server", {"hosts": ["server"], "http": [{"route": route}]})


def _entry(addresses: Sequence[str]) -> Json:
    spec = {
        "hosts": [FLAPPING],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "ports": [{"number": PORT, "name": "http", "protocol": "HTTP"}],
        "endpoints": [{"address": address} for address in addresses],
    }
    return _rule("ServiceEntry", "flapping", spec)


def _routes(number: int, status: int = 200) -> Json:
    http = [
        {"match": [{"uri": {"exact": f"/{number}/{route}"}}], "directResponse": {"status": status}}
        for route in range(10)
    ]
    return _rule("VirtualService", f"many-{number}", {"hosts": [f"many-{number}.example"], "http": http})


def _rule(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": _ISTIO, "kind": kind, "metadata": {"name": name}, "spec": spec}
