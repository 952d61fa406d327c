"""Which statistics a proxy keeps, how it counts them, and where it sends them. All of that is settled at its start.

MeshConfig's `defaultConfig` and its providers of metrics say it, ProxyConfig's annotation and those of the workload.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from lateen.api.fields import check_regex, parse_duration
from lateen.api.mesh.mesh_config import MeshConfig, ProxyDefaults
from lateen.api.mesh.metric_providers import OpenTelemetryMetrics, StatsdServer

BUCKETS_ANNOTATION: Final = "sidecar.istio.io/statsHistogramBuckets"
EVICTION_ANNOTATION: Final = "sidecar.istio.io/statsEvictionInterval"
COMPRESSION_ANNOTATION: Final = "sidecar.istio.io/statsCompression"
_BOOLS: Final = MappingProxyType({"true": True, "false": False})
_KEPT_ANNOTATIONS: Final = (
    "sidecar.istio.io/statsInclusionPrefixes",
    "sidecar.istio.io/statsInclusionSuffixes",
    "sidecar.istio.io/statsInclusionRegexps",
)
_ISTIOS_OWN: Final = "istiocustom"
_STANDARD: Final = "istio_"
_STATSD_PORT: Final = 8125


class SinkProtocol(StrEnum):
    """How statistics are sent away."""

    STATSD = "statsd"
    DOGSTATSD = "dogstatsd"
    OTLP = "OTLP"


@dataclass(frozen=True, slots=True)
class StatsSink:
    """Where statistics are sent every few seconds. `address` is an IP address for datagrams, else a host."""

    protocol: SinkProtocol
    address: str
    port: int
    prefix: str = ""
    by_tcp: bool = False


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a proxy keeps beside what it always does, by the beginning, the end or a pattern of a statistic's name.

    `buckets` are the bounds of histograms by the beginning of their names. A series of which nothing came for
    `eviction` is forgotten. Pages of metrics are `compressed` for whoever asks for that.
    """

    prefixes: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    buckets: tuple[tuple[str, tuple[float, ...]], ...] = ()
    eviction: timedelta = timedelta(minutes=15)
    sinks: tuple[StatsSink, ...] = ()
    compressed: bool = True


USUAL: Final = Statistics()
"""What is so where nobody says otherwise."""


def of_mesh(mesh: MeshConfig) -> Statistics:
    """Read where the statistics of all proxies are sent."""
    return Statistics(sinks=tuple(_sinks(mesh)))


def with_defaults(settings: Statistics, written: ProxyDefaults) -> Statistics:
    """Lay what a ProxyConfig says over settings."""
    if written.statsd_udp_address:
        sink = _datagrams(SinkProtocol.STATSD, written.statsd_udp_address)
        settings = replace(settings, sinks=tuple(dict.fromkeys((*settings.sinks, sink))))
    if "stats_compression" in written.model_fields_set:
        settings = replace(settings, compressed=written.stats_compression)
    kept = written.proxy_stats_matcher
    if kept is None:
        return settings
    return replace(
        settings,
        prefixes=kept.inclusion_prefixes,
        suffixes=kept.inclusion_suffixes,
        patterns=kept.inclusion_regexps,
    )


def with_annotations(settings: Statistics, annotations: Mapping[str, str]) -> Statistics:
    """Lay a workload's annotations over settings; one that cannot be read counts as not there."""
    prefixes, suffixes, patterns = (_words(annotations.get(name, "")) for name in _KEPT_ANNOTATIONS)
    return replace(
        settings,
        prefixes=prefixes or settings.prefixes,
        suffixes=suffixes or settings.suffixes,
        patterns=tuple(filter(_is_regex, patterns)) or settings.patterns,
        buckets=_buckets(annotations.get(BUCKETS_ANNOTATION, "")) or settings.buckets,
        eviction=_eviction(annotations.get(EVICTION_ANNOTATION, "")) or settings.eviction,
        compressed=_BOOLS.get(annotations.get(COMPRESSION_ANNOTATION, "").lower(), settings.compressed),
    )


def with_connections(settings: Statistics) -> Statistics:
    """Keep also how many connections clients have."""
    return replace(settings, patterns=(*settings.patterns, r"listener\..*\.downstream_cx_active"))


def _sinks(mesh: MeshConfig) -> Iterator[StatsSink]:
    """Yield the places that the mesh's providers of metrics stand for."""
    providers = {one.name: one for one in mesh.extension_providers}
    for name in mesh.default_providers.metrics:
        provider = providers.get(name)
        if provider is None:
            continue
        if provider.statsd is not None:
            yield _statsd(provider.statsd)
        elif provider.dogstatsd is not None:
            yield _datagrams(SinkProtocol.DOGSTATSD, provider.dogstatsd.address, provider.dogstatsd.prefix)
        elif provider.open_telemetry_metrics is not None:
            yield _otlp(provider.open_telemetry_metrics)


def _statsd(server: StatsdServer) -> StatsSink:
    if server.address:
        return _datagrams(SinkProtocol.STATSD, server.address, server.prefix)
    return StatsSink(SinkProtocol.STATSD, server.service, server.port or _STATSD_PORT, server.prefix, by_tcp=True)


def _datagrams(protocol: SinkProtocol, address: str, prefix: str = "") -> StatsSink:
    host, _, port = address.rpartition(":")
    return StatsSink(protocol, host.strip("[]"), int(port), prefix)


def _otlp(server: OpenTelemetryMetrics) -> StatsSink:
    return StatsSink(SinkProtocol.OTLP, server.service.rpartition("/")[2], server.port, server.prefix)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _is_regex(text: str) -> bool:
    try:
        check_regex(text)
    except ValueError:
        return False
    return True


def _buckets(text: str) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """Read bounds by prefix; what is no JSON object of rising numbers above zero says nothing."""
    try:
        written = json.loads(text) if text else {}
        found = {str(prefix): tuple(map(float, bounds)) for prefix, bounds in written.items()}
    except (ValueError, TypeError, AttributeError):
        return ()
    if not all(_are_rising(bounds) for bounds in found.values()):
        return ()
    return tuple((_STANDARD if prefix == _ISTIOS_OWN else prefix, bounds) for prefix, bounds in found.items())


def _are_rising(bounds: Iterable[float]) -> bool:
    known = list(bounds)
    return bool(known) and known[0] > 0 and all(low < high for low, high in pairwise(known))


def _eviction(text: str) -> timedelta | None:
    """Read how long a series lives idly: in whole seconds, as often as statistics are looked at."""
    try:
        found = parse_duration(text)
    except ValueError:
        return None
    return timedelta(seconds=round(found.total_seconds())) if found >= timedelta(seconds=1) else None
