"""`python -m bench`: measures what Lateen costs, and shows it in tables.

    python -m bench [push] [dataplane] [startup] [memory] [security] [changes] [rate-limits]
                    [mixer-checks] [telemetry] [explain] [mixer] [soak] [-o json] [--quick]

Without names, all parts run, one after the other. `--quick` shows in seconds that everything can be measured; its
figures mean little. Everything that is started is gone at the end, also on Ctrl-C.
"""

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from typing import Any, Final

import click
from rich.console import Console

from bench import (
    changes,
    dataplane,
    explain,
    machine,
    memory,
    mixer,
    mixer_checks,
    rate_limits,
    security,
    soak,
    startup,
    telemetry,
)

PUSH: Final = "push"
ON_A_MESH: Final[dict[str, Any]] = {
    "dataplane": dataplane,
    "startup": startup,
    "memory": memory,
    "security": security,
    "changes": changes,
    "rate-limits": rate_limits,
    "mixer-checks": mixer_checks,
    "telemetry": telemetry.COMPARED,
    "explain": explain,
    "mixer": mixer.COMPARED,
    "soak": soak,
}
_QUICK_PUSH: Final = ("--clients", "20", "--services", "50", "--events", "5")
_WIDTH: Final = 140


@click.command()
@click.argument(
    "parts",
    nargs=-1,
    type=click.Choice([PUSH, *ON_A_MESH]),
    metavar="[PART]…",
)
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--quick", is_flag=True, help="A few rounds, in seconds: whether it works, not how fast it is.")
def main(*, parts: tuple[str, ...], output: str, quick: bool) -> None:
    """Measure what Lateen costs."""
    # As Ctrl-C does, a SIGTERM unwinds us, which ends what we have started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    chosen = parts or (PUSH, *ON_A_MESH)
    if output == "json":
        print(json.dumps({"machine": asdict(machine.describe())} | {name: _record(name, quick) for name in chosen}))
        return
    console = Console(width=_WIDTH)
    console.print(str(machine.describe()), highlight=False, soft_wrap=True)
    for name in chosen:
        _show(name, quick, console)


def _record(name: str, quick: bool) -> Any:
    """Measure one part; return what is to be kept of it."""
    if name == PUSH:
        return json.loads(_push(quick, "-o", "json", stdout=subprocess.PIPE))
    return ON_A_MESH[name].record(ON_A_MESH[name].measure(quick))


def _show(name: str, quick: bool, console: Console) -> None:
    """Measure one part, and print its tables."""
    if name == PUSH:
        _push(quick)
        return
    for table in ON_A_MESH[name].tables(ON_A_MESH[name].measure(quick)):
        console.print(table)


def _push(quick: bool, *options: str, stdout: int | None = None) -> str:
    """Measure pushing, in a process of its own; return what it printed to a pipe."""
    command = [sys.executable, "-m", "bench.push", *options, *(_QUICK_PUSH if quick else ())]
    run = subprocess.run(command, stdout=stdout, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"the measurement of pushing ended with {run.returncode}")
    return run.stdout or ""


if __name__ == "__main__":
    main()
