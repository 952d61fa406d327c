"""Load by `wrk`, from inside a workload's network."""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LATE_SECONDS: Final = 20
_REPORT: Final = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests": %d, "microseconds": %d, "errors": %d, "p50": %d, "p99": %d}\\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""
# A pause of random length keeps the connections from asking all at once. It is not part of the latency.
_PACE: Final = """
function delay()
  return math.random(0, %d)
end
"""


@dataclass(frozen=True)
class Load:
    """What one run of load saw: latencies in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float
    requests: int


class Failed(Exception):
    """Requests failed; the message says how many."""


def apply(
    enter: Callable[[Sequence[str]], Sequence[str]],
    folder: Path,
    url: str,
    *,
    seconds: int,
    connections: int,
    per_second: int | None,
) -> Load:
    """Load `url` for some seconds: as fast as answers come, or at about `per_second`. Raises `Failed`.

    `enter` turns a command line into one that runs inside the client's network; `folder` is for the script.
    """
    script = folder / f"load-{per_second or 'full'}.lua"
    script.write_text(_REPORT + (_PACE % round(2000 * connections / per_second) if per_second else ""))
    command = ("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s", "-s", str(script), url)
    run = subprocess.run(enter(command), capture_output=True, text=True, timeout=seconds + _LATE_SECONDS, check=False)
    if run.returncode != 0:
        raise Failed(f"wrk ended with {run.returncode}: {run.stderr.strip() or run.stdout.strip()}")
    seen = json.loads(run.stdout.splitlines()[-1])
    if seen["errors"] or not seen["requests"]:
        raise Failed(f"{seen['errors']} of {seen['requests']} requests to {url} failed")
    return Load(
        per_second=seen["requests"] / seen["microseconds"] * 1e6,
        p50_ms=seen["p50"] / 1000,
        p99_ms=seen["p99"] / 1000,
        requests=seen["requests"],
    )
