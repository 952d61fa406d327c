"""What telemetry costs: two pairs of sidecars in one mesh, which differ in whether they make metrics.

Both have mutual TLS and trace as usual. Rounds are short and alternate: read the ratios.
"""

from collections.abc import Iterator
from typing import Final

from bench import comparison
from bench.comparison import Comparison, Json


def _silence() -> Iterator[Json]:
    silent = {"selector": {"matchLabels": {"side": "silent"}}, "metrics": [{"overrides": [{"disabled": True}]}]}
    yield comparison.written("telemetry.istio.io/v1", "Telemetry", "silent", silent)


COMPARED: Final = Comparison(
    "bench-tell", ("metrics", "silent"), "Standard metrics through two sidecars", ("with metrics", "without"), _silence
)
