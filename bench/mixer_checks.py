"""What a remote check costs: the Mixer process by itself, and between two sidecars at 1000 requests/s.

By itself: how many checks one processor answers with 20 rules, from the cache and past it, beside an OPA server that is
asked the same over its REST API, if the program `opa` is there. Between two sidecars: the latency that a check adds, in
rounds that alternate between a path without rules and paths with them. `python -m bench mixer-checks`.
"""

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from envoy.service.auth.v3 import external_auth_pb2
from rich.table import Table

from bench import dataplane, grpc_load, load, meshes, minimal, processes
from bench.load import Load
from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.api.mesh.settings import mesh_config
from lateen.model.snapshot import Inputs, first_snapshot
from lateen.model.workload import Workload, WorkloadKey
from lateen.model.workloads import Workloads
from lateen.platforms.local import mixer_files, namespaces

RULES: Final = 20
PER_SECOND: Final = 1000
PATHS: Final = {
    "no rule": "/free",
    "from the cache": "/cached",
    "Rego each time": "/rego",
    "OPA server each time": "/opa",
}
_OPA: Final = "OPA server each time"
_CHECK: Final = "/envoy.service.auth.v3.Authorization/Check"
_ROOT: Final = "istio-system"
_PORT: Final = 8080
_OPA_PORT: Final = 8181
_AT_ONCE: Final = 50
_ROUNDS: Final = 8
_SECONDS: Final = 5
_OPA_QUESTION: Final = {"input": {"subject": {"user": "a"}, "action": {"path": "/cached"}}}
_REGO: Final = 'package mixerauthz\ndefault allow := false\nallow if input.action.path != "/refused"\n'

Json = dict[str, Any]


@dataclass(frozen=True)
class Capacity:
    """Checks a second, and how many of them a whole processor would answer."""

    server: str
    per_second: float
    per_core: float


@dataclass
class Measured:
    """What servers answer by themselves; the rounds between sidecars by path, and the CPU of the Mixer process."""

    capacities: list[Capacity] = field(default_factory=list)
    rounds: dict[str, list[Load]] = field(default_factory=dict)
    mixer_cpu: dict[str, float] = field(default_factory=dict)


def measure(quick: bool = False) -> Measured:
    """Measure both."""
    found = Measured()
    with tempfile.TemporaryDirectory(prefix="lt-bench") as name, _opa(Path(name)) as has_opa:
        folder = Path(name)
        seconds = 1 if quick else _SECONDS
        found.capacities += _capacities(folder, seconds)
        if has_opa:
            found.capacities.append(_opa_capacity(folder, seconds))
        _between_sidecars(folder, found, has_opa, rounds=1 if quick else _ROUNDS, seconds=1 if quick else _SECONDS)
    return found


def tables(measured: Measured) -> Iterator[Table]:
    """Show what one processor answers, and what a check adds."""
    table = Table(title=f"Checks by themselves: {RULES} rules, {_AT_ONCE} at once")
    for column in ("answered by", "checks/s", "checks/s of one core"):
        table.add_column(column, justify="left" if column == "answered by" else "right")
    for one in measured.capacities:
        table.add_row(one.server, f"{one.per_second:,.0f}", f"{one.per_core:,.0f}")
    yield table
    table = Table(title=f"Between two sidecars at {PER_SECOND} requests/s; medians of the rounds")
    for column in ("asked", "p50 ms", "p99 ms", "added to p50", "added to p99", "Mixer's CPU"):
        table.add_column(column, justify="left" if column == "asked" else "right")
    plain = next(iter(measured.rounds))
    for name in measured.rounds:
        p50, p99 = _median(measured, name)
        base50, base99 = _median(measured, plain)
        added = ("", "") if name == plain else (f"{p50 - base50:+.2f}", f"{p99 - base99:+.2f}")
        table.add_row(name, f"{p50:.2f}", f"{p99:.2f}", *added, f"{measured.mixer_cpu[name]:.3f}")
    yield table


def record(measured: Measured) -> Any:
    """Return what is to be kept."""
    return asdict(measured)


def _median(measured: Measured, name: str) -> tuple[float, float]:
    rounds = measured.rounds[name]
    return statistics.median(each.p50_ms for each in rounds), statistics.median(each.p99_ms for each in rounds)


def _capacities(folder: Path, seconds: int) -> list[Capacity]:
    """Run the Mixer process alone, and load its socket."""
    place = folder / "mixer"
    place.mkdir()
    mixer_files.write(place, mixer_files.hand_over(_small_mesh()))
    command = [sys.executable, "-m", "lateen.mixer_app", "--directory", str(place)]
    with subprocess.Popen(command, cwd=meshes.ROOT) as process:
        try:
            while not (place / mixer_files.MIXER_SOCKET).exists():
                if process.poll() is not None:
                    raise SystemExit("the Mixer process does not start")
            names = ("from the cache", "Rego each time")
            return [_capacity(f"Mixer, {name}", process.pid, place, PATHS[name], seconds) for name in names]
        finally:
            process.terminate()


def _capacity(name: str, pid: int, place: Path, path: str, seconds: int) -> Capacity:
    async def run() -> float:
        socket = place / mixer_files.MIXER_SOCKET
        return await grpc_load.calls_per_second(socket, _CHECK, _question(path), seconds=seconds, at_once=_AT_ONCE)

    before = processes.cpu_seconds(pid)
    rate = asyncio.run(run())
    return Capacity(name, rate, rate * seconds / (processes.cpu_seconds(pid) - before))


def _question(path: str) -> bytes:
    """Ask about a request as a sidecar does."""
    number = grpc_load.NUMBER.decode() if path == PATHS["Rego each time"] else "1"
    asked = external_auth_pb2.CheckRequest().attributes
    asked.destination.address.socket_address.address = "10.244.1.3"
    asked.destination.address.socket_address.port_value = _PORT
    http = asked.request.http
    http.method, http.path, http.host = "GET", path, "server:8080"
    for header, value in {":method": "GET", "user-agent": "wrk", "x-request-id": number, "accept": "*/*"}.items():
        http.headers[header] = value
    return bytes(external_auth_pb2.CheckRequest(attributes=asked).SerializeToString())


def _small_mesh() -> Any:
    server = Workload(WorkloadKey("default", "server-1"), "10.244.1.3", {"app": "server"})
    config = ConfigSet(decode_yaml(yaml.safe_dump_all(_rules(has_opa=False))).objects)
    return first_snapshot(Inputs(config, Workloads().apply([server]), mesh=mesh_config(config)))


def _opa_capacity(folder: Path, seconds: int) -> Capacity:
    """Ask the OPA server the same over its REST API."""
    question = folder / "question.lua"
    body = json.dumps(_OPA_QUESTION)
    question.write_text(f"wrk.method = 'POST'\nwrk.body = '{body}'\nwrk.headers['content-type'] = 'application/json'\n")
    pid = _opa_pid()
    before = processes.cpu_seconds(pid)
    url = f"http://127.0.0.1:{_OPA_PORT}/v1/data/mixerauthz/allow"
    command = ["wrk", "-t1", f"-c{_AT_ONCE}", f"-d{seconds}s", "-s", str(question), url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = float(next(line.split()[1] for line in said.splitlines() if line.startswith("Requests/sec")))
    return Capacity("OPA server, REST", rate, rate * seconds / (processes.cpu_seconds(pid) - before))


def _opa_pid() -> int:
    return int(subprocess.run(["pgrep", "-n", "-x", "opa"], capture_output=True, text=True, check=True).stdout)


def _between_sidecars(folder: Path, found: Measured, has_opa: bool, *, rounds: int, seconds: int) -> None:
    """Load the paths in turn: what else the machine does hits all of them."""
    file = folder / "mesh.yaml"
    file.write_text(yaml.safe_dump_all([*_objects(folder), *_rules(has_opa)]))
    paths = {name: path for name, path in PATHS.items() if has_opa or name != _OPA}
    with meshes.running("bench-checks", file) as mesh:
        client = mesh.workloads(2)["client"]
        mesh.until((mesh.mesh.directory / mixer_files.MIXER_SOCKET).exists, "Mixer process")
        pid = _mixer_pid(mesh)
        used = dict.fromkeys(paths, 0.0)
        for name, path in paths.items():
            _load(folder, client, path, 1)
            found.rounds[name] = []
        for number in range(rounds):
            for name in list(paths) if number % 2 == 0 else reversed(paths):
                before = processes.cpu_seconds(pid)
                found.rounds[name].append(_load(folder, client, paths[name], seconds))
                used[name] += processes.cpu_seconds(pid) - before
        found.mixer_cpu = {name: spent / (rounds * seconds) for name, spent in used.items()}


def _load(folder: Path, client: meshes.Row, path: str, seconds: int) -> Load:
    def enter(command: Sequence[str]) -> Sequence[str]:
        return namespaces.enter_argv(client["holder_pid"], command, rootless=os.geteuid() != 0)

    url = f"http://server:{_PORT}{path}"
    return load.apply(enter, folder, url, seconds=seconds, connections=20, per_second=PER_SECOND)


def _mixer_pid(mesh: meshes.Running) -> int:
    wanted = f"lateen.mixer_app\0--directory\0{mesh.mesh.directory}"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "cmdline").read_text(errors="replace"):
                return int(process.name)
        except OSError:
            continue
    return 0


@contextmanager
def _opa(folder: Path) -> Iterator[bool]:
    """Run an OPA server where the program is installed."""
    program = shutil.which("opa")
    if program is None:
        yield False
        return
    policy = folder / "policy.rego"
    policy.write_text(_REGO)
    command = [program, "run", "--server", "--addr", f"127.0.0.1:{_OPA_PORT}", str(policy)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield True
        finally:
            process.terminate()


def _mixer(kind: str, name: str, spec: Mapping[str, Any]) -> Json:
    metadata = {"name": name, "namespace": _ROOT}
    return {"apiVersion": "config.istio.io/v1alpha2", "kind": kind, "metadata": metadata, "spec": dict(spec)}


def _rules(has_opa: bool) -> Iterator[Json]:
    """Twenty rules that have to be asked of Mixer, and for each way of asking a path that they are about."""
    here = 'destination.labels["app"] == "server"'
    allowing = {"policy": ["package a\ndefault allow = true"], "checkMethod": "data.a.allow"}
    yield _mixer("denier", "refuse", {})
    yield _mixer("checknothing", "nothing", {})
    for number in range(RULES - 2):
        match = f'{here} && request.headers["x-number"] == "{number}"'
        yield _rule(f"rule-{number}", match, "refuse.denier", "nothing.checknothing")
    for name, user in (("cached", '"somebody"'), ("rego", "request.id")):
        yield _mixer("opa", name, allowing)
        yield _mixer("authorization", name, {"subject": {"user": user}, "action": {"path": "request.path"}})
        yield _rule(name, f'{here} && request.path == "/{name}"', f"{name}.opa", f"{name}.authorization")
    if has_opa:
        server = {"serverUrl": f"http://localhost:{_OPA_PORT}", "checkMethod": "data.mixerauthz.allow"}
        yield _mixer("opa", "server", server)
        yield _mixer("authorization", "each", {"subject": {"user": "request.id"}, "action": {"path": "request.path"}})
        yield _rule("server", f'{here} && request.path == "/opa"', "server.opa", "each.authorization")


def _objects(folder: Path) -> Iterator[Json]:
    """A server that answers everything, and a client, each with a sidecar."""
    config = folder / "server.json"
    config.write_text(json.dumps(minimal.server(_PORT)))
    serving = {"command": list(dataplane.envoy_command(config)), "ports": [{"containerPort": _PORT}]}
    probe = {"tcpSocket": {"port": _PORT}, "periodSeconds": 1}
    port = {"name": "http", "port": _PORT}
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server"},
        "spec": {"selector": {"app": "server"}, "ports": [port]},
    }
    yield _deployment("server", {**serving, "readinessProbe": probe})
    yield _deployment("client", {"command": ["sleep", "infinity"]})


def _deployment(name: str, container: Json) -> Json:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": name, **container}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def _rule(name: str, match: str, handler: str, instance: str) -> Json:
    return _mixer("rule", name, {"match": match, "actions": [{"handler": handler, "instances": [instance]}]})
