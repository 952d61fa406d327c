"""What dashboards are made of: pictures of queries, and what can be chosen. Also the words for common queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_RANGE: Final = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Curve:
    """A query, and what its series are called; `{{label}}` stands for a label."""

    query: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture. `kind` (timeseries, stat) and `unit` (reqps, percentunit, ms, Bps, bytes) are Grafana's words."""

    title: str
    curves: tuple[Curve, ...]
    unit: str = "short"
    width: int = 8
    kind: str = "timeseries"


@dataclass(frozen=True, slots=True)
class Variable:
    """Something to choose: the values of a label of a metric."""

    name: str
    metric: str
    label: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard; `name` is that of its file."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()


def rate(metric: str, *conditions: str) -> str:
    """Say the growth per second of a counter where conditions hold."""
    return f"rate({metric}{{{','.join(conditions)}}}{_RANGE})"


def total(inner: str, *by: str) -> str:
    """Say a sum, by some labels."""
    return f"sum by ({', '.join(by)}) ({inner})" if by else f"sum({inner})"


def share(part: str, whole: str) -> str:
    """Say a share; where nothing happened there is none."""
    return f"{part} / {whole}"


def quantiles(metric: str, *conditions: str, by: tuple[str, ...] = ()) -> tuple[Curve, ...]:
    """Say the three quantiles that people ask for, of a histogram."""
    names = " ".join(f"{{{{{name}}}}}" for name in by)
    buckets = total(rate(f"{metric}_bucket", *conditions), "le", *by)
    return tuple(
        Curve(f"histogram_quantile({value}, {buckets})", f"{names} p{value * 100:.0f}".strip())
        for value in (0.5, 0.9, 0.99)
    )


def queries(dashboard: Dashboard, chosen: Mapping[str, str]) -> Sequence[str]:
    """List the queries of a dashboard with values for its variables, as a Prometheus is asked them."""
    found = []
    for panel in dashboard.panels:
        for curve in panel.curves:
            query = curve.query
            for name, value in chosen.items():
                query = query.replace(f"${name}", value)
            found.append(query)
    return found
