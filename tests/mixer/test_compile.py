"""Rules as users write them, and what the proxies of a workload make of them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from lateen.mixer.compile import RuleSets, Surveyed, needs_mixer, survey, with_mixer
from lateen.mixer.compiled import Where
from lateen.model.proxy import Role
from lateen.model.workload import Workload, WorkloadKey
from lateen.plan.planner import build_plan
from lateen.plan.processing_types import HeaderAction
from lateen.plan.telemetry_types import LogFile, LogProtocol, LogServer, MetricKind
from tests.plan import worlds

RATINGS = {"app": "ratings", "version": "v1"}
DENIER = {"compiledAdapter": "denier", "params": {"status": {"code": 7, "message": "no"}}}
NOTHING = {"compiledTemplate": "checknothing"}


def handler(adapter: str, **params: Any) -> dict[str, Any]:
    return {"compiledAdapter": adapter, "params": params}


def listed(*entries: str, **params: Any) -> dict[str, Any]:
    return handler("listchecker", overrides=list(entries), **params)


def value(text: str) -> dict[str, Any]:
    return {"compiledTemplate": "listentry", "params": {"value": text}}


def document(kind: str, name: str, spec: Mapping[str, Any], namespace: str = "default", **metadata: Any) -> str:
    return json.dumps(
        {
            "apiVersion": "config.istio.io/v1alpha2",
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace, **metadata},
            "spec": spec,
        }
    )


def rule(
    match: str = "",
    made: Mapping[str, Any] = DENIER,
    of: Mapping[str, Any] = NOTHING,
    name: str = "r",
    namespace: str = "default",
    **more: Any,
) -> str:
    """A rule with one action, its handler and its instance."""
    spec = {"actions": [{"handler": name, "instances": [name]}], **({"match": match} if match else {}), **more}
    kinds = (("handler", made), ("instance", of), ("rule", spec))
    return "\n---\n".join(document(kind, name, one, namespace) for kind, one in kinds)


def surveyed(
    *texts: str, labels: Mapping[str, str] = RATINGS, role: Role = Role.SIDECAR, workloads: Iterable[Workload] = ()
) -> Surveyed:
    """What rules come to at a workload of the namespace default, which must be without faults."""
    world = worlds.snapshot("\n---\n".join(texts), workloads=workloads)
    view = worlds.view(world, role=role, labels=labels)
    found = RuleSets().of(view)
    assert not found.violations and not found.unresolved
    return survey(view, found)


def where(found: Surveyed) -> set[Where]:
    return {one.where for _, one in found.placements}


DECIDED_BY_THE_PROXY = {
    "a label of both ends": (
        'destination.labels["app"] == "ratings" && source.labels["app"] == "reviews"',
        DENIER,
        NOTHING,
    ),
    "a header": ('request.headers["x"] != "secret"', DENIER, NOTHING),
    "a header with a default": ('(request.headers["x"] | "none") != "secret"', DENIER, NOTHING),
    "an expression": ("request.size > 10", DENIER, NOTHING),
    "a regular expression": ('"^/a".matches(request.path)', DENIER, NOTHING),
    "an address": ('source.ip == ip("10.1.2.3")', DENIER, NOTHING),
    "a list of texts": ("", listed("v1", "v2"), value('source.labels["version"]')),
    "a list of addresses": ("", listed("10.0.0.0/8", entryType="IP_ADDRESSES"), value("source.ip")),
    "a list in any case": ("", listed("A", entryType="CASE_INSENSITIVE_STRINGS"), value('request.headers["x"] | ""')),
    "a list of expressions": ("", listed("^a", entryType="REGEX", blacklist=True), value("request.path")),
    "what nobody knows": ('(request.reason | "none") == "none"', DENIER, NOTHING),
    "CEL": ('request.headers["x"] in ["a", "b"]', DENIER, NOTHING),
}


@pytest.mark.parametrize("name", DECIDED_BY_THE_PROXY)
def test_the_proxy_decides_itself(name: str) -> None:
    match, made, of = DECIDED_BY_THE_PROXY[name]
    text = rule(match, made, of)
    if name == "CEL":
        text = text.replace('"name": "r"', '"name": "r", "annotations": {"policy.istio.io/lang": "CEL"}')
    found = surveyed(text)
    assert where(found) == {Where.DENIALS}
    assert found.everywhere.requests.denials
    assert found.everywhere.requests.remote is None


ASKED_OF_MIXER = {
    "a policy in Rego": (
        "",
        handler("opa", policy=["package p\nallow = true"], checkMethod="data.p.allow"),
        {"compiledTemplate": "authorization"},
        "adapter opa",
    ),
    "a fetched list": ("", listed(providerUrl="http://lists/all"), value("request.path"), "fetched"),
    "a long list": ("", listed(*map(str, range(501))), value("request.path"), "more than 500"),
    "an address in a text": ("", listed("10.0.0.0/8", entryType="IP_ADDRESSES"), value("request.host"), "in texts"),
    "a parameter of the query": ('request.query_params["a"] == "1"', DENIER, NOTHING, "request.query_params"),
    "a token": ('request.auth.principal == "a/b"', DENIER, NOTHING, "request.auth.principal"),
    "an instance's own name": ('destination.name == "ratings-1"', DENIER, NOTHING, "destination.name"),
    "a pattern that is not fixed": ("match(request.path, request.host)", DENIER, NOTHING, "not fixed"),
}


@pytest.mark.parametrize("name", ASKED_OF_MIXER)
def test_mixer_is_asked_and_the_reason_is_told(name: str) -> None:
    match, made, of, why = ASKED_OF_MIXER[name]
    found = surveyed(rule(match, made, of))
    assert where(found) == {Where.CHECK}
    assert all(why in one.why for _, one in found.placements)
    assert found.everywhere.requests.remote is not None
    assert not found.everywhere.requests.denials


def test_a_rule_that_never_matches_here_costs_nothing() -> None:
    text = rule('destination.labels["app"] == "details"')
    world = worlds.snapshot(text)
    view = worlds.view(world, labels=RATINGS)
    plan = build_plan(view)
    assert with_mixer(plan, view, RuleSets()) == plan


def test_a_mesh_without_rules_keeps_its_plans() -> None:
    view = worlds.view(worlds.snapshot(""))
    plan = build_plan(view)
    assert with_mixer(plan, view, RuleSets()) is plan


def test_rules_are_compiled_once_as_long_as_nothing_that_they_ask_for_changes() -> None:
    before = worlds.snapshot(rule('source.labels["app"] == "web"'))
    after = worlds.snapshot(rule('source.labels["app"] == "web"') + "\n---\n" + PRODUCTPAGE, previous=before)
    rule_sets = RuleSets()
    one, other = (worlds.view(world, labels=RATINGS) for world in (before, after))
    assert one != other
    assert rule_sets.surveyed(one) is rule_sets.surveyed(other)
    rule_sets.forget_others([])
    assert rule_sets.surveyed(one) is not rule_sets.surveyed(worlds.view(after, labels={"app": "another"}))


def test_only_what_mixer_may_refuse_is_sent_to_it() -> None:
    gated = surveyed(rule('request.method == "POST" && request.query_params["a"] == "1"')).everywhere.requests.remote
    assert gated is not None
    (only,) = gated.rules
    assert "POST" in str(only.when)


def test_a_value_that_is_not_there_is_an_internal_fault_unless_the_handler_fails_open() -> None:
    closed = surveyed(rule("", listed("a", blacklist=True), value('request.headers["x"]')))
    assert [one.reply.status for one in closed.everywhere.requests.denials] == [500, 403]
    text = rule("", listed("a", blacklist=True), value('request.headers["x"]'))
    opened = text.replace(
        '"kind": "handler", "metadata": {',
        '"kind": "handler", "metadata": {"annotations": {"lateen.dev/fail-open": "true"}, ',
    )
    assert [one.reply.status for one in surveyed(opened).everywhere.requests.denials] == [403]


def test_labels_that_certificates_do_not_say_come_from_the_directory() -> None:
    """Replicas are recognized by what their certificates say; only where that is not enough, by their names."""
    gateways = [_workload(f"gw-{n}", istio="ingressgateway", app="gw") for n in (1, 2)]
    alike = surveyed(rule('source.labels["istio"] == "ingressgateway"'), workloads=gateways)
    assert "gw-1" not in str(alike.everywhere.requests.denials)
    mixed = surveyed(
        rule('source.labels["istio"] == "ingressgateway"'), workloads=[*gateways, _workload("gw-3", app="gw")]
    )
    assert "gw-1" in str(mixed.everywhere.requests.denials)
    assert "gw-3" not in str(mixed.everywhere.requests.denials)


def _workload(name: str, **labels: str) -> Workload:
    return Workload(WorkloadKey("istio-system", name), "10.0.0.1", labels, owner="gw")


PRODUCTPAGE = """
apiVersion: v1
kind: Service
metadata: {name: productpage}
spec: {selector: {app: productpage}, ports: [{name: http, port: 9080, targetPort: 8080}]}
"""
PAGE = {"app": "productpage", "version": "v1"}


def quota(max_amount: int = 5, duration: str = "1s", adapter: str = "memquota", **more: Any) -> str:
    """A quota with an override, and what charges requests to the product page for it."""
    overrides = [{"dimensions": {"source": "vip", "app": "productpage"}, "maxAmount": 50}]
    overrides += [{"dimensions": {"app": "other"}, "maxAmount": 1}]
    made = {"name": "r", "maxAmount": max_amount, "validDuration": duration, "overrides": overrides}
    dimensions = {"source": 'request.headers["x"] | "none"', "app": 'destination.labels["app"] | "unknown"', **more}
    return "\n---\n".join(
        (
            PRODUCTPAGE,
            rule(
                "", handler(adapter, quotas=[made]), {"compiledTemplate": "quota", "params": {"dimensions": dimensions}}
            ),
            document("QuotaSpec", "s", {"rules": [{"quotas": [{"quota": "r", "charge": 2}]}]}),
            document("QuotaSpecBinding", "b", {"services": [{"name": "productpage"}], "quotaSpecs": [{"name": "s"}]}),
        )
    )


def test_a_quota_in_memory_is_a_limit_of_the_proxy_of_the_bound_service() -> None:
    found = surveyed(quota(), labels=PAGE)
    ((port, compiled),) = found.by_port
    assert port.number == 8080
    (limit,) = compiled.limits[0].limits
    assert (limit.allowance.rate.requests, limit.cost) == (5, 2)
    assert len(limit.dimensions) == 1  # what is the same for all requests here tells none apart
    assert [(one.values, one.allowance and one.allowance.rate.requests) for one in limit.overrides] == [
        (((0, "vip"),), 50)
    ]
    assert not surveyed(quota(), labels=RATINGS).by_port


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (quota(duration="0s"), "held"),
        (quota(max_amount=0), "lets nothing pass"),
        (quota(tier='request.query_params["tier"] | "none"'), "not known to all proxies"),
    ],
)
def test_quotas_that_proxies_cannot_count_are_counted_by_mixer(text: str, why: str) -> None:
    found = surveyed(text, labels=PAGE)
    ((_, compiled),) = found.by_port
    assert not compiled.limits
    assert compiled.requests.remote is not None
    assert any(why in one.why for one in compiled.placements)


METRIC = {
    "compiledTemplate": "metric",
    "params": {"value": "2", "dimensions": {"who": 'source.labels["app"] | "unknown"'}},
}
PROMETHEUS = handler(
    "prometheus",
    metrics=[{"name": "double", "instance_name": "r.instance.default", "kind": "COUNTER", "label_names": ["who"]}],
)


def test_a_metric_is_counted_by_the_proxies_of_both_sides() -> None:
    found = surveyed(rule("", PROMETHEUS, METRIC))
    for side, who in ((found.inbound, "lateen.peer.app"), (found.outbound, "ratings")):
        requests, connections = side.metrics
        assert (requests.name, requests.value, requests.kind) == ("istio_double", "2", MetricKind.COUNTER)
        assert who in str(requests.tags[0].value)
        assert connections.of_connections


def test_the_kind_of_the_reporter_chooses_the_side() -> None:
    found = surveyed(rule('context.reporter.kind == "inbound" && context.protocol == "http"', PROMETHEUS, METRIC))
    assert [one.of_requests for one in found.inbound.metrics] == [True]
    assert not found.outbound.metrics


def test_a_log_entry_is_an_access_log() -> None:
    entry = {"severity": '"warning"', "variables": {"code": "response.code | 0", "took": 'response.duration | "0ms"'}}
    stdio = handler("stdio", severity_levels={"warning": "WARNING"})
    found = surveyed(rule("response.code >= 500", stdio, {"compiledTemplate": "logentry", "params": entry}))
    requests = found.inbound.logs[0]
    assert isinstance(requests.sink, LogFile)
    assert requests.sink.path == "/dev/stdout"
    line = json.loads(requests.sink.format)
    assert (line["level"], line["code"], line["took"]) == ("warning", "%CEL(response.code)%", "%DURATION%ms")
    assert requests.when == "has(request.method) && (response.code >= 500)"


def test_reports_that_no_proxy_can_make_are_told_to_mixer() -> None:
    statsd = handler("statsd", metrics={"r.instance.default": {}})
    wanted = {
        "compiledTemplate": "metric",
        "params": {"value": "1", "dimensions": {"a": 'request.headers["x-a"] | ""'}},
    }
    found = surveyed(rule('context.protocol != "tcp"', statsd, wanted))
    (stream,) = found.inbound.logs
    assert isinstance(stream.sink, LogServer)
    assert (stream.sink.protocol, stream.sink.log_name) == (LogProtocol.HTTP_ALS, "mixer-inbound")
    assert stream.sink.request_headers == ("x-a",)


def test_spans_are_the_proxys_own_with_the_tags_of_the_rule() -> None:
    zipkin = handler("zipkin", url="http://zipkin.tools:9411/api/v2/spans", sample_probability=0.5)
    span = {"trace_id": 'request.headers["x-b3-traceid"] | ""', "span_tags": {"user": 'request.headers["x"] | "none"'}}
    text = rule('context.reporter.kind == "inbound"', zipkin, {"compiledTemplate": "tracespan", "params": span})
    service = {"metadata": {"name": "zipkin", "namespace": "tools"}, "spec": {"ports": [{"port": 9411}]}}
    world = worlds.snapshot(text + "\n---\n" + json.dumps({"apiVersion": "v1", "kind": "Service", **service}))
    view = worlds.view(world)
    tracing = with_mixer(build_plan(view), view, RuleSets()).telemetry.inbound.tracing
    assert tracing is not None
    assert tracing.collector.cluster == "outbound|9411||zipkin.tools.svc.cluster.local"
    assert tracing.sampling_percent >= 50
    assert [tag.name for tag in tracing.tags if "request.headers" in tag.value] == ["user"]


def test_header_operations_are_the_proxys_where_mixer_is_not_asked() -> None:
    operations = [{"name": "x-who", "values": ['source.labels["app"] | "none"']}]
    found = surveyed(document("rule", "h", {"match": 'request.method == "GET"', "requestHeaderOperations": operations}))
    (changes,) = found.everywhere.headers
    (change,) = changes.request
    assert change.action is HeaderAction.REPLACE
    assert change.value.startswith('%CEL(":method" in request.headers')
    asked = surveyed(
        document("rule", "h", {"requestHeaderOperations": operations}), rule('request.query_params["a"] == "1"')
    )
    assert not asked.everywhere.headers
    assert asked.everywhere.requests.remote is not None


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        (rule('destination.labels["app"] == "a" && source.labels["x"] == "b"'), False),
        (rule('destination.labels["app"] == "a" && request.query_params["x"] == "b"'), True),
        (rule("", PROMETHEUS, METRIC), False),
        (rule("", handler("statsd", metrics={"r.instance.default": {}}), METRIC), True),
        (quota(), False),
        (quota(duration="0s"), True),
        (quota(tier='request.headers["tier"]'), True),
    ],
)
def test_mixer_runs_only_where_something_is_left_for_it(text: str, needed: bool) -> None:
    view = worlds.view(worlds.snapshot(text))
    assert needs_mixer(RuleSets().of(view)) is needed
