"""Measures explaining and analyzing: 5000 routes in 500 VirtualServices, 2000 objects, and the start of the command.

No mesh runs. `explain` is asked as a control plane does it, whose proxies have their plans, and as it is done on files,
where what the request needs of the plan has to be made first. The files themselves are read once before that: all of
them, since any object may decide.
"""

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.table import Table

from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.model.snapshot import Snapshot
from lateen.plan.analysis import analyze
from lateen.plan.explain import explanation
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.questions import Question
from lateen.platforms.local import described

ROUTES: Final = 10
LIMITS: Final[Mapping[str, float]] = {
    "explain, plans made": 0.3,
    "explain, on files": 0.3,
    "reading the files": 1.0,
    "analyze": 2.0,
    "lateen --help": 0.25,
}


@dataclass(frozen=True)
class Measured:
    """What was measured, how large the configuration was, and the seconds of each round."""

    what: str
    objects: int
    seconds: tuple[float, ...]


def measure(quick: bool = False) -> list[Measured]:
    """Measure everything several times."""
    services, rounds = (20, 2) if quick else (500, 5)
    snapshot = mesh(services)
    plans, size = Plans(snapshot), len(snapshot.config)
    question = Question("s0", f"http://s{services - 1}.n{(services - 1) % 10}:80/p8/x", "n0")
    plans.plan(next(one for one in snapshot.workloads if one.key.name == "s0"))
    return [
        Measured("explain, plans made", size, timed(rounds, lambda: explanation.explain(plans, question))),
        Measured("explain, on files", size, timed(rounds, lambda: explanation.explain(Plans(snapshot), question))),
        Measured("reading the files", size, timed(rounds, lambda: read(services))),
        Measured("analyze", size, timed(rounds, lambda: analyze.analyze(snapshot))),
        Measured("lateen --help", 0, timed(rounds, started, time.perf_counter)),
    ]


def timed(rounds: int, run: Callable[[], object], clock: Callable[[], float] = time.process_time) -> tuple[float, ...]:
    """Run something several times; return the seconds of each, of our own CPU time unless another clock is given."""
    found = []
    for _ in range(rounds):
        began = clock()
        run()
        found.append(clock() - began)
    return tuple(found)


def read(services: int) -> None:
    """Read the objects as the command does, which does not collect what it needs until its end."""
    gc.disable()
    try:
        decode_yaml(text_of(services), "bench.yaml")
    finally:
        gc.enable()


def started() -> None:
    """Start the command for its help."""
    subprocess.run([sys.executable, "-m", "lateen", "--help"], check=True, stdout=subprocess.DEVNULL)


def mesh(services: int) -> Snapshot:
    """Return a mesh of services in ten namespaces, each with a VirtualService, a DestinationRule and a Deployment."""
    decoded = decode_yaml(text_of(services), "bench.yaml")
    if decoded.violations:
        raise ValueError(str(decoded.violations[0]))
    return described.snapshot(ConfigSet(decoded.objects))


def text_of(services: int) -> str:
    """Write all objects."""
    return "\n---\n".join(objects(number) for number in range(services))


def objects(number: int) -> str:
    """Write the four objects of one service."""
    name, at = f"s{number}", f"metadata: {{name: s{number}, namespace: n{number % 10}}}"
    pod = f"metadata: {{labels: {{app: {name}, version: v1}}}}, spec: {{containers: [{{name: a, command: [a]}}]}}"
    rules = "".join(
        f"  - {{match: [{{uri: {{prefix: /p{rule}}}}}], route: [{{destination: {{host: {name}, subset: v1}}}}]}}\n"
        for rule in range(ROUTES - 1)
    )
    return f"""
apiVersion: v1
kind: Service
{at}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
{at}
spec: {{host: {name}, subsets: [{{name: v1, labels: {{version: v1}}}}]}}
---
apiVersion: apps/v1
kind: Deployment
{at}
spec: {{selector: {{matchLabels: {{app: {name}}}}}, template: {{{pod}}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
{at}
spec:
  hosts: [{name}]
  http:
{rules}  - {{route: [{{destination: {{host: {name}}}}}]}}
"""


def tables(results: Sequence[Measured]) -> Iterator[Table]:
    """Show what took how long."""
    table = Table(title="Explaining and analyzing (CPU milliseconds; wall time of --help)")
    for name in ("what", "objects", "median", "most", "target"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for one in results:
        times = [f"{1000 * value:.1f}" for value in (statistics.median(one.seconds), max(one.seconds))]
        table.add_row(one.what, str(one.objects or ""), *times, f"{1000 * LIMITS[one.what]:.0f}")
    yield table


def record(results: Sequence[Measured]) -> list[dict[str, Any]]:
    """Return the results as JSON."""
    return [asdict(one) for one in results]
