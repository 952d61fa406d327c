"""Rules among their handlers, instances and manifests: what counts, and what is wrong with what does not."""

import base64
import itertools
from datetime import timedelta

import pytest

from lateen.api.config_set import ConfigSet
from lateen.api.expressions.types import ValueType
from lateen.api.mixer.checks import DenierParams
from lateen.api.mixer.templates import Variety
from lateen.mixer import check, rules
from lateen.mixer.bound_services import CalledService
from tests.mixer.mixes import bag, config, document, faults, ready_rules, rule_set

DENIER = document("handler", "deny", "compiledAdapter: denier\nparams: {validDuration: 1s}")
NOTHING = document("instance", "nothing", "compiledTemplate: checknothing")
RULE = document("rule", "r", "match: connection.mtls\nactions: [{handler: deny, instances: [nothing]}]")


def test_a_rule_finds_its_handler_and_instance() -> None:
    found = rule_set(DENIER, NOTHING, RULE)
    (rule,) = found.rules
    (action,) = rule.actions
    assert (found.violations, found.unresolved) == ((), ())
    assert (rule.name, action.handler.name) == ("r.rule.default", "deny.handler.default")
    assert isinstance(action.handler.settings, DenierParams)
    assert action.handler.settings.valid_duration == timedelta(seconds=1)
    assert [(each.name, each.variety) for each in action.instances] == [("nothing.instance.default", Variety.CHECK)]


@pytest.mark.parametrize(
    ("handler", "instance"),
    [
        ("deny", "nothing"),
        ("deny.handler", "nothing.instance"),
        ("deny.handler.default", "nothing.instance.default"),
        ("deny.default", "nothing.default"),
        ("old.denier", "old.checknothing"),
        ("old.denier.default", "nothing"),
    ],
)
def test_the_end_of_a_name_may_be_left_out(handler: str, instance: str) -> None:
    older = (document("denier", "old"), document("checknothing", "old"))
    rule = document("rule", "r", f"actions: [{{handler: {handler}, instances: [{instance}]}}]")
    assert faults(DENIER, NOTHING, *older, rule) == []


def test_an_empty_match_always_holds() -> None:
    rule = RULE.replace("match: connection.mtls", 'match: ""')
    assert check.dispatch(ready_rules(DENIER, NOTHING, rule), bag(), "default").questions


def test_rules_of_the_root_namespace_concern_all_others_their_own() -> None:
    everywhere = document("rule", "istio-system/all", "actions: []")
    found = rule_set(RULE, DENIER, NOTHING, everywhere)
    assert [rule.name for rule in found.of_namespace("default")] == ["r.rule.default", "all.rule.istio-system"]
    assert [rule.name for rule in found.of_namespace("shop")] == ["all.rule.istio-system"]


def test_the_annotation_chooses_the_language() -> None:
    text = "match: has(request.headers.x) && !connection.mtls\nactions: []"
    assert faults(document("rule", "r", text, annotations="policy.istio.io/lang: CEL")) == []
    assert faults(document("rule", "r", "match: connection.mtls", annotations="policy.istio.io/lang: COMPAT")) == []
    assert faults(document("rule", "r", text)) == [
        "mixer.yaml:7: rule default/r: spec.match: must not negate: Mixer's language has no NOT; compare with != or == "
        "false (at character 27); it is CEL, which the annotation policy.istio.io/lang: CEL says"
    ]
    assert faults(document("rule", "r", "match: connection.mtls", annotations="policy.istio.io/lang: GO")) == [
        "mixer.yaml:7: rule default/r: metadata.annotations.policy.istio.io/lang: must be one of CEXL, COMPAT, CEL, not GO"
    ]


def test_the_label_of_the_first_releases_chooses_the_protocol() -> None:
    def holds(label: str, protocol: str) -> bool:
        written = RULE.replace("metadata:", f"metadata:\n  labels: {{istio-protocol: {label}}}")
        request = bag({"connection.mtls": True, "context.protocol": protocol})
        return bool(check.dispatch(ready_rules(DENIER, NOTHING, written), request, "default").questions)

    assert [holds("tcp", each) for each in ("tcp", "http", "grpc")] == [True, False, False]
    assert [holds("http", each) for each in ("tcp", "http", "grpc")] == [False, True, True]


METRIC = document("metric", "m", 'value: "1"\ndimensions:\n  source: source.workload.name | "unknown"')
FAULTS = {
    "an unknown handler": (
        (NOTHING, DENIER, RULE.replace("handler: deny,", "handler: dny,")),
        ["mixer.yaml:25: rule default/r: spec.actions[0].handler: unknown handler dny; did you mean deny?"],
    ),
    "an unknown instance": (
        (NOTHING, DENIER, RULE.replace("[nothing]", "[noting]")),
        ["mixer.yaml:25: rule default/r: spec.actions[0].instances[0]: unknown instance noting; did you mean nothing?"],
    ),
    "a template that the adapter does not take": (
        (DENIER, METRIC, document("rule", "r", "actions: [{handler: deny, instances: [m.metric]}]")),
        [
            "mixer.yaml:26: rule default/r: spec.actions[0].instances[0]: must be of a template that denier takes "
            "(checknothing, listentry, quota), not metric"
        ],
    ),
    "an unknown attribute of an instance, and the rule that needs it": (
        (
            document("handler", "logs", "compiledAdapter: stdio"),
            document("metric", "m", 'value: "1"\ndimensions:\n  source: source.wrkload.name | "unknown"'),
            document("rule", "r", "actions: [{handler: logs, instances: [m.metric]}]"),
        ),
        [
            "mixer.yaml:17: metric default/m: spec.dimensions.source: unknown attribute source.wrkload.name; did you "
            "mean source.workload.name? (at character 1)",
            "mixer.yaml:25: rule default/r: spec.actions[0].instances[0]: must be without faults: the instance m.metric "
            "has some",
        ],
    ),
    "a field of a wrong type": (
        (document("listentry", "l", "value: request.size"),),
        ["mixer.yaml:7: listentry default/l: spec.value: must be a STRING or IP_ADDRESS, not a INT64 (at character 1)"],
    ),
    "a field of a wrong type below params": (
        (document("instance", "l", "compiledTemplate: authorization\nparams:\n  subject: {user: request.size}"),),
        [
            "mixer.yaml:9: instance default/l: spec.params.subject.user: must be a STRING, not a INT64 (at character 1)"
        ],
    ),
    "a match that is no condition": (
        (document("rule", "r", "match: request.path"),),
        ["mixer.yaml:7: rule default/r: spec.match: must be a BOOL, not a STRING (at character 1)"],
    ),
    "a check that waits for the response": (
        (DENIER, NOTHING, RULE.replace("connection.mtls", "response.code == 200")),
        ["mixer.yaml:24: rule default/r: spec.match: must not read response.code, which is not known yet when a "
         "request is checked"],
    ),
    "a header operation that waits for the response": (
        (document("rule", "r", "match: response.code == 200\nresponseHeaderOperations: [{name: a, operation: REMOVE}]"),),
        ["mixer.yaml:7: rule default/r: spec.match: must not read response.code, which is not known yet when a "
         "request is checked"],
    ),
    "a quota that waits for the response": (
        (
            document("memquota", "h", "quotas: [{name: q, maxAmount: 1}]"),
            document("quota", "q", "dimensions:\n  code: response.code"),
            document("rule", "r", "actions: [{handler: h.memquota, instances: [q.quota]}]"),
        ),
        ["mixer.yaml:24: rule default/r: spec.actions[0].instances[0]: must not name q.quota in a check: it reads "
         "response.code, which is not known yet then"],
    ),
    "a header with a number": (
        (document("rule", "r", "request_header_operations:\n- name: a\n  values: [request.size]"),),
        ["mixer.yaml:9: rule default/r: spec.request_header_operations[0].values[0]: must be a STRING, not a INT64 "
         "(at character 1)"],
    ),
    "an adapter that nobody describes": (
        (document("handler", "h", "adapter: mine\nconnection: {address: 'mine:80'}"),),
        ["mixer.yaml:7: handler default/h: spec.adapter: must name an object of the kind adapter, not mine"],
    ),
    "a template that nobody describes": (
        (document("instance", "i", "template: mine"),),
        ["mixer.yaml:7: instance default/i: spec.template: must name an object of the kind template, not mine"],
    ),
    "a descriptor that is none": (
        (document("template", "mine", "descriptor: AAAA"), document("instance", "i", "template: mine")),
        ["mixer.yaml:7: template default/mine: spec.descriptor: must be the descriptor of a template: it has no option "
         "template_variety"],
    ),
    "a binding to an attribute that is not declared": (
        (document("kubernetes", "k", "source_uid: source.uid\nattribute_bindings:\n  my.ip: $out.source_pod_ip"),),
        ["mixer.yaml:9: kubernetes default/k: spec.attribute_bindings.my.ip: unknown attribute my.ip: declare it in an "
         "attributemanifest"],
    ),
    "a binding of a wrong type": (
        (document("kubernetes", "k", "attribute_bindings:\n  source.ip: $out.source_pod_name"),),
        ["mixer.yaml:8: kubernetes default/k: spec.attribute_bindings.source.ip: must be a IP_ADDRESS, not a STRING "
         "(at character 1)"],
    ),
    "a QuotaSpec that is not there": (
        (document("QuotaSpecBinding", "b", "quotaSpecs: [{name: q}]\nservices: [{name: reviews}]"),),
        ["mixer.yaml:7: QuotaSpecBinding default/b: spec.quotaSpecs[0].name: there is no q in the namespace default"],
    ),
    "a clause about an unknown attribute": (
        (document("QuotaSpec", "q", "rules:\n- match: [{clause: {my.color: {exact: red}}}]\n  quotas: [{quota: q}]"),),
        ["mixer.yaml:8: QuotaSpec default/q: spec.rules[0].match[0].clause.my.color: unknown attribute my.color"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_what_does_not_work_out_is_told_with_its_place(case: str) -> None:
    documents, expected = FAULTS[case]
    assert faults(*documents) == expected


def test_what_has_faults_takes_no_part_and_all_else_does() -> None:
    broken = document("rule", "broken", "match: nothing.there\nactions: [{handler: deny, instances: [nothing]}]")
    found = rule_set(DENIER, NOTHING, broken, RULE, document("listentry", "l", "value: nothing.there"))
    assert [rule.name for rule in found.rules] == ["r.rule.default"]
    assert list(found.instances) == ["nothing.instance.default"]


def test_the_order_of_objects_does_not_matter() -> None:
    documents = (DENIER, NOTHING, RULE, METRIC, document("rule", "broken", "match: nothing.there"))
    objects = list(config(*documents))
    found = {repr(rules.resolve(ConfigSet(order), "istio-system")) for order in itertools.permutations(objects)}
    assert len(found) == 1


def test_an_adapter_of_its_own_process_is_described_by_objects() -> None:
    described = document(
        "adapter", "istio-system/mine", "session_based: true\ntemplates: [metric, colors.istio-system]"
    )
    template = document("template", "istio-system/colors", f"descriptor: {base64.b64encode(template_file(1)).decode()}")
    handler = document("handler", "h", "adapter: mine.istio-system\nparams: {depth: 3}\nconnection: {address: 'a:1'}")
    instance = document("instance", "c", "template: colors.istio-system\nparams: {color: {name: '\"red\"'}}")
    rule = document("rule", "r", "actions: [{handler: h, instances: [c]}]")
    found = rule_set(described, template, handler, instance, rule)
    assert (found.violations, found.unresolved) == ((), ())
    (action,) = found.rules[0].actions
    assert not action.handler.is_built_in
    assert (action.handler.adapter, action.handler.templates) == ("mine", ("metric", "colors"))
    assert action.handler.params == {"depth": 3}
    assert action.instances[0].variety is Variety.REPORT
    assert [(field.at, field.typed.type) for field in action.instances[0].fields] == [
        (("color", "name"), ValueType.STRING)
    ]


def template_file(variety: int) -> bytes:
    """Return a descriptor of a file whose only option is its template's variety."""
    tag = 72295727 << 3
    option = b""
    while tag > 0x7F:
        option += bytes([tag & 0x7F | 0x80])
        tag >>= 7
    option += bytes([tag, variety])
    return bytes([0x42, len(option)]) + option


def test_manifests_add_attributes() -> None:
    manifest = document("attributemanifest", "mine", "attributes: {my.color: {valueType: STRING}}")
    rule = document("rule", "r", 'match: my.color == "red"')
    assert rule_set(manifest, rule).types["my.color"] is ValueType.STRING
    assert faults(manifest, rule) == []


MANIFEST_FAULTS = {
    "twice": (
        "attributes: {my.color: {valueType: STRING}}",
        "mixer.yaml:15: attributemanifest default/two: spec.attributes.my.color: must be declared once: "
        "attributemanifest default/one at mixer.yaml:7 declares it already",
    ),
    "otherwise than everywhere": (
        "attributes: {request.size: {valueType: STRING}}",
        "mixer.yaml:15: attributemanifest default/two: spec.attributes.request.size: must have the valueType INT64, "
        "which this attribute has everywhere, not STRING",
    ),
}


@pytest.mark.parametrize("case", MANIFEST_FAULTS)
def test_an_attribute_is_declared_once_and_with_one_type(case: str) -> None:
    second, expected = MANIFEST_FAULTS[case]
    first = "attributes: {my.color: {valueType: STRING}, request.path: {valueType: STRING}}"
    found = faults(document("attributemanifest", "one", first), document("attributemanifest", "two", second))
    assert found == [expected]


def test_charges_of_bound_specs_add_up() -> None:
    spec = """
    rules:
    - quotas: [{quota: RequestCount, charge: 1}]
    - match:
      - clause: {request.method: {exact: POST}, request.path: {prefix: /v1}}
      - clause: {request.path: {regex: "/slow.*"}}
      quotas: [{quota: requestcount, charge: 4}, {quota: writes}]
    """
    binding = "quotaSpecs: [{name: s}]\nservices: [{name: reviews}, {service: shop.example}]"
    found = rule_set(document("QuotaSpec", "s", spec), document("QuotaSpecBinding", "b", binding))
    reviews = CalledService("reviews.default.svc.cluster.local", "reviews", "default")
    assert found.charges.of(reviews, bag({"request.path": "/a"})) == {"requestcount": 1}
    assert found.charges.of(reviews, bag({"request.path": "/slow/a"})) == {"requestcount": 5, "writes": 1}
    assert found.charges.of(reviews, bag({"request.path": "/v1/a", "request.method": "POST"})) == {
        "requestcount": 5,
        "writes": 1,
    }
    assert found.charges.of(CalledService("shop.example"), bag()) == {"requestcount": 1}
    assert found.charges.of(CalledService(name="reviews", namespace="shop"), bag()) == {}


def test_the_quota_of_the_first_release_needs_no_spec() -> None:
    quota = document("quota", "RequestCount".lower())
    service = CalledService("a")
    assert rule_set(quota).charges.of(service, bag()) == {"requestcount": 1}
    spec = document("QuotaSpec", "s", "rules: [{quotas: [{quota: requestcount}]}]")
    assert rule_set(quota, spec).charges.of(service, bag()) == {}
