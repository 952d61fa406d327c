"""Quantiles of histograms, estimated as Prometheus does: by interpolation inside a bucket."""

import math
from collections.abc import Iterable


def quantile(share: float, buckets: Iterable[tuple[float, float]]) -> float:
    """Return the value below which that share of all observations is; NaN where there are none.

    `buckets` are upper bounds with the number of observations up to there. What lies above the last finite bound is
    taken to be at it.
    """
    if math.isnan(share):
        return math.nan
    if share < 0 or share > 1:
        return -math.inf if share < 0 else math.inf
    ordered = _rising(buckets)
    if len(ordered) < 2 or not math.isinf(ordered[-1][0]) or ordered[-1][1] <= 0:
        return math.nan
    rank = share * ordered[-1][1]
    position = next((index for index, (_, count) in enumerate(ordered) if count >= rank), len(ordered) - 1)
    if position == len(ordered) - 1:
        return ordered[-2][0]
    bound, count = ordered[position]
    lower, below = ordered[position - 1] if position else (0.0, 0.0)
    if position == 0 and bound <= 0:
        return bound
    return lower + (bound - lower) * ((rank - below) / (count - below)) if count > below else bound


def _rising(buckets: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Order buckets by bound, equal ones together, with counts that never fall."""
    together: dict[float, float] = {}
    for bound, count in buckets:
        together[bound] = together.get(bound, 0.0) + count
    ordered, highest = [], 0.0
    for bound in sorted(together):
        highest = max(highest, together[bound])
        ordered.append((bound, highest))
    return ordered
