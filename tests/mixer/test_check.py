"""What the rules ask about a request, and what the answers add up to."""

from datetime import timedelta

from lateen.api.mixer.rule import Operation
from lateen.api.status_codes import StatusCode
from lateen.mixer import check
from lateen.mixer.check import HeaderEdit, QuotaQuestion, Verdict
from lateen.mixer.ports import CheckResult
from lateen.mixer.status import HTTP_STATUS, OK, DirectResponse, Status
from lateen.mixer.values import Tracked
from tests.mixer.mixes import bag, document, ready_rules

DENIER = document("denier", "deny")
LIST = document("listchecker", "list", 'overrides: ["v1"]')
NOTHING = document("checknothing", "all")
ENTRY = document("listentry", "version", 'value: source.labels["version"]')
DENY = document(
    "rule", "deny", 'match: request.method == "PUT"\nactions: [{handler: deny.denier, instances: [all.checknothing]}]'
)
CHECK = document("rule", "list", "actions: [{handler: list.listchecker, instances: [version.listentry], name: v}]")
REFUSED = Status(StatusCode.PERMISSION_DENIED, "no")
V1 = {"source.labels": {"version": "v1"}}


def test_every_matching_rule_asks() -> None:
    rules = ready_rules(DENIER, LIST, NOTHING, ENTRY, DENY, CHECK)
    asked = check.dispatch(rules, bag({**V1, "request.method": "PUT"}), "default").questions
    made = [(each.handler.name, each.instance.fields) for each in asked if each.instance is not None]
    assert made == [("deny.denier.default", {}), ("list.listchecker.default", {"value": "v1"})]
    assert len(check.dispatch(rules, bag(V1), "default").questions) == 1


def test_rules_of_other_namespaces_ask_nothing() -> None:
    rules = ready_rules(DENIER, NOTHING, DENY)
    assert check.dispatch(rules, bag({"request.method": "PUT"}), "shop").questions == ()


def test_without_questions_all_is_well_for_a_while() -> None:
    dispatched = check.dispatch(ready_rules(), bag(), "default")
    assert check.combine(dispatched, [], bag()) == Verdict(OK, timedelta(minutes=1), 10_000)


def test_any_refusal_refuses_with_the_first_code_and_all_messages() -> None:
    rules = ready_rules(DENIER, LIST, NOTHING, ENTRY, DENY, CHECK)
    request = bag({**V1, "request.method": "PUT"})
    dispatched = check.dispatch(rules, request, "default")
    direct = DirectResponse(418, "teapot")
    answers = [
        CheckResult(REFUSED, timedelta(seconds=5), 1000, direct=direct),
        CheckResult(Status(StatusCode.NOT_FOUND, "gone"), timedelta(seconds=9), 7),
    ]
    verdict = check.combine(dispatched, answers, request)
    assert verdict.status == Status(
        StatusCode.PERMISSION_DENIED, "deny.denier.default:no, list.listchecker.default:gone"
    )
    assert (verdict.valid_duration, verdict.valid_use_count, verdict.direct) == (timedelta(seconds=5), 7, direct)
    assert verdict.status.body == f"PERMISSION_DENIED:{verdict.status.message}"
    assert verdict.status.http_status == 403


def test_an_instance_that_cannot_be_made_is_an_internal_fault() -> None:
    dispatched = check.dispatch(ready_rules(LIST, ENTRY, CHECK), bag(), "default")
    (question,) = dispatched.questions
    assert question.instance is None
    result = check.failed(question)
    assert result.status == Status(
        StatusCode.INTERNAL, 'version.listentry.default: value has no value: source.labels["version"]'
    )
    assert check.combine(dispatched, [result], bag()).valid_use_count == 0


HEADERS = document(
    "rule",
    "headers",
    """
    match: request.method == "GET"
    actions: [{handler: list.listchecker, instances: [version.listentry], name: v}]
    requestHeaderOperations:
    - name: x-version
      values: ['v.output.found | "none"', 'source.labels["missing"]', '""']
    - name: cookie
      operation: REMOVE
    responseHeaderOperations:
    - name: x-app
      values: ['source.labels["version"]', '"b"']
      operation: APPEND
    """,
)


def test_headers_change_when_nobody_refuses() -> None:
    request = bag({**V1, "request.method": "GET"})
    dispatched = check.dispatch(ready_rules(LIST, ENTRY, HEADERS), request, "default")
    verdict = check.combine(dispatched, [CheckResult(output={"found": "yes"})], request)
    assert verdict.request_headers == (
        HeaderEdit("x-version", Operation.REPLACE, "yes"),
        HeaderEdit("cookie", Operation.REMOVE),
    )
    assert verdict.response_headers == (
        HeaderEdit("x-app", Operation.APPEND, "v1"),
        HeaderEdit("x-app", Operation.APPEND, "b"),
    )
    assert check.combine(dispatched, [CheckResult(REFUSED)], request).request_headers == ()


def test_a_rule_with_headers_only_needs_no_handler() -> None:
    rule = document("rule", "h", "responseHeaderOperations: [{name: x-a, values: ['\"1\"']}]")
    dispatched = check.dispatch(ready_rules(rule), bag(), "default")
    assert check.combine(dispatched, [], bag()).response_headers == (HeaderEdit("x-a", Operation.REPLACE, "1"),)


QUOTA = document("quota", "requestcount", 'dimensions:\n  source: source.labels["app"] | "none"\n  path: request.path')
MEMORY = document("memquota", "memory", "quotas: [{name: requestcount.quota.default, maxAmount: 5}]")
COUNT = document(
    "rule", "count", "match: connection.mtls\nactions: [{handler: memory.memquota, instances: [requestcount.quota]}]"
)


def test_a_quota_is_asked_for_by_its_short_name() -> None:
    rules = ready_rules(QUOTA, MEMORY, COUNT)
    request = bag({"connection.mtls": True, "request.path": "/a"})
    found = check.quota_question(rules, request, "default", "RequestCount")
    assert isinstance(found, QuotaQuestion)
    assert found.handler.name == "memory.memquota.default"
    assert (found.instance.name, found.instance.fields) == (
        "requestcount.quota.default",
        {"dimensions": {"path": "/a", "source": "none"}},
    )


def test_a_quota_that_no_rule_has_is_granted_and_one_without_dimensions_is_a_fault() -> None:
    rules = ready_rules(QUOTA, MEMORY, COUNT)
    assert check.quota_question(rules, bag(), "default", "requestcount") is None
    assert check.quota_question(rules, bag({"connection.mtls": True}), "default", "other") is None
    fault = check.quota_question(rules, bag({"connection.mtls": True}), "default", "requestcount")
    assert isinstance(fault, Status)
    assert fault.code is StatusCode.INTERNAL


def test_a_verdict_depends_on_what_was_looked_at() -> None:
    rules = ready_rules(DENIER, LIST, NOTHING, ENTRY, DENY, CHECK)
    request = Tracked(bag({**V1, "request.method": "GET", "request.path": "/a"}))
    check.dispatch(rules, request, "default")
    assert request.referenced == {("request.method", None), ("source.labels", "version")}


def test_every_code_has_an_http_status() -> None:
    assert set(HTTP_STATUS) == set(StatusCode)
