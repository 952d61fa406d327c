"""Who calls whom in a mesh, how often, with what success and how fast: read from Istio's standard metrics.

A call is counted where it is made, since only there everything is seen that became of it; calls of those who have no
proxy are counted where they arrive. Whether TLS was mutual is known where a call arrives.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from lateen.telemetry import histograms
from lateen.telemetry.exposition import Sample
from lateen.telemetry.readings import Interval

FILTER: Final = "istio_?(requests_total|request_duration|tcp)"
"""A pattern for the names of the statistics that are needed here."""

REQUESTS: Final = "istio_requests_total"
DURATIONS: Final = "istio_request_duration_milliseconds_bucket"
OPENED: Final = "istio_tcp_connections_opened_total"
SENT: Final = "istio_tcp_sent_bytes_total"
RECEIVED: Final = "istio_tcp_received_bytes_total"

_UNKNOWN: Final = ("", "unknown")
_QUANTILES: Final = (0.5, 0.9, 0.99)

Peer = tuple[str, str]
Way = tuple[Peer, Peer]


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened in an interval: rates per second, quantiles in milliseconds or None where nothing was measured."""

    requests: float = 0.0
    errors: float = 0.0
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    connections: float = 0.0
    bytes: float = 0.0

    @property
    def error_share(self) -> float:
        """Which share of the requests failed, from 0 to 1."""
        return self.errors / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Edge:
    """Calls from one workload to one service, each with its namespace. `mtls` is yes, no, partly or unknown."""

    source: Peer
    destination: Peer
    figures: Figures
    mtls: str


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """All calls to a service."""

    service: Peer
    figures: Figures
    mtls: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """The traffic of a mesh in an interval."""

    services: tuple[ServiceRow, ...]
    edges: tuple[Edge, ...]


@dataclass(slots=True)
class _Tally:
    """What was counted on the way between two."""

    requests: float = 0.0
    errors: float = 0.0
    connections: float = 0.0
    bytes: float = 0.0
    buckets: dict[float, float] = field(default_factory=dict)
    with_tls: float = 0.0
    without_tls: float = 0.0

    def add(self, other: "_Tally") -> None:
        """Take in what was counted elsewhere."""
        self.requests += other.requests
        self.errors += other.errors
        self.connections += other.connections
        self.bytes += other.bytes
        self.with_tls += other.with_tls
        self.without_tls += other.without_tls
        for bound, count in other.buckets.items():
            self.buckets[bound] = self.buckets.get(bound, 0.0) + count

    def figures(self, seconds: float) -> Figures:
        """Turn counts into rates and quantiles."""
        p50, p90, p99 = (_measured(histograms.quantile(share, self.buckets.items())) for share in _QUANTILES)
        rates = (count / seconds for count in (self.requests, self.errors, self.connections, self.bytes))
        requests, errors, connections, size = rates
        return Figures(requests, errors, p50, p90, p99, connections, size)

    @property
    def mtls(self) -> str:
        """Whether what came was protected."""
        if not self.with_tls and not self.without_tls:
            return "unknown"
        if self.with_tls and self.without_tls:
            return "partly"
        return "yes" if self.with_tls else "no"


def traffic(over: Interval) -> Traffic:
    """Tell what happened between two readings; ways on which nothing did are left out."""
    made, arrived = dict[Way, _Tally](), dict[Way, _Tally]()
    for sample, grown in _grown(over):
        labels = dict(sample.labels)
        counted = arrived if labels.get("reporter") == "destination" else made
        _COUNTS[sample.name](counted.setdefault(_way(labels), _Tally()), labels, grown)
    ways = {way: _chosen(made.get(way), arrived.get(way)) for way in {**made, **arrived}}
    seen = {way: tally for way, tally in sorted(ways.items()) if tally.requests or tally.connections or tally.bytes}
    edges = tuple(Edge(*way, tally.figures(over.seconds), tally.mtls) for way, tally in seen.items())
    return Traffic(tuple(_services(seen, over.seconds)), edges)


def _services(ways: Mapping[Way, _Tally], seconds: float) -> Iterator[ServiceRow]:
    found: dict[Peer, _Tally] = {}
    for (_, destination), tally in ways.items():
        found.setdefault(destination, _Tally()).add(tally)
    for service, tally in sorted(found.items()):
        yield ServiceRow(service, tally.figures(seconds), tally.mtls)


def _chosen(made: _Tally | None, arrived: _Tally | None) -> _Tally:
    """Count what the caller saw, and what the other side knows of TLS."""
    if made is None or not (made.requests or made.connections or made.bytes):
        return arrived or made or _Tally()
    if arrived is not None:
        made.with_tls, made.without_tls = arrived.with_tls, arrived.without_tls
    return made


def _grown(over: Interval) -> Iterator[tuple[Sample, float]]:
    for name in _COUNTS:
        for sample in over.after.named(name):
            grown = over.growth(sample)
            if grown:
                yield sample, grown


def _way(labels: Mapping[str, str]) -> Way:
    source = labels.get("source_workload", ""), labels.get("source_workload_namespace", "")
    name = labels.get("destination_service_name", "")
    if name in _UNKNOWN:
        name = labels.get("destination_workload", "")
    place = labels.get("destination_service_namespace", "")
    if place in _UNKNOWN:
        place = labels.get("destination_workload_namespace", "")
    return source, (name, place)


def _count_requests(tally: _Tally, labels: Mapping[str, str], grown: float) -> None:
    tally.requests += grown
    if _has_failed(labels):
        tally.errors += grown
    _note_tls(tally, labels, grown)


def _count_durations(tally: _Tally, labels: Mapping[str, str], grown: float) -> None:
    try:
        bound = float(labels.get("le", ""))
    except ValueError:
        return
    tally.buckets[bound] = tally.buckets.get(bound, 0.0) + grown


def _count_connections(tally: _Tally, labels: Mapping[str, str], grown: float) -> None:
    tally.connections += grown
    _note_tls(tally, labels, grown)


def _count_bytes(tally: _Tally, labels: Mapping[str, str], grown: float) -> None:
    tally.bytes += grown
    _note_tls(tally, labels, grown)


_COUNTS: Final[Mapping[str, Callable[[_Tally, Mapping[str, str], float], None]]] = {
    REQUESTS: _count_requests,
    DURATIONS: _count_durations,
    OPENED: _count_connections,
    SENT: _count_bytes,
    RECEIVED: _count_bytes,
}


def _note_tls(tally: _Tally, labels: Mapping[str, str], grown: float) -> None:
    policy = labels.get("connection_security_policy", "")
    if policy == "mutual_tls":
        tally.with_tls += grown
    elif policy == "none":
        tally.without_tls += grown


def _has_failed(labels: Mapping[str, str]) -> bool:
    """Tell whether a request failed: a server's error, none at all, or a gRPC status other than OK."""
    code, status = labels.get("response_code", ""), labels.get("grpc_response_status", "")
    return code.startswith("5") or code == "0" or status not in ("", "0")


def _measured(value: float) -> float | None:
    return None if math.isnan(value) else value


def shown(peer: Peer, home: str = "default") -> str:
    """Write a workload or service for people: `reviews`, or `reviews.shop` outside of the home namespace."""
    name, namespace = peer
    named = name or "unknown"
    return named if namespace in (home, *_UNKNOWN) else f"{named}.{namespace}"
