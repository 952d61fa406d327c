"""How calls are traced: Telemetry objects, MeshConfig, providers, and what they come to together."""

from dataclasses import replace
from typing import Any

import pytest

from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.telemetry.scopes import ProviderRef
from lateen.api.telemetry.tracing import TracingRule
from lateen.model.proxy import Proxy, Role
from lateen.model.views import Views
from lateen.model.workload import WorkloadKey
from lateen.plan import tracing
from lateen.plan.cache import PlanCache
from lateen.plan.planner import build_plan
from lateen.plan.telemetry_types import Telemetry
from lateen.plan.tracing import OWN_COLLECTOR, USUAL
from lateen.plan.tracing_types import OtlpCollector, TagSource, TraceTag, ZipkinCollector
from tests.plan import worlds

COLLECTORS = """
apiVersion: v1
kind: Service
metadata: {name: collector, namespace: watch}
spec: {ports: [{name: grpc-otlp, port: 4317}, {name: http-otlp, port: 4318}, {name: http-zipkin, port: 9411}]}
"""
HOST = "collector.watch.svc.cluster.local"


def told(*objects: str, mesh: dict[str, Any] | None = None) -> Telemetry:
    """What a proxy of the namespace `default` tells."""
    return worlds.plan("---".join((COLLECTORS, *objects)), mesh=mesh, app="web").telemetry


def telemetry(spec: str, name: str = "own", namespace: str = "default") -> str:
    """A Telemetry object with these entries of `tracing`."""
    return f"""
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"""


def test_one_percent_goes_to_the_mesh_s_own_collector() -> None:
    found = told()
    assert (found.outbound.tracing, found.inbound.tracing) == (USUAL, USUAL)
    assert USUAL.sampling_percent == 1.0
    assert OWN_COLLECTOR.with_w3c


def test_a_mesh_without_tracing_traces_what_a_telemetry_asks_for() -> None:
    without = {"enable_tracing": False}
    assert told(mesh=without).outbound.tracing is None
    found = told(telemetry("{tracing: [{randomSamplingPercentage: 10}]}"), mesh=without).outbound.tracing
    assert found == replace(USUAL, sampling_percent=10.0)


def test_narrower_scopes_say_anew_only_what_they_speak_of() -> None:
    found = told(
        telemetry(
            "{tracing: [{randomSamplingPercentage: 10, customTags: {shop: {literal: {value: a}}}, enableIstioTags: false}]}",
            namespace="istio-system",
        ),
        telemetry("{tracing: [{useRequestIdForTraceSampling: false}]}"),
        telemetry(
            "{selector: {matchLabels: {app: web}}, tracing: [{disableContextPropagation: true, randomSamplingPercentage: 0}]}",
            name="narrow",
        ),
    ).outbound.tracing
    assert found is not None
    assert found.sampling_percent == 0.0
    assert found.tags == (TraceTag("shop", TagSource.LITERAL, "a"),)
    assert (found.by_request_id, found.propagates) == (False, False)


@pytest.mark.parametrize(("mode", "expected"), [("CLIENT", (50.0, 1.0)), ("SERVER", (1.0, 50.0))])
def test_a_direction_can_be_meant(mode: str, expected: tuple[float, float]) -> None:
    found = told(telemetry(f"{{tracing: [{{match: {{mode: {mode}}}, randomSamplingPercentage: 50}}]}}"))
    assert found.outbound.tracing is not None
    assert found.inbound.tracing is not None
    assert (found.outbound.tracing.sampling_percent, found.inbound.tracing.sampling_percent) == expected


def test_no_spans_are_made_where_they_are_not_wanted() -> None:
    found = told(telemetry("{tracing: [{disableSpanReporting: true}]}"))
    assert (found.outbound.tracing, found.inbound.tracing) == (None, None)


def test_tags_come_from_texts_variables_headers_and_formats() -> None:
    tags = (
        "{a: {literal: {value: x}}, b: {environment: {name: ZONE, defaultValue: none}}, c: {header: {name: x-user}}, "
        "d: {formatter: {value: '%PROTOCOL%'}}, istio.mesh_id: {literal: {value: mine}}}"
    )
    found = told(telemetry(f"{{tracing: [{{customTags: {tags}}}]}}")).outbound.tracing
    assert found is not None
    usual = {tag.name: tag for tag in tracing.MESH_TAGS}
    assert {tag.name: tag for tag in found.tags} == {
        **usual,
        "a": TraceTag("a", TagSource.LITERAL, "x"),
        "b": TraceTag("b", TagSource.ENVIRONMENT, "ZONE", "none"),
        "c": TraceTag("c", TagSource.HEADER, "x-user"),
        "d": TraceTag("d", TagSource.FORMATTER, "%PROTOCOL%"),
        "istio.mesh_id": TraceTag("istio.mesh_id", TagSource.LITERAL, "mine"),
    }


def test_settings_of_proxies_count_where_nothing_narrower_is_said() -> None:
    defaults = {
        "sampling": 20.0,
        "custom_tags": {"zone": {"literal": {"value": "a"}}},
        "max_path_tag_length": 99,
        "zipkin": {"address": f"{HOST}:9411"},
    }
    found = told(mesh={"default_config": {"tracing": defaults}}).outbound.tracing
    assert found is not None
    assert (found.sampling_percent, found.longest_path) == (20.0, 99)
    assert TraceTag("zone", TagSource.LITERAL, "a") in found.tags
    assert found.collector == ZipkinCollector(f"outbound|9411||{HOST}", f"{HOST}:9411")


PROVIDERS = {
    "zipkin": (
        {
            "service": f"watch/{HOST}", "port": 9411, "path": "/spans", "enable_64bit_trace_id": True,
            "trace_context_option": "USE_B3_WITH_W3C_PROPAGATION", "headers": [{"name": "x-key", "value": "1"}],
        },
        ZipkinCollector(
            f"outbound|9411||{HOST}", f"{HOST}:9411", "/spans", long_ids=False, with_w3c=True, headers=(("x-key", "1"),)
        ),
    ),
    "opentelemetry": (
        {"service": HOST, "port": 4317, "grpc": {"initial_metadata": [{"name": "x-key", "value": "1"}]}},
        OtlpCollector(f"outbound|4317||{HOST}", f"{HOST}:4317", headers=(("x-key", "1"),)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PROVIDERS)
def test_a_provider_is_named_by_a_telemetry_or_by_the_mesh(kind: str) -> None:
    settings, expected = PROVIDERS[kind]
    providers = {"extension_providers": [{"name": "far", kind: settings}]}
    named = told(telemetry("{tracing: [{providers: [{name: far}]}]}"), mesh=providers).outbound.tracing
    usual = told(mesh={**providers, "default_providers": {"tracing": ["far"]}}).outbound.tracing
    assert named is not None
    assert usual is not None
    assert (named.collector, usual.collector) == (expected, expected)


def test_otlp_goes_over_http_where_a_path_is_given() -> None:
    settings = {"service": HOST, "port": 4318, "http": {"path": "/v1/traces", "timeout": "1s"}}
    mesh = {
        "extension_providers": [{"name": "far", "opentelemetry": settings}],
        "default_providers": {"tracing": ["far"]},
    }
    found = told(mesh=mesh).inbound.tracing
    assert found is not None
    assert isinstance(found.collector, OtlpCollector)
    assert found.collector.path == "/v1/traces"


BAD = {
    "there is no extensionProvider 'far' in MeshConfig (there is: none)": [],
    "the service nobody.watch is not known here on port 1": [
        {"name": "far", "opentelemetry": {"service": "nobody.watch", "port": 1}}
    ],
    "extensionProvider 'far' takes no traces here: it needs opentelemetry or zipkin": [
        {"name": "far", "envoy_file_access_log": {}}
    ],
}


@pytest.mark.parametrize("reason", BAD)
def test_a_provider_that_is_none_is_told_and_traces_nothing(reason: str) -> None:
    text = COLLECTORS + "---" + telemetry("{tracing: [{providers: [{name: far}]}]}")
    found = worlds.plan(text, mesh={"extension_providers": BAD[reason]})
    assert found.telemetry.outbound.tracing is None
    assert f"Telemetry default/own spec.tracing[0].providers: traces nothing: {reason}" in [
        str(each) for each in found.diagnostics
    ]


@pytest.mark.parametrize(
    ("settings", "named", "expected"),
    [
        ({}, (), True),
        ({"enable_tracing": False}, (), False),
        ({"enable_tracing": False}, ("lateen",), True),
        ({"default_providers": {"tracing": ["far"]}}, (), False),
        ({"default_config": {"tracing": {"zipkin": {"address": "a:1"}}}}, (), False),
    ],
)
def test_whether_anybody_uses_the_mesh_s_own_collector(
    settings: dict[str, Any], named: tuple[str, ...], expected: bool
) -> None:
    rules = [TracingRule(providers=tuple(ProviderRef(name=each) for each in named))]
    assert tracing.uses_own_collector(MeshConfig.model_validate(settings), rules) is expected


def test_a_workload_s_own_settings_count_before_those_of_the_mesh() -> None:
    world = worlds.snapshot(COLLECTORS, {"default_config": {"tracing": {"sampling": 20.0, "max_path_tag_length": 9}}})
    views = Views(world)
    proxy = Proxy(WorkloadKey("default", "client"), Role.SIDECAR, settings='{"tracing": {"sampling": 100}}')
    found = build_plan(views.view_for(views.class_of(proxy)), PlanCache()).telemetry.outbound.tracing
    assert found is not None
    assert (found.sampling_percent, found.longest_path) == (100.0, 9)
