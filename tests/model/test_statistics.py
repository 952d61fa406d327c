"""What a proxy's statistics are: by MeshConfig, ProxyConfig and annotations."""

from datetime import timedelta
from typing import Any

import pytest

from lateen.api.config_set import ConfigSet
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.model.proxy_settings import proxy_settings
from lateen.model.statistics import USUAL, SinkProtocol, Statistics, StatsSink


def statistics(mesh: dict[str, Any] | None = None, /, **annotations: str) -> Statistics:
    written = {f"sidecar.istio.io/{name}": value for name, value in annotations.items()}
    return proxy_settings(ConfigSet(), MeshConfig.model_validate(mesh or {}), "shop", {}, written).statistics


def test_without_a_word_they_are_as_usual() -> None:
    assert statistics() == USUAL


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"statsInclusionPrefixes": "a, b"}, Statistics(prefixes=("a", "b"))),
        ({"statsInclusionRegexps": "a.*,("}, Statistics(patterns=("a.*",))),
        (
            {"statsHistogramBuckets": '{"istiocustom": [1, 5], "cluster.x": [2]}'},
            Statistics(buckets=(("istio_", (1, 5)), ("cluster.x", (2,)))),
        ),
        ({"statsHistogramBuckets": '{"a": [5, 1]}'}, USUAL),
        ({"statsHistogramBuckets": "[1]"}, USUAL),
        ({"statsHistogramBuckets": '{"a": ["x"]}'}, USUAL),
        ({"statsEvictionInterval": "90s"}, Statistics(eviction=timedelta(seconds=90))),
        ({"statsEvictionInterval": "soon"}, USUAL),
    ],
)
def test_annotations_are_for_one_workload_and_unreadable_ones_for_none(
    annotations: dict[str, str], expected: Statistics
) -> None:
    assert statistics(**annotations) == expected


def test_they_are_sent_where_providers_and_the_proxies_defaults_say() -> None:
    mesh = {
        "defaultConfig": {"statsdUdpAddress": "10.0.0.1:8125", "proxyStatsMatcher": {"inclusionSuffixes": ["z"]}},
        "extensionProviders": [
            {"name": "d", "dogstatsd": {"address": "[::1]:8126", "prefix": "p"}},
            {"name": "t", "statsd": {"service": "statsd.default.svc.cluster.local"}},
            {"name": "o", "openTelemetryMetrics": {"service": "ns/otel.ns.svc.cluster.local", "port": 4317}},
            {"name": "unused", "statsd": {"address": "10.0.0.9:1"}},
        ],
        "defaultProviders": {"metrics": ["prometheus", "d", "t", "o"]},
    }
    assert statistics(mesh) == Statistics(
        suffixes=("z",),
        sinks=(
            StatsSink(SinkProtocol.DOGSTATSD, "::1", 8126, "p"),
            StatsSink(SinkProtocol.STATSD, "statsd.default.svc.cluster.local", 8125, by_tcp=True),
            StatsSink(SinkProtocol.OTLP, "otel.ns.svc.cluster.local", 4317),
            StatsSink(SinkProtocol.STATSD, "10.0.0.1", 8125),
        ),
    )


@pytest.mark.parametrize("address", ["statsd:8125", "10.0.0.1", "10.0.0.1:0"])
def test_datagrams_need_an_address(address: str) -> None:
    with pytest.raises(ValueError, match="must be an IP address and a port"):
        MeshConfig.model_validate({"defaultConfig": {"statsdUdpAddress": address}})
