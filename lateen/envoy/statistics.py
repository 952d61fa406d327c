"""A proxy's statistics as its bootstrap says them: which are kept, how they are counted, and where they are sent."""

from collections.abc import Iterator
from typing import Any, Final

from lateen.envoy import metrics_script
from lateen.envoy.clusters import stat_name
from lateen.model.statistics import SinkProtocol, Statistics, StatsSink

Json = dict[str, Any]

_EXTENSIONS: Final = "type.googleapis.com/envoy.extensions"
_METRICS: Final = "type.googleapis.com/envoy.config.metrics.v3"
_KEPT_PREFIXES: Final = (
    *("cluster_manager.", "listener_manager.", "server.", "cluster.xds-grpc;.", "wasm", "istio_"),
    *("access_logs.", "tracing."),
)
_KEPT_SUFFIXES: Final = ("rbac.allowed", "rbac.denied", "shadow_allowed", "shadow_denied")
_KEPT_PATTERNS: Final = (
    r"vhost\..*\.route\..*",
    r"cluster\..*;\.upstream_rq_(\d\d\d|\dxx|total|active|time|timeout|retry|pending_overflow)",
    r"cluster\..*;\.upstream_cx_(total|active|connect_fail|overflow|rx_bytes_total|tx_bytes_total)",
    r"cluster\..*;\.(membership_healthy|membership_total|outlier_detection\.ejections_active)",
    r".*\.http_local_rate_limit\.(ok|rate_limited|enforced)",
    r"cluster\..*;\.ratelimit\..*",
    r"http\..*;\.(downstream_rq_(\dxx|total|time)|fault\.(aborts|delays)_injected)",
)
"""What the live table, the dashboards and a person who looks for a fault need; all else costs memory a cluster."""

_TAGS: Final = {
    "cluster_name": r"^cluster\.((.+?);\.)",
    "http_conn_manager_prefix": r"^http\.((.+?);\.)",
    "rate_limit": r"^((.+?)\.)http_local_rate_limit\.",
    "mesh_rate_limit": r"\.ratelimit(\.(.+))\.(?:ok|over_limit|error|failure_mode_allowed)$",
    "response_code": r"_rq(_(\d{3}))$",
    "response_code_class": r"_rq(_(\dxx))$",
}
"""Parts of statistics' names that become labels: the outer group is cut out of the name, the inner one is the value."""

_READ_SECONDS: Final = 1
"""Histograms are as old as this when somebody reads them."""
_SENT_SECONDS: Final = 5
_MOST_POINTS: Final = 2000
"""How many numbers a collector gets at once: many servers take no more than 4 MiB."""


def statistics(plan: Statistics) -> Json:
    """Say the parts of a bootstrap that are about statistics, without the clusters that sinks need."""
    patterns = [
        *({"prefix": prefix} for prefix in (*_KEPT_PREFIXES, *plan.prefixes)),
        *({"suffix": suffix} for suffix in (*_KEPT_SUFFIXES, *plan.suffixes)),
        *({"safe_regex": {"regex": pattern}} for pattern in (*_KEPT_PATTERNS, *plan.patterns)),
    ]
    said: Json = {
        "stats_config": {
            "use_all_default_tags": False,
            "stats_tags": [{"tag_name": name, "regex": regex} for name, regex in _TAGS.items()],
            "stats_matcher": {"inclusion_list": {"patterns": patterns}},
        },
        "stats_flush_interval": f"{_SENT_SECONDS if plan.sinks else _READ_SECONDS}s",
        "stats_eviction_interval": f"{_eviction_seconds(plan)}s",
        # A thousand clusters of which a few are used shall not cost the statistics of a thousand.
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
    }
    if plan.buckets:
        settings = [{"match": {"prefix": prefix}, "buckets": list(bounds)} for prefix, bounds in plan.buckets]
        said["stats_config"]["histogram_bucket_settings"] = settings
    if plan.sinks:
        said["stats_sinks"] = [_sink(sink) for sink in plan.sinks]
    return said


def sink_clusters(plan: Statistics) -> Iterator[Json]:
    """Say the servers that statistics are sent to over connections."""
    for sink in dict.fromkeys(plan.sinks):
        if _needs_cluster(sink):
            name = _cluster(sink)
            where = {"socket_address": {"address": sink.address, "port_value": sink.port}}
            endpoints = [{"lb_endpoints": [{"endpoint": {"address": where}}]}]
            yield {
                "name": name,
                "alt_stat_name": stat_name(name),
                "type": "STRICT_DNS",
                "dns_lookup_family": "V4_PREFERRED",
                "connect_timeout": "2s",
                "load_assignment": {"cluster_name": name, "endpoints": endpoints},
                **(_HTTP2 if sink.protocol is SinkProtocol.OTLP else {}),
            }


def build_log(version: str) -> Json:
    """Say the log of a listener that makes `istio_build` when somebody begins to read metrics there."""
    tags = [{"name": "component", "value_format": "proxy"}, {"name": "tag", "value_format": version}]
    gauge = {"stat": {"name": BUILD, "tags": tags}, "value_fixed": 1, "set": {"log_type": "DownstreamStart"}}
    config = {"@type": f"{_EXTENSIONS}.access_loggers.stats.v3.Config", "stats_scope": {}, "gauges": [gauge]}
    return {
        "access_log": [{"name": "envoy.access_loggers.stats", "typed_config": config}],
        "access_log_options": {"flush_access_log_on_new_request": True},
    }


def expanding() -> Json:
    """Say the filter that writes Istio's names and labels into a page of metrics."""
    config = {
        "@type": f"{_EXTENSIONS}.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": metrics_script.script()},
    }
    return {"name": "envoy.filters.http.lua", "typed_config": config}


def compressing(plan: Statistics) -> list[Json]:
    """Say the filter that compresses pages of metrics for whoever asks for it."""
    if not plan.compressed:
        return []
    gzip = {
        "name": "envoy.compression.gzip.compressor",
        "typed_config": {"@type": f"{_EXTENSIONS}.compression.gzip.compressor.v3.Gzip"},
    }
    response = {"common_config": {"min_content_length": 1024}}
    config = {
        "@type": f"{_EXTENSIONS}.filters.http.compressor.v3.Compressor",
        "compressor_library": gzip,
        "response_direction_config": response,
    }
    return [{"name": "envoy.filters.http.compressor", "typed_config": config}]


LARGEST_PAGE_BYTES: Final = 128 * 1024 * 1024
BUILD: Final = "istio_build"
_HTTP2: Final = {
    "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{_EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
}


def _eviction_seconds(plan: Statistics) -> int:
    """Return a multiple of the time after which statistics are looked at, as Envoy wants it."""
    step = _SENT_SECONDS if plan.sinks else _READ_SECONDS
    return max(1, round(plan.eviction.total_seconds() / step)) * step


def _needs_cluster(sink: StatsSink) -> bool:
    return sink.by_tcp or sink.protocol is SinkProtocol.OTLP


def _cluster(sink: StatsSink) -> str:
    return f"lateen-stats-{sink.protocol.value.lower()}-{sink.address}-{sink.port}"


def _sink(sink: StatsSink) -> Json:
    prefix = {"prefix": sink.prefix} if sink.prefix else {}
    if sink.protocol is SinkProtocol.OTLP:
        config = {
            "@type": f"{_EXTENSIONS}.stat_sinks.open_telemetry.v3.SinkConfig",
            "grpc_service": {"envoy_grpc": {"cluster_name": _cluster(sink)}, "timeout": "5s"},
            "max_data_points_per_request": _MOST_POINTS,
            **prefix,
        }
        return {"name": "envoy.stat_sinks.open_telemetry", "typed_config": config}
    kind = "StatsdSink" if sink.protocol is SinkProtocol.STATSD else "DogStatsdSink"
    where = {"socket_address": {"protocol": "UDP", "address": sink.address, "port_value": sink.port}}
    target: Json = {"tcp_cluster_name": _cluster(sink)} if sink.by_tcp else {"address": where}
    name = "envoy.stat_sinks.statsd" if sink.protocol is SinkProtocol.STATSD else "envoy.stat_sinks.dog_statsd"
    return {"name": name, "typed_config": {"@type": f"{_METRICS}.{kind}", **target, **prefix}}
