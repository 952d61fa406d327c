"""What the mesh's Envoys have counted, and who they are, read from their admin interfaces; pure but for these."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp

_TIMEOUT: Final = aiohttp.ClientTimeout(total=3.0)
# Envoy picks by this expression, so that a few dozen numbers travel instead of thousands.
_WANTED: Final = r"^cluster\.outbound\|.*;\.upstream_rq_total$|^http\.outbound.*;\.downstream_rq_5xx$"
_CLUSTER: Final = re.compile(r"cluster\.outbound\|\d+\|(?P<subset>[^|]*)\|(?P<host>[^|;]*);\.upstream_rq_total")
_CALLS: Final = re.compile(r"http\.outbound.*;\.downstream_rq_5xx")


class Instance(NamedTuple):
    """One workload of the mesh and where its Envoy's admin interface is."""

    name: str
    app: str
    version: str
    is_gateway: bool
    admin_socket: Path


@dataclass(slots=True)
class Counts:
    """What one Envoy has counted since it started.

    `sent` counts the requests to other services by host and subset; `failed_calls` are the application's own requests
    that were answered 5xx, be it by its Envoy; a gateway has none.
    """

    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed_calls: int = 0

    def since(self, earlier: "Counts") -> "Counts":
        """What was counted after an earlier look; everything, where Envoy has begun anew in between."""
        if earlier.sent.total() > self.sent.total():
            return self
        return Counts(self.sent - earlier.sent, self.failed_calls - earlier.failed_calls)


@dataclass(frozen=True, slots=True)
class Reading:
    """All Envoys' counts at one time, by workload."""

    counts: Mapping[Instance, Counts]

    def since(self, earlier: "Reading") -> "Reading":
        """What was counted between two looks."""
        return Reading(
            {instance: now.since(earlier.counts.get(instance, Counts())) for instance, now in self.counts.items()}
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


async def read(instances: Iterable[Instance]) -> Reading:
    """Ask all Envoys; one that does not answer is left out."""
    asked = tuple(instances)
    found = await asyncio.gather(*(_counts(each) for each in asked))
    known = zip(asked, found, strict=True)
    return Reading({instance: counts for instance, counts in known if counts is not None})


def parse(statistics: Mapping[str, Any], *, is_gateway: bool) -> Counts:
    """Read Envoy's `/stats?format=json`."""
    found = Counts()
    for entry in statistics["stats"]:
        if "histograms" in entry:
            continue
        if match := _CLUSTER.fullmatch(entry["name"]):
            found.sent[match["host"], match["subset"]] += entry["value"]
        elif _CALLS.fullmatch(entry["name"]) and not is_gateway:
            found.failed_calls += entry["value"]
    return found


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
    query = {"format": "json", "filter": _WANTED}
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
