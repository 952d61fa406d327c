"""What the mesh's Envoys have counted, and who they are, read from their admin interfaces; pure but for these."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp

_TIMEOUT: Final = aiohttp.ClientTimeout(total=3.0)
# Envoy picks by this expression, so that a few dozen numbers travel instead of thousands.
_WANTED: Final = r"^cluster\.(in|out)bound\|.*;\.upstream_rq_(total|5xx|time)$|^http\.outbound.*;\.downstream_rq_5xx$"
_CLUSTER: Final = re.compile(
    r"cluster\.(?P<direction>\w+)\|\d+\|(?P<subset>[^|]*)\|(?P<host>[^|;]*);\.upstream_rq_(?P<what>\w+)"
)
_CALLS: Final = re.compile(r"http\.outbound.*;\.downstream_rq_5xx")


class Instance(NamedTuple):
    """One workload of the mesh and where its Envoy's admin interface is."""

    name: str
    app: str
    version: str
    is_gateway: bool
    admin_socket: Path


class Bin(NamedTuple):
    """One bin of a histogram of durations, in milliseconds."""

    lowest: float
    width: float


@dataclass(slots=True)
class Counts:
    """What one Envoy has counted since it started.

    `requests`, `failures` (status 5xx) and `durations` are those that it let through to its application; a gateway has
    none, so there they are those that it sent on. `sent` counts the requests to other services by host and subset;
    `failed_calls` are the application's own requests that were answered 5xx, be it by its Envoy.
    """

    requests: int = 0
    failures: int = 0
    durations: Counter[Bin] = field(default_factory=Counter)
    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed_calls: int = 0

    def since(self, earlier: "Counts") -> "Counts":
        """What was counted after an earlier look; everything, where Envoy has begun anew in between."""
        if earlier.requests > self.requests:
            return self
        return Counts(
            self.requests - earlier.requests,
            self.failures - earlier.failures,
            self.durations - earlier.durations,
            self.sent - earlier.sent,
            self.failed_calls - earlier.failed_calls,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """All Envoys' counts at one time, by workload; `at` is monotonic."""

    at: float
    counts: Mapping[Instance, Counts]

    def since(self, earlier: "Reading") -> "Reading":
        """What was counted between two looks; `at` becomes the time between them."""
        return Reading(
            self.at - earlier.at,
            {instance: now.since(earlier.counts.get(instance, Counts())) for instance, now in self.counts.items()},
        )

    def sent(self, app: str, host: str) -> Counter[str]:
        """How many requests the workloads of an app sent to a host, by subset."""
        found: Counter[str] = Counter()
        for instance, counts in self.counts.items():
            if instance.app == app:
                found += Counter({subset: count for (to, subset), count in counts.sent.items() if to == host})
        return found

    @property
    def failed_calls(self) -> int:
        """How many of all applications' own requests were answered 5xx."""
        return sum(counts.failed_calls for counts in self.counts.values())


class Row(NamedTuple):
    """One version of one service, over some time. `share` is None where there is one version only."""

    service: str
    version: str
    requests_per_second: float
    success: float | None
    median_ms: float | None
    p99_ms: float | None
    share: float | None
    failed_calls_per_second: float


async def read(instances: Iterable[Instance]) -> Reading:
    """Ask all Envoys; one that does not answer is left out."""
    asked = tuple(instances)
    found = await asyncio.gather(*(_counts(each) for each in asked))
    known = zip(asked, found, strict=True)
    return Reading(time.monotonic(), {instance: counts for instance, counts in known if counts is not None})


def parse(statistics: Mapping[str, Any], *, is_gateway: bool) -> Counts:
    """Read Envoy's `/stats?format=json&histogram_buckets=detailed`."""
    found = Counts()
    own = "outbound" if is_gateway else "inbound"
    for entry in statistics["stats"]:
        if "histograms" in entry:
            for histogram in entry["histograms"].get("details", ()):
                _add_durations(found, own, histogram)
        elif match := _CLUSTER.fullmatch(entry["name"]):
            _add_requests(found, own, match, entry["value"])
        elif _CALLS.fullmatch(entry["name"]) and not is_gateway:
            found.failed_calls += entry["value"]
    return found


def rows(change: Reading) -> tuple[Row, ...]:
    """What happened between two looks, by service and version."""
    counts_of: dict[tuple[str, str], Counts] = {}
    for instance, counts in change.counts.items():
        key = (instance.app, instance.version)
        counts_of[key] = _sum(counts_of.get(key, Counts()), counts)
    versions = Counter(service for service, _ in counts_of)
    requests: Counter[str] = Counter()
    for (service, _), counts in counts_of.items():
        requests[service] += counts.requests
    return tuple(
        _row(service, version, counts, change.at, requests[service] if versions[service] > 1 else None)
        for (service, version), counts in sorted(counts_of.items(), key=lambda item: item[0])
    )


def quantile(durations: Mapping[Bin, int], share: float) -> float | None:
    """The duration that this share of all stays below, in ms; None where there is none. Within a bin it is a guess."""
    total = sum(durations.values())
    below = 0
    for each in sorted(durations):
        count = durations[each]
        if count and below + count >= share * total:
            return each.lowest + each.width * (share * total - below) / count
        below += count
    return None


async def identities(instance: Instance) -> set[str]:
    """The identities in the certificates that an Envoy shows to others; none where it does not answer."""
    found = await _asked(instance, "certs", {}) or {}
    names = [
        name
        for certificate in found.get("certificates", ())
        for each in certificate["cert_chain"]
        for name in each["subject_alt_names"]
    ]
    return {name["uri"] for name in names if "uri" in name}


async def _counts(instance: Instance) -> Counts | None:
    query = {"format": "json", "histogram_buckets": "detailed", "filter": _WANTED}
    found = await _asked(instance, "stats", query)
    return None if found is None else parse(found, is_gateway=instance.is_gateway)


async def _asked(instance: Instance, page: str, query: Mapping[str, str]) -> Any:
    """A page of an Envoy's admin interface; None where it does not answer."""
    connector = aiohttp.UnixConnector(str(instance.admin_socket))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session,
            session.get(f"http://envoy/{page}", params=query) as response,
        ):
            return json.loads(await response.text())
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None


def _add_requests(found: Counts, own: str, match: re.Match[str], value: int) -> None:
    if match["direction"] == "outbound" and match["what"] == "total":
        found.sent[match["host"], match["subset"]] += value
    if match["direction"] == own:
        found.requests += value if match["what"] == "total" else 0
        found.failures += value if match["what"] == "5xx" else 0


def _add_durations(found: Counts, own: str, histogram: Mapping[str, Any]) -> None:
    match = _CLUSTER.fullmatch(histogram["name"])
    if match is not None and match["direction"] == own:
        for each in histogram["totals"]:
            found.durations[Bin(each["lower_bound"], each["width"])] += each["count"]


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(
        one.requests + other.requests,
        one.failures + other.failures,
        one.durations + other.durations,
        one.sent + other.sent,
        one.failed_calls + other.failed_calls,
    )


def _row(service: str, version: str, counts: Counts, seconds: float, of_service: int | None) -> Row:
    return Row(
        service,
        version,
        counts.requests / seconds,
        1 - counts.failures / counts.requests if counts.requests else None,
        quantile(counts.durations, 0.5),
        quantile(counts.durations, 0.99),
        None if of_service is None else counts.requests / max(1, of_service),
        counts.failed_calls / seconds,
    )


class Window:
    """The last few readings, and the rows of what happened from the oldest of them to the newest."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._readings: list[Reading] = []

    def add(self, reading: Reading) -> Sequence[Row]:
        """Take in a reading, forget what is too old, and return the rows; none for the first reading."""
        kept = [each for each in self._readings if each.at >= reading.at - self._seconds]
        self._readings = [*kept, reading]
        return rows(reading.since(self._readings[0])) if kept else ()
