"""Mixer's kinds as users write them: what is taken, and what is said about what is not."""

from datetime import timedelta

import pytest

from lateen.api import decode, kinds
from lateen.api.mixer import adapters, templates
from lateen.api.mixer.checks import DenierParams, EntryType, ListCheckerParams
from lateen.api.mixer.handler import Handler
from lateen.api.mixer.instance import Instance
from lateen.api.mixer.quotas import MemQuotaParams
from lateen.api.mixer.reports import Level, LogStream, MetricKind, PrometheusParams, StatsdParams, StdioParams
from lateen.api.mixer.templates import KubernetesInstance, MetricParams
from lateen.api.status_codes import StatusCode
from lateen.api.structs import Struct


def document(kind: str, spec: str) -> str:
    body = "".join(f"  {line}\n" for line in spec.strip("\n").split("\n"))
    return f"apiVersion: config.istio.io/v1alpha2\nkind: {kind}\nmetadata: {{name: x}}\nspec:\n{body}"


def decoded(kind: str, spec: str) -> Struct:
    found = decode.decode_yaml(document(kind, spec), "x.yaml")
    assert found.violations == ()
    return found.objects[0].spec


def faults(kind: str, spec: str) -> list[str]:
    found = decode.decode_yaml(document(kind, spec), "x.yaml")
    return [str(violation).replace(f"{kind} default/x: ", "") for violation in found.violations]


def test_a_handler_has_its_adapters_settings_with_their_defaults() -> None:
    handler = decoded("handler", "compiledAdapter: denier\nparams:\n  status: {code: 7, message: Not allowed}")
    assert isinstance(handler, Handler)
    settings = handler.settings
    assert isinstance(settings, DenierParams)
    assert (settings.status.code, settings.status.message) == (StatusCode.PERMISSION_DENIED, "Not allowed")
    assert (settings.valid_duration, settings.valid_use_count) == (timedelta(seconds=5), 1000)


@pytest.mark.parametrize("spelling", ["camelCase", "snake_case"])
def test_fields_are_taken_by_both_of_their_names(spelling: str) -> None:
    names = {"maxAmount": "max_amount", "validDuration": "valid_duration"} if spelling == "snake_case" else {}
    text = "quotas:\n- name: q\n  maxAmount: 5\n  validDuration: 1s\n  overrides:\n  - dimensions: {a: b}\n    maxAmount: 1"
    for camel, snake in names.items():
        text = text.replace(camel, snake)
    quotas = decoded("memquota", text)
    assert isinstance(quotas, MemQuotaParams)
    assert (quotas.quotas[0].max_amount, quotas.quotas[0].overrides[0].max_amount) == (5, 1)


def test_the_older_kind_of_an_adapter_says_the_same() -> None:
    older = decoded("listchecker", 'overrides: ["v1", "v2"]\nblacklist: true\nentryType: CASE_INSENSITIVE_STRINGS')
    text = 'compiledAdapter: listchecker\nparams:\n  overrides: ["v1", "v2"]\n  blacklist: true'
    newer = decoded("handler", f"{text}\n  entryType: CASE_INSENSITIVE_STRINGS")
    assert isinstance(newer, Handler)
    assert isinstance(older, ListCheckerParams)
    assert older == newer.settings
    assert (older.ttl, older.entry_type) == (timedelta(seconds=300), EntryType.CASE_INSENSITIVE_STRINGS)


def test_an_instance_has_the_fields_of_its_template() -> None:
    text = (
        'value: "2"\ndimensions: {source: source.workload.name | "unknown"}\nmonitored_resource_type: \'"UNSPECIFIED"\''
    )
    older = decoded("metric", text)
    indented = "".join(f"  {line}\n" for line in text.split("\n"))
    newer = decoded("instance", f"compiledTemplate: metric\nparams:\n{indented}")
    assert isinstance(newer, Instance)
    assert isinstance(older, MetricParams)
    assert older == newer.fields
    assert older.dimensions == {"source": 'source.workload.name | "unknown"'}


def test_bindings_of_the_first_release_are_taken() -> None:
    instance = decoded("kubernetes", "source_uid: source.uid\nattribute_bindings:\n  source.ip: $out.source_pod_ip")
    assert isinstance(instance, KubernetesInstance)
    assert instance.attribute_bindings == {"source.ip": "$out.source_pod_ip"}


def test_metrics_of_prometheus_are_taken_as_they_are_documented() -> None:
    text = """
metrics:
- name: request_duration
  instance_name: requestduration.metric.istio-system
  kind: DISTRIBUTION
  buckets:
    explicit_buckets: {bounds: [0.005, 0.01, 1]}
  label_names: [source, destination]
metricsExpirationPolicy: {metricsExpiryDuration: 10m}
"""
    params = decoded("prometheus", text)
    assert isinstance(params, PrometheusParams)
    assert params.metrics[0].buckets is not None
    assert params.metrics[0].label_names == ("source", "destination")


def test_choices_may_be_written_by_their_numbers() -> None:
    stdio = decoded("stdio", "severity_levels: {warning: 1}\nlogStream: 3\noutputPath: /tmp/a")
    assert isinstance(stdio, StdioParams)
    assert (stdio.severity_levels["warning"], stdio.log_stream) == (Level.WARNING, LogStream.ROTATED_FILE)
    statsd = decoded("statsd", "metrics: {m: {type: 2}}")
    assert isinstance(statsd, StatsdParams)
    assert statsd.metrics["m"].type is MetricKind.GAUGE


REFUSED = {
    "an unknown adapter": ("handler", "compiledAdapter: denyer", ["x.yaml:5: spec.compiledAdapter: unknown adapter denyer; did you mean denier?"]),
    "an unknown template": (
        "instance",
        "compiledTemplate: metrics",
        ["x.yaml:5: spec.compiledTemplate: unknown template metrics; did you mean metric?"],
    ),
    "an unknown parameter": (
        "handler",
        "compiledAdapter: memquota\nparams:\n  quotas:\n  - name: q\n    max_amount: 1\n    maxAmont: 2",
        ["x.yaml:10: spec.params.quotas[0].maxAmont: unknown field; did you mean maxAmount?"],
    ),
    "a parameter of a wrong type": (
        "handler",
        "compiledAdapter: memquota\nparams:\n  quotas:\n  - name: q\n    max_amount: many",
        ["x.yaml:9: spec.params.quotas[0].max_amount: must be a whole number, not 'many'"],
    ),
    "a field that the template does not have": (
        "checknothing",
        "value: source.ip",
        ["x.yaml:5: spec.value: unknown field"],
    ),
    "an expression with a fault": (
        "rule",
        "match: source.ip ==",
        ["x.yaml:5: spec.match: must have a value here, not the end (at character 13)"],
    ),
    "a number where an expression is needed": (
        "metric",
        "value: 2",
        ['x.yaml:5: spec.value: must be text, not 2: write "2" in quotes'],
    ),
    "neither form of an adapter": ("handler", "params: {}", ["x.yaml:4: spec: must have one of compiledAdapter, adapter"]),
    "an own adapter without an address": (
        "handler",
        "adapter: mine",
        ["x.yaml:4: spec.connection: must be set: an adapter of its own process has an address"],
    ),
    "a status that does not refuse": (
        "denier",
        "status: {code: 0}",
        [
            "x.yaml:5: spec.status.code: must be a code that refuses: "
            + ", ".join(f"{code.value} ({code.name})" for code in StatusCode if code)
            + "; not 0"
        ],
    ),
    "an address list with a name": (
        "listchecker",
        "entryType: IP_ADDRESSES\noverrides: [10.0.0.0/8, nowhere]",
        ["x.yaml:6: spec.overrides[1]: must be an IP address or a range like 10.0.0.0/8, not 'nowhere'"],
    ),
    "a rolling window without buckets": (
        "redisquota",
        "redisServerUrl: localhost:6379\nquotas:\n- {name: q, maxAmount: 1, validDuration: 1s, rateLimitAlgorithm: ROLLING_WINDOW}",
        ["x.yaml:7: spec.quotas[0].bucketDuration: must be longer than 0 and shorter than validDuration"],
    ),
    "a quota twice": (
        "memquota",
        "quotas:\n- {name: q, maxAmount: 1}\n- {name: q, maxAmount: 2}",
        ["x.yaml:7: spec.quotas[1].name: must be another name than that of an earlier quota: q"],
    ),
    "a header in upper case": (
        "rule",
        "requestHeaderOperations:\n- name: X-A\n  values: ['\"a\"']",
        ["x.yaml:6: spec.requestHeaderOperations[0].name: must be in lower case: x-a, not X-A"],
    ),
    "an action that has another's name": (
        "rule",
        "actions:\n- {handler: a, name: n}\n- {handler: b, name: n}",
        ["x.yaml:7: spec.actions[1].name: must be another name than that of an earlier action"],
    ),
    "a QuotaSpec that charges nothing": (
        "QuotaSpec",
        "rules:\n- quotas: []",
        ["x.yaml:6: spec.rules[0].quotas: must have at least 1 entry"],
    ),
    "an attribute of no type": (
        "attributemanifest",
        "attributes:\n  my.attribute: {valueType: TEXT}",
        ["x.yaml:6: spec.attributes.my.attribute.valueType: must be one of STRING, INT64, DOUBLE, BOOL, TIMESTAMP, "
         "IP_ADDRESS, EMAIL_ADDRESS, URI, DNS_NAME, DURATION, STRING_MAP, not 'TEXT'"],
    ),
    "a template of a path that is none": (
        "HTTPAPISpec",
        "patterns:\n- {httpMethod: GET, uriTemplate: '/a/{b'}",
        ["x.yaml:6: spec.patterns[0].uriTemplate: must be a template of a path like /pets/{id}, not '/a/{b'"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused_with_its_place(case: str) -> None:
    kind, spec, expected = REFUSED[case]
    assert faults(kind, spec) == expected


def test_every_adapter_and_template_is_a_kind_too() -> None:
    rows = {row.kind: row.spec for row in kinds.KINDS if row.group == "config.istio.io"}
    for row in (*adapters.ADAPTERS, *templates.TEMPLATES):
        assert rows[row.name] is row.spec
    assert {name for row in adapters.ADAPTERS for name in row.templates} == {row.name for row in templates.TEMPLATES}
