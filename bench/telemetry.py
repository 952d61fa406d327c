"""What telemetry costs: two pairs of sidecars in one mesh, which differ in whether they make metrics.

Both have mutual TLS and trace as usual. Rounds are short and alternate: read the ratios.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.table import Table

from bench import comparison
from bench.comparison import Comparison, Cost, Json


def measure(quick: bool = False) -> list[Cost]:
    """Load a pair with the standard metrics, as everybody has them, and one with none in turn."""
    return comparison.measure(COMPARED, quick)


def tables(costs: Sequence[Cost]) -> Iterator[Table]:
    """Lay both sides beside each other."""
    return comparison.tables(costs)


def record(costs: Sequence[Cost]) -> list[Json]:
    """Return the results as JSON."""
    return comparison.record(costs)


def _silence() -> Iterator[Json]:
    silent = {"selector": {"matchLabels": {"side": "silent"}}, "metrics": [{"overrides": [{"disabled": True}]}]}
    yield comparison.written("telemetry.istio.io/v1", "Telemetry", "silent", silent)


COMPARED: Final = Comparison(
    "bench-tell", ("metrics", "silent"), "Standard metrics through two sidecars", ("with metrics", "without"), _silence
)
