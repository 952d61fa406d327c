"""Who calls whom in the mesh, by its own metrics, as `lateen top` reads them; and whether that is as promised. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from access import Finding
from checks import Problem

from lateen.telemetry import queries, query_parser, traffic
from lateen.telemetry.readings import Interval, Reading
from lateen.telemetry.traffic import Edge, Peer

FILTER: Final = traffic.FILTER
_BY_VERSION: Final = query_parser.parse(
    f'sum(increase({traffic.REQUESTS}{{reporter="source"}}[1m])) by '
    "(source_workload, destination_service_name, destination_version)"
)

Way = tuple[str, str]


class Row(NamedTuple):
    """One way on which calls went, and their share by version of the callee where it has several."""

    edge: Edge
    shares: Mapping[str, float]


def rows(over: Interval) -> tuple[Row, ...]:
    """Tell what happened between two readings, a row for each way."""
    versions: dict[Way, dict[str, float]] = {}
    for found in queries.answer(_BY_VERSION, over):
        labels = dict(found.labels)
        way = labels.get("source_workload", ""), labels.get("destination_service_name", "")
        versions.setdefault(way, {})[labels.get("destination_version", "")] = found.value
    return tuple(Row(edge, _shares(versions.get(_way(edge), {}))) for edge in traffic.traffic(over).edges)


def followed(promised: Mapping[Way, float], over: Interval, requests: int, *, is_ours: bool) -> Finding:
    """Judge whether as many calls as promised for each request went each way, by mutual TLS and without error.

    Nothing may have gone another way. Where the mesh is not ours alone others may add to what is there.
    """
    edges = {_way(edge): edge for edge in traffic.traffic(over).edges}
    problems = [Problem(f"no call from {way[0]} to {way[1]}", "some") for way in edges if way not in promised]
    for way, calls in promised.items():
        wanted, seen = round(calls * requests), _count(edges.get(way), over)
        if seen < wanted or (is_ours and seen != wanted):
            problems.append(Problem(f"lateen top: {wanted} calls from {way[0]} to {way[1]}", f"{seen}"))
    for way, edge in edges.items():
        if edge.figures.errors or edge.mtls != "yes":
            wrong = f"{edge.figures.error_share:.1%} errors, mutual TLS: {edge.mtls}"
            problems.append(Problem(f"calls from {way[0]} to {way[1]} without error, by mutual TLS", wrong))
    facts = [_told(edges[way]) for way in promised if way in edges]
    protected = sum(edge.mtls == "yes" for edge in edges.values())
    return Finding(tuple(facts), f"{len(edges)} ways, {protected} by mutual TLS", tuple(problems))


def shown(peer: Peer) -> str:
    """A workload or service for people: by its name alone, of which the demo has no two."""
    return peer[0] or "unknown"


class Window:
    """The last few readings, and the rows of what happened from the oldest of them to the newest."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._readings: list[Reading] = []

    def add(self, reading: Reading) -> Sequence[Row]:
        """Take in a reading, forget what is too old, and return the rows; none for the first reading."""
        kept = [each for each in self._readings if each.at >= reading.at - self._seconds]
        self._readings = [*kept, reading]
        return rows(Interval(self._readings[0], reading)) if kept else ()


def _count(edge: Edge | None, over: Interval) -> int:
    return round(edge.figures.requests * over.seconds) if edge else 0


def _way(edge: Edge) -> Way:
    return edge.source[0], edge.destination[0]


def _shares(versions: Mapping[str, float]) -> Mapping[str, float]:
    total = sum(versions.values())
    called = {version: count / total for version, count in sorted(versions.items()) if count}
    return called if len(called) > 1 else {}


def _told(edge: Edge) -> str:
    figures = edge.figures
    times = (("p50", figures.p50), ("p99", figures.p99))
    told = [f"{figures.requests:.0f}/s", *(f"{name} {value:.0f} ms" for name, value in times if value is not None)]
    return f"{shown(edge.source)} calls {shown(edge.destination)}: {', '.join(told)}"
