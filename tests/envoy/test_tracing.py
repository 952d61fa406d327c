"""How tracing is said in Envoy's words, and that Envoy takes it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lateen.envoy import tracing
from lateen.envoy.cache import ResourceCache
from lateen.envoy.resources import resource_set
from lateen.plan.telemetry_types import Reports, Telemetry
from lateen.plan.tracing import USUAL
from lateen.plan.tracing_types import OtlpCollector, TagSource, TraceTag, Tracing, ZipkinCollector
from lateen.plan.types import ProxyPlan
from tests.envoy.acceptance import accepted_by_envoy, as_json
from tests.envoy.plans import REVIEWS, SIDECAR, lookup

TAGS = tuple(
    TraceTag(source.value, source, "%PROTOCOL%" if source is TagSource.FORMATTER else "some", "usual")
    for source in TagSource
)
CLUSTER = f"outbound|9080|v1|{REVIEWS}"
ZIPKIN = Tracing(
    ZipkinCollector(CLUSTER, "zipkin:9411", "/spans", long_ids=False, headers=(("x-key", "1"),)),
    12.5,
    TAGS,
    longest_path=100,
    by_request_id=False,
    propagates=False,
)
OTLP = Tracing(OtlpCollector(CLUSTER, "collector:4317", headers=(("x-key", "1"),)), 100.0)
OTLP_HTTP = Tracing(OtlpCollector(CLUSTER, "collector:4318", "/v1/traces", timedelta(seconds=1)), 100.0)


def said(plan: Tracing) -> dict[str, Any]:
    """The settings of an HTTP connection manager."""
    found: dict[str, Any] = as_json(tracing.tracing(plan))
    return found


def test_shares_are_said_so_that_only_the_random_one_counts() -> None:
    found = said(ZIPKIN)
    assert [found[f"{kind}_sampling"]["value"] for kind in ("client", "random", "overall")] == [100.0, 12.5, 100.0]
    assert found["max_path_tag_length"] == 100


def test_the_mesh_s_own_collector_gets_zipkin_s_json_and_callers_both_kinds_of_headers() -> None:
    config = said(USUAL)["provider"]["typed_config"]
    assert (config["trace_context_option"], config["trace_id_128bit"]) == ("USE_B3_WITH_W3C_PROPAGATION", True)
    assert config["collector_service"]["http_uri"]["cluster"] == "lateen-traces"


def test_tags_are_said_by_where_they_come_from() -> None:
    assert said(ZIPKIN)["custom_tags"] == [
        {"tag": "literal", "literal": {"value": "some"}},
        {"tag": "environment", "environment": {"name": "some", "default_value": "usual"}},
        {"tag": "header", "request_header": {"name": "some", "default_value": "usual"}},
        {"tag": "formatter", "value": "%PROTOCOL%"},
    ]


@pytest.mark.parametrize("plan", [USUAL, ZIPKIN, OTLP, OTLP_HTTP], ids=["own", "zipkin", "otlp", "otlp over http"])
def test_envoy_takes_it(plan: Tracing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=web")
    reports = Reports(tracing=plan)
    fields = {name: getattr(SIDECAR, name) for name in SIDECAR.__slots__}
    whole = ProxyPlan(**{**fields, "telemetry": Telemetry(reports, reports)})
    assert accepted_by_envoy(resource_set(whole, lookup, ResourceCache())) == ""


def test_headers_are_left_alone_where_that_is_wanted() -> None:
    with_headers, without = (tracing.tracing(replace(USUAL, propagates=each)) for each in (True, False))
    assert without.SerializeToString() == with_headers.SerializeToString() + b"\x68\x01"  # no_context_propagation: true
