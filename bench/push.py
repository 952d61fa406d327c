"""Measures pushing: from a change to the last acknowledgement, with a thousand proxies and more.

    python -m bench.push [--clients 1000] [--classes 10] [--case W2 …] [-o json]

Server and clients are processes of their own on the same machine. Every case ends with a check that equal proxies
hold the same: a fast wrong answer fails.
"""

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
CASES = {
    "W1": "all connect at once",
    "W2": "one endpoint changes",
    "W4": "one route table of 400 kB changes for all",
    "W7": "all reconnect with what they hold",
}


@dataclass
class Result:
    """One case at one size; seconds per event, CPU-seconds of the server per event."""

    case: str
    clients: int
    classes: int
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    client_cpu: float = 0.0
    rss_mib: float = 0.0
    bytes: int = 0

    def row(self) -> list[str]:
        ordered = sorted(self.seconds)
        worst = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        events = len(ordered)
        times = [f"{1000 * value:.0f}" for value in (statistics.median(ordered), worst, ordered[-1])]
        cpu = [f"{1000 * statistics.mean(self.cpu):.0f}", f"{1000 * self.client_cpu / events:.0f}"]
        sizes = [f"{self.rss_mib:.0f}", f"{self.bytes / events / 1000:.0f}"]
        return [self.case, CASES[self.case], str(self.clients), str(self.classes), str(events), *times, *cpu, *sizes]


class Process:
    """A child that answers JSON lines."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._child = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, do: str, **arguments: Any) -> Any:
        """Give a command and wait for its answer."""
        self.tell(do, **arguments)
        return self.answer()

    def tell(self, do: str, **arguments: Any) -> None:
        assert self._child.stdin
        print(json.dumps({"do": do, **arguments}), file=self._child.stdin, flush=True)

    def answer(self) -> Any:
        assert self._child.stdout
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit(f"{self._module} ended early: see its trace above")
        return json.loads(line)

    def end(self) -> None:
        self._child.kill()
        self._child.wait()


@contextmanager
def processes() -> Iterator[tuple[Process, Process]]:
    server, fleet = Process("bench.server"), Process("bench.delta_client")
    try:
        yield server, fleet
    finally:
        server.end()
        fleet.end()


class Run:
    """One mesh with its clients, and the cases on it."""

    def __init__(self, server: Process, fleet: Process, mesh: Mapping[str, Any], clients: int, *, socket: str) -> None:
        self._server, self._fleet = server, fleet
        self._mesh, self._clients, self._socket = mesh, clients, socket
        self._step = 0
        self._fleet_cpu = 0.0
        server.ask("start", socket=socket, mesh=mesh)

    def connect(self) -> Result:
        nodes = self._server.ask("nodes", count=self._clients)
        return self._arrive("W1", "connect", socket=self._socket, nodes=nodes)

    def reconnect(self) -> Result:
        return self._arrive("W7", "disconnect")

    def change(self, case: str, kind: str, events: int) -> Result:
        result = self._result(case)
        for _ in range(events):
            self._step += 1
            measured = self._server.ask("change", change=kind, step=self._step)
            result.seconds.append(measured["seconds"])
            result.cpu.append(measured["cpu"])
            result.rss_mib = max(result.rss_mib, measured["rss"])
        return self._checked(result)

    def _arrive(self, case: str, do: str, **arguments: Any) -> Result:
        self._fleet.tell(do, **arguments)
        if do == "disconnect":
            self._fleet.answer()
            self._server.ask("gone")
            self._fleet.tell("connect_again")
        measured = self._server.ask("wait", count=self._clients)
        started = self._fleet.answer()
        result = self._result(case)
        result.seconds.append(measured["done"] - started["started"])
        result.cpu.append(measured["cpu"])
        result.rss_mib = measured["rss"]
        if set(measured["states"]) != {"SYNCED"}:
            raise SystemExit(f"{case}: proxies are {measured['states']}: expected all SYNCED")
        return self._checked(result)

    def _result(self, case: str) -> Result:
        return Result(case, self._clients, self._mesh["classes"])

    def _checked(self, result: Result) -> Result:
        report = self._fleet.ask("report")
        result.bytes = report["bytes"]
        result.client_cpu, self._fleet_cpu = report["cpu"] - self._fleet_cpu, report["cpu"]
        if report["lost"]:
            raise SystemExit(f"{result.case}: {report['lost']} streams were lost: expected none")
        for kind, digests in report["classes"].items():
            if len(digests) != 1:
                raise SystemExit(f"{result.case}: proxies of {kind} hold different things: {digests}")
        return result


def measure(cases: Collection[str], mesh: Mapping[str, Any], clients: int, events: int) -> Iterator[Result]:
    """Run the cases with so many clients, on fresh processes."""
    with tempfile.TemporaryDirectory() as folder, processes() as (server, fleet):
        run = Run(server, fleet, mesh, clients, socket=f"{folder}/xds.sock")
        first = run.connect()
        if "W1" in cases:
            yield first
        if "W2" in cases:
            yield run.change("W2", "endpoint", events)
        if "W4" in cases:
            yield run.change("W4", "route", max(5, events // 10))
        if "W7" in cases:
            yield run.reconnect()


@click.command()
@click.option("--clients", "counts", multiple=True, type=int, default=(100, 1000, 3000), show_default=True)
@click.option("--classes", "kinds", multiple=True, type=int, default=(10,), show_default=True)
@click.option("--services", type=int, default=1000, show_default=True)
@click.option("--addresses", type=int, default=10, show_default=True, help="Endpoints of a service.")
@click.option("--events", type=int, default=100, show_default=True, help="How often a change is made.")
@click.option("--case", "cases", multiple=True, type=click.Choice(sorted(CASES)), default=tuple(CASES))
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table")
def main(
    *,
    counts: tuple[int, ...],
    kinds: tuple[int, ...],
    services: int,
    addresses: int,
    events: int,
    cases: tuple[str, ...],
    output: str,
) -> None:
    """Measure pushing to simulated proxies."""
    results: list[Result] = []
    for classes, clients in itertools.product(kinds, counts):
        mesh = {"services": services, "addresses": addresses, "classes": min(classes, clients)}
        results += measure(cases, mesh, clients, events)
    if output == "json":
        print(json.dumps([asdict(result) for result in results], indent=1))
    else:
        show(results)


def show(results: list[Result]) -> None:
    """Print a table, one row a case and size."""
    table = Table(title="From a change to the last acknowledgement (per event; ms, kB)")
    for name in (
        "case",
        "what",
        "proxies",
        "classes",
        "events",
        "p50",
        "p99",
        "max",
        "server CPU",
        "clients CPU",
        "RSS MiB",
        "kB",
    ):
        table.add_column(name, justify="left" if name in ("case", "what") else "right")
    for result in results:
        table.add_row(*result.row())
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
