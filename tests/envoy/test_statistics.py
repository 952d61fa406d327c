"""A bootstrap with all that can be said of statistics is one that Envoy starts with."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

from lateen.envoy.bootstrap import bootstrap
from lateen.model.statistics import SinkProtocol, Statistics, StatsSink

from .acceptance import envoy_path

EVERYTHING = Statistics(
    prefixes=("a",),
    suffixes=("b",),
    patterns=("c.*",),
    buckets=(("istio_", (0.5, 1, 10)),),
    eviction=timedelta(seconds=62),
    sinks=(
        StatsSink(SinkProtocol.STATSD, "127.0.0.1", 8125, "p"),
        StatsSink(SinkProtocol.STATSD, "statsd.default.svc", 8125, by_tcp=True),
        StatsSink(SinkProtocol.DOGSTATSD, "127.0.0.1", 8126),
        StatsSink(SinkProtocol.OTLP, "otel.default.svc", 4317, "q"),
    ),
)


def test_envoy_accepts_all_of_it(tmp_path: Path) -> None:
    names = ("xds", "sds", "admin", "mixer", "traces", "metrics")
    sockets: dict[str, Any] = {f"{name}_socket": f"{tmp_path}/{name}" for name in names}
    whole = bootstrap(
        "sidecar~1~a.b~b.svc.c",
        "a.b",
        **sockets,
        metrics_path="/m",
        kept=EVERYTHING,
        version="1.2.3",
        connections=7,
        runtime={"envoy.reloadable_features.test_feature_false": "true", "re2.max_program_size.error_level": "9"},
    )
    assert whole["layered_runtime"]["layers"][0]["static_layer"]["re2.max_program_size.error_level"] == "9"
    (monitor,) = whole["overload_manager"]["resource_monitors"]
    assert monitor["typed_config"]["max_active_downstream_connections"] == 7
    assert whole["stats_eviction_interval"] == "60s"
    config = tmp_path / "bootstrap.json"
    config.write_text(json.dumps(whole))
    command = [str(envoy_path()), "--mode", "validate", "-c", str(config), "-l", "warning"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
