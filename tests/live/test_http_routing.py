"""What VirtualServices do to requests, seen by who asks and by who answers."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.live.mesh import Caller, Mesh, until
from tests.live.yaml_texts import TO_V1, TO_V2, VERSIONS, rule, service, together

HTTPBIN = "http://httpbin:8000"
ODD_NAME = "a!#$%&'*+-.^_`|~z"
"""All that a name of a header may consist of."""


@pytest.fixture(autouse=True, scope="module")
def versions(httpbin: Mesh) -> Iterator[None]:
    """The subsets v1 and v2 of httpbin."""
    with httpbin.having(VERSIONS):
        yield


@pytest.mark.parametrize(
    "match, hit, miss",
    [
        ("uri: {exact: /anything/a}", {"url": "/anything/a"}, {"url": "/anything/ab"}),
        ("uri: {prefix: /anything/a}", {"url": "/anything/ab"}, {"url": "/anything/b"}),
        ("uri: {regex: '/anything/[0-9]+'}", {"url": "/anything/12"}, {"url": "/anything/12x"}),
        ("uri: {exact: /anything/a}", {"url": "/anything/a?b=c"}, {"url": "/anything/A"}),
        ("{uri: {exact: /anything/A}, ignoreUriCase: true}", {"url": "/anything/a"}, {"url": "/anything/b"}),
        ("method: {exact: POST}", {"method": "POST"}, {"method": "GET"}),
        ("headers: {who: {exact: jason}}", {"headers": {"who": "jason"}}, {"headers": {"who": "jasons"}}),
        ("headers: {who: {prefix: ja}}", {"headers": {"who": "jason"}}, {"headers": {"who": "aja"}}),
        ("headers: {who: {regex: 'j.*n'}}", {"headers": {"who": "jason"}}, {"headers": {"who": "jasons"}}),
        ("headers: {who: {}}", {"headers": {"who": "anybody"}}, {}),
        ("headers: {who: {regex: '*'}}", {"headers": {"who": ""}}, {}),
        ("headers: {who: {regex: '(?i)jason'}}", {"headers": {"who": "JASON"}}, {"headers": {"who": "jasons"}}),
        ("headers: {':method': {exact: POST}}", {"method": "POST"}, {}),
        (f"headers: {{\"{ODD_NAME}\": {{exact: why}}}}", {"headers": {ODD_NAME: "why"}}, {}),
        ("withoutHeaders: {who: {}}", {}, {"headers": {"who": "anybody"}}),
        ("withoutHeaders: {who: {regex: '*'}}", {}, {"headers": {"who": ""}}),
        ("withoutHeaders: {who: {regex: '.*'}}", None, {}),
        ("withoutHeaders: {who: {regex: 'j.*'}}", {"headers": {"who": ""}}, {"headers": {"who": "jason"}}),
        ("uri: {regex: '.*'}", {"url": "/anything/a"}, None),
        ("withoutHeaders: {who: {exact: jason}}", {"headers": {"who": "anna"}}, {"headers": {"who": "jason"}}),
        ("authority: {exact: 'httpbin:8000'}", {}, {"headers": {"host": "httpbin.default:8000"}}),
        ("authority: {regex: 'httpbin.default.*'}", {"headers": {"host": "httpbin.default:8000"}}, {}),
        ("queryParams: {q: {exact: '1'}}", {"url": "/anything?q=1"}, {"url": "/anything?q=2"}),
        ("queryParams: {q: {prefix: ab}}", {"url": "/anything?q=abc"}, {"url": "/anything?q=cab"}),
        ("queryParams: {q: {exact: ''}}", {"url": "/anything?q="}, {"url": "/anything"}),
        ("queryParams: {q: {regex: '[0-9]+'}}", {"url": "/anything?q=12"}, {"url": "/anything?q=x"}),
        ("scheme: {exact: http}", {}, None),
        ("sourceLabels: {app: sleep}", {}, None),
        ("sourceLabels: {app: somebody}", None, {}),
        ("sourceNamespace: elsewhere", None, {}),
        ("{method: {exact: PUT}, headers: {who: {exact: jason}}}", {"method": "PUT", "headers": {"who": "jason"}},
         {"method": "PUT"}),
    ],
)  # fmt: skip
def test_a_match_chooses_the_requests(
    httpbin: Mesh, sleep: Caller, match: str, hit: dict[str, Any] | None, miss: dict[str, Any] | None
) -> None:
    with httpbin.having(rule(f"match: [{match if match.startswith('{') else '{' + match + '}'}]\n{TO_V2}", TO_V1)):
        answered = [
            sleep.get(**{"method": "GET", **how, "url": f"{HTTPBIN}{how.get('url', '/anything')}"})
            for how in (hit, miss)
            if how is not None
        ]
    expected = [(200, version) for how, version in ((hit, "v2"), (miss, "v1")) if how is not None]
    assert [(answer.status, answer.version) for answer in answered] == expected


def test_any_of_several_matches_is_enough(httpbin: Mesh, sleep: Caller) -> None:
    either = "match: [{uri: {prefix: /anything/a}}, {headers: {who: {exact: jason}}}]"
    with httpbin.having(rule(f"{either}\n{TO_V2}", TO_V1)):
        by_uri = sleep.get(f"{HTTPBIN}/anything/a")
        by_header = sleep.get(f"{HTTPBIN}/anything", headers={"who": "jason"})
        neither = sleep.get(f"{HTTPBIN}/anything")
    assert [by_uri.version, by_header.version, neither.version] == ["v2", "v2", "v1"]


def test_the_first_route_that_matches_counts(httpbin: Mesh, sleep: Caller) -> None:
    narrow, wide = "match: [{uri: {prefix: /anything/a}}]", "match: [{uri: {prefix: /anything}}]"
    with httpbin.having(rule(f"{wide}\n{TO_V1}", f"{narrow}\n{TO_V2}")):
        assert sleep.get(f"{HTTPBIN}/anything/a").version == "v1"


def test_a_match_tells_ports_apart(httpbin: Mesh, sleep: Caller) -> None:
    ports = "{name: http-a, port: 81, targetPort: 8080}, {name: http-b, port: 82, targetPort: 8080}"
    of_port_81 = "match: [{port: 81}]\ndirectResponse: {status: 418}"
    two_ports = rule(of_port_81, "route: [{destination: {host: two-ports}}]", host="two-ports")
    with httpbin.having(together(service("two-ports", ports, app="httpbin"), two_ports)):
        answers = [sleep.get(f"http://two-ports:{port}/get").status for port in (81, 82)]
    assert answers == [418, 200]


def test_a_request_that_no_route_matches_is_not_found(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(rule(f"match: [{{uri: {{exact: /get}}}}]\n{TO_V1}")):
        answers = [sleep.get(f"{HTTPBIN}{path}") for path in ("/get", "/headers")]
    assert [(answer.status, bool(answer.body)) for answer in answers] == [(200, True), (404, False)]


def test_weights_share_out_the_requests(httpbin: Mesh, sleep: Caller) -> None:
    shares = """
    route:
    - {destination: {host: httpbin, subset: v1}, weight: 90}
    - {destination: {host: httpbin, subset: v2}, weight: 10}
    """
    with httpbin.having(rule(shares)):
        versions = Counter(answer.version for answer in sleep.requests(f"{HTTPBIN}/status/200", 400, at_once=4))
    assert set(versions) == {"v1", "v2"}
    assert 10 <= versions["v2"] <= 80, versions


def test_a_rewritten_uri_reaches_the_server(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(rule(f"match: [{{uri: {{prefix: /old/}}}}]\nrewrite: {{uri: /anything/}}\n{TO_V1}")):
        answer = sleep.get(f"{HTTPBIN}/old/a?b=c")
    assert (answer.status, answer.json["url"]) == (200, "http://httpbin:8000/anything/a?b=c")


def test_a_uri_is_rewritten_by_pattern(httpbin: Mesh, sleep: Caller) -> None:
    pattern = "rewrite: {uriRegexRewrite: {match: '/users/([0-9]+)/(.*)', rewrite: '/anything/\\2/\\1'}}"
    with httpbin.having(rule(f"{pattern}\n{TO_V1}")):
        answer = sleep.get(f"{HTTPBIN}/users/12/orders")
    assert (answer.status, answer.json["url"]) == (200, "http://httpbin:8000/anything/orders/12")


def test_a_rewritten_authority_reaches_the_server(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(rule(f"rewrite: {{authority: books.example.com}}\n{TO_V1}")):
        answer = sleep.get(f"{HTTPBIN}/anything")
    assert (answer.status, answer.json["url"]) == (200, "http://books.example.com/anything")


@pytest.mark.parametrize(
    "redirect, status, location",
    [
        ("{uri: /new}", 301, "http://httpbin:8000/new"),
        ("{authority: books.example.com}", 301, "http://books.example.com/old"),
        ("{uri: /new, redirectCode: 307}", 307, "http://httpbin:8000/new"),
        ("{scheme: https, authority: books.example.com}", 301, "https://books.example.com/old"),
        ("{port: 8443}", 301, "http://httpbin:8443/old"),
        ("{uri: /new, redirectCode: 308}", 308, "http://httpbin:8000/new"),
        ("{scheme: https, derivePort: FROM_REQUEST_PORT}", 301, "https://httpbin:8000/old"),
        ("{authority: books.example.com, derivePort: FROM_REQUEST_PORT}", 301, "http://books.example.com:8000/old"),
        ("{authority: books.example.com, derivePort: FROM_PROTOCOL_DEFAULT}", 301, "http://books.example.com/old"),
    ],
)
def test_a_redirect_sends_the_client_elsewhere(
    httpbin: Mesh, sleep: Caller, redirect: str, status: int, location: str
) -> None:
    with httpbin.having(rule(f"redirect: {redirect}")):
        answer = sleep.get(f"{HTTPBIN}/old")
    assert (answer.status, answer.headers.get("location")) == (status, location)


def test_a_timeout_ends_what_takes_too_long(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(rule(f"timeout: 0.5s\n{TO_V1}")):
        late, timely = sleep.get(f"{HTTPBIN}/delay/10"), sleep.get(f"{HTTPBIN}/delay/0")
    assert (late.status, late.body) == (504, "upstream request timeout")
    assert timely.status == 200


def test_retries_hide_an_unreliable_server(httpbin: Mesh, sleep: Caller) -> None:
    flaky = f"{HTTPBIN}/status/200:0.7,500:0.3"
    with httpbin.having(rule(f"retries: {{attempts: 10, retryOn: 5xx}}\n{TO_V1}")):
        retried = {answer.status for answer in sleep.requests(flaky, 40)}
    with httpbin.having(rule(f"retries: {{attempts: 0}}\n{TO_V1}")):
        once = {answer.status for answer in sleep.requests(flaky, 40)}
    assert (retried, once) == ({200}, {200, 500})


def test_a_server_is_told_the_number_of_the_attempt(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(rule(f"retries: {{attempts: 2, retryOn: 5xx}}\n{TO_V1}")):
        sleep.get(f"{HTTPBIN}/status/500")
        headers = sleep.get(f"{HTTPBIN}/headers").json["headers"]
    assert {name.lower(): value for name, value in headers.items()}["x-envoy-attempt-count"] == "1"


def test_a_delay_is_injected(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(rule(f"fault: {{delay: {{percentage: {{value: 100}}, fixedDelay: 0.7s}}}}\n{TO_V1}")):
        answer = sleep.get(f"{HTTPBIN}/get")
    # A timer may count from the beginning of the round in which the request came.
    assert (answer.status, answer.seconds >= 0.5) == (200, True)


def test_a_failure_is_injected(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(rule(f"fault: {{abort: {{percentage: {{value: 100}}, httpStatus: 418}}}}\n{TO_V1}")):
        answer = sleep.get(f"{HTTPBIN}/get")
    assert (answer.status, answer.body) == (418, "fault filter abort")


def test_a_share_of_failures_is_injected(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(rule(f"fault: {{abort: {{percentage: {{value: 50}}, httpStatus: 500}}}}\n{TO_V1}")):
        statuses = Counter(answer.status for answer in sleep.requests(f"{HTTPBIN}/get", 200, at_once=4))
    assert set(statuses) == {200, 500}
    assert 60 <= statuses[500] <= 140, statuses


@pytest.mark.parametrize(
    "mirror", ["mirror: {host: httpbin, subset: v2}", "mirrors: [{destination: {host: httpbin, subset: v2}}]"]
)
def test_a_mirror_sees_the_requests(httpbin: Mesh, sleep: Caller, mirror: str) -> None:
    path = f"/anything/seen-by-{mirror.partition(':')[0]}"
    with httpbin.having(rule(f"{mirror}\n{TO_V1}")):
        answer = sleep.get(f"{HTTPBIN}{path}")
        until(lambda: f"GET {path} 200" in httpbin.do("logs", "deploy/httpbin-v2"), 10, "the mirrored request")
    assert (answer.status, answer.version) == (200, "v1")


def test_headers_of_requests_and_answers_are_changed(httpbin: Mesh, sleep: Caller) -> None:
    changes = f"""
    headers:
      request: {{set: {{x-set: new}}, add: {{x-add: more}}, remove: [x-remove]}}
      response: {{set: {{x-set: new}}, add: {{x-add: more}}, remove: [x-remove]}}
    {TO_V1}
    """
    url = f"{HTTPBIN}/response-headers?x-set=old&x-add=some&x-remove=gone"
    given = {"x-set": "old", "x-add": "some", "x-remove": "gone"}
    with httpbin.having(rule(changes)):
        asked = sleep.get(f"{HTTPBIN}/headers", headers=given).json["headers"]
        answered = sleep.get(url).headers
    seen = {name.lower(): value for name, value in asked.items() if name.lower() in given}
    assert seen == {"x-set": "new", "x-add": "some,more"}
    assert {name: answered.get(name) for name in ("x-set", "x-remove")} == {"x-set": "new", "x-remove": None}


def test_headers_are_changed_for_one_destination(httpbin: Mesh, sleep: Caller) -> None:
    changed = "headers: {request: {set: {x-set: new}}, response: {set: {x-to: v2}}}"
    only_v2 = f"match: [{{headers: {{to: {{exact: v2}}}}}}]\nroute: [{{destination: {{host: httpbin, subset: v2}}, {changed}}}]"
    with httpbin.having(rule(only_v2, TO_V1)):
        to_v2, to_v1 = sleep.get(f"{HTTPBIN}/headers", headers={"to": "v2"}), sleep.get(f"{HTTPBIN}/headers")
    assert ("new" in to_v2.body, to_v2.headers.get("x-to")) == (True, "v2")
    assert ("new" in to_v1.body, to_v1.headers.get("x-to")) == (False, None)


def test_the_host_header_can_be_set(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(rule(f"headers: {{request: {{set: {{Host: books.example.com}}}}}}\n{TO_V1}")):
        assert sleep.get(f"{HTTPBIN}/anything").json["url"] == "http://books.example.com/anything"


@pytest.mark.parametrize(
    "of_rule, of_destination, expected",
    [
        ("", "Host: of-destination.example", "of-destination.example"),
        ("", "':authority': of-destination.example", "of-destination.example"),
        ("':authority': of-rule.example", "Host: of-destination.example", "of-rule.example"),
    ],
)
def test_the_host_that_a_rule_sets_comes_before_a_destination_s(
    httpbin: Mesh, sleep: Caller, of_rule: str, of_destination: str, expected: str
) -> None:
    changed = f"headers: {{request: {{set: {{{of_rule}}}}}}}\n" if of_rule else ""
    split = "\n".join(
        f"- {{destination: {{host: httpbin, subset: {one}}}, weight: 50, headers: {{request: {{set: {{{of_destination}}}}}}}}}"
        for one in ("v1", "v2")
    )
    with httpbin.having(rule(f"{changed}route:\n{split}")):
        answers = sleep.requests(f"{HTTPBIN}/anything", 12)
    assert {answer.json["url"] for answer in answers} == {f"http://{expected}/anything"}
    assert {answer.version for answer in answers} == {"v1", "v2"}


SHARED = """
corsPolicy:
  allowOrigins: [{exact: "https://shop.example"}, {regex: "https://[a-z]+[.]books[.]example"}]
  allowMethods: [GET, POST]
  allowHeaders: [x-foo, x-bar]
  exposeHeaders: [x-seen]
  maxAge: 24h
  allowCredentials: true
  unmatchedPreflights: %s
"""


@pytest.mark.parametrize("origin", ["https://shop.example", "https://old.books.example"])
def test_pages_of_allowed_origins_may_ask(httpbin: Mesh, sleep: Caller, origin: str) -> None:
    preflight = {"origin": origin, "access-control-request-method": "DELETE"}
    with httpbin.having(rule(f"{SHARED % 'FORWARD'}\n{TO_V1}")):
        asked = sleep.get(f"{HTTPBIN}/anything", method="OPTIONS", headers=preflight)
        answer = sleep.get(f"{HTTPBIN}/anything", headers={"origin": origin})
    told = {name.removeprefix("access-control-"): value for name, value in asked.headers.items()}
    assert (asked.status, asked.version) == (200, ""), "the proxy itself has answered"
    assert {name: told.get(name) for name in ("allow-origin", "allow-methods", "allow-headers", "max-age")} == {
        "allow-origin": origin, "allow-methods": "GET,POST", "allow-headers": "x-foo,x-bar", "max-age": "86400",
    }  # fmt: skip
    assert (answer.version, answer.headers["access-control-allow-origin"]) == ("v1", origin)
    assert answer.headers["access-control-expose-headers"] == "x-seen"
    assert answer.headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize("unmatched, version", [("FORWARD", "v1"), ("IGNORE", "")])
def test_pages_of_other_origins_are_told_nothing(httpbin: Mesh, sleep: Caller, unmatched: str, version: str) -> None:
    preflight = {"origin": "https://elsewhere.example", "access-control-request-method": "GET"}
    with httpbin.having(rule(f"{SHARED % unmatched}\n{TO_V1}")):
        asked = sleep.get(f"{HTTPBIN}/anything", method="OPTIONS", headers=preflight)
        answer = sleep.get(f"{HTTPBIN}/anything", headers={"origin": "https://elsewhere.example"})
    assert (asked.version, "access-control-allow-origin" in asked.headers) == (version, False)
    assert (answer.version, "access-control-allow-origin" in answer.headers) == ("v1", False)


@pytest.mark.parametrize(
    "retries, path, tries",
    [
        ("", "/status/503", 1),
        ("retries: {attempts: 3}", "/status/503", 1),
        ("retries: {attempts: 0}", "/status/502", 1),
        ("retries: {attempts: 3, retryOn: 5xx}", "/status/501", 4),
        ("retries: {attempts: 3, retryOn: gateway-error}", "/status/502", 4),
        ("retries: {attempts: 2, retryOn: gateway-error}", "/status/500", 1),
        ("retries: {attempts: 2, retryOn: retriable-4xx}", "/status/409", 3),
        ("retries: {attempts: 2, retryOn: '429'}", "/status/429", 3),
        ("retries: {attempts: 1, retryOn: 'reset,gateway-error', perTryTimeout: 0.3s}", "/delay/1", 2),
    ],
)
def test_what_a_policy_names_is_tried_again_and_nothing_else(
    httpbin: Mesh, sleep: Caller, retries: str, path: str, tries: int
) -> None:
    marked = f"{path}?policy={retries.count('attempts')}{quote(retries, safe='')}"

    def seen() -> int:
        logs = httpbin.do("logs", "deploy/httpbin") + httpbin.do("logs", "deploy/httpbin-v2")
        return sum(f" {marked} " in line for line in logs.splitlines())

    with httpbin.having(rule(f"{retries}\n{TO_V1}")):
        sleep.get(f"{HTTPBIN}{marked}")
        until(lambda: seen() >= tries, 10, f"{tries} attempts")
    assert seen() == tries


def test_an_answer_is_given_without_a_server(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(rule("directResponse: {status: 418, body: {string: 'short and stout'}}")):
        answer = sleep.get(f"{HTTPBIN}/get")
    assert (answer.status, answer.body) == (418, "short and stout")


def test_routes_of_a_name_hold_for_all_its_forms(httpbin: Mesh, sleep: Caller) -> None:
    hosts = ("httpbin", "httpbin.default", "httpbin.default.svc", "httpbin.default.svc.cluster.local")
    with httpbin.having(rule("directResponse: {status: 418}")):
        assert [sleep.get(f"http://{host}:8000/get").status for host in hosts] == [418] * 4


def test_a_delegate_takes_over_a_part(httpbin: Mesh, sleep: Caller) -> None:
    delegating = rule("match: [{uri: {prefix: /anything}}]\ndelegate: {name: parts}", TO_V1)
    parts = rule(TO_V2, host="parts").replace("  hosts: [parts]\n", "")
    with httpbin.having(together(delegating, parts)):
        answers = [sleep.get(f"{HTTPBIN}{path}").version for path in ("/anything", "/get")]
    assert answers == ["v2", "v1"]
