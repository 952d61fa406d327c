"""What DestinationRules do to the connections behind a route."""

from collections import Counter
from typing import Any

import pytest

from tests.live.mesh import Caller, Mesh, until
from tests.live.servers import ECHO, IDLER, NAMER
from tests.live.yaml_texts import (
    TO_V1,
    TO_V2,
    VERSIONS,
    container,
    destination_rule,
    pod,
    rule,
    service,
    together,
)

HTTPBIN = "http://httpbin:8000"
BROKEN = """
import http.server
class Broken(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500)
        self.send_header("content-length", "0")
        self.send_header("x-version", "broken")
        self.end_headers()
http.server.ThreadingHTTPServer(("", 8080), Broken).serve_forever()
"""


def test_subsets_are_chosen_by_labels(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(together(VERSIONS, rule(f"match: [{{uri: {{exact: /status/201}}}}]\n{TO_V2}", TO_V1))):
        versions = [
            {answer.version for answer in sleep.requests(f"{HTTPBIN}/status/{code}", 10)} for code in (200, 201)
        ]
    assert versions == [{"v1"}, {"v2"}]


def test_a_subset_that_nobody_defines_is_unavailable(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(together(VERSIONS, rule("route: [{destination: {host: httpbin, subset: v9}}]"))):
        assert sleep.get(f"{HTTPBIN}/get").status == 503


def test_a_subset_without_workloads_is_unavailable(httpbin: Mesh, sleep: Caller) -> None:
    nobody = VERSIONS.replace("version: v2", "version: v9")
    with httpbin.having(together(nobody, rule(TO_V2))):
        answer = sleep.get(f"{HTTPBIN}/get")
    assert (answer.status, answer.body) == (503, "no healthy upstream")


def test_requests_above_the_pool_overflow(httpbin: Mesh, sleep: Caller) -> None:
    small = (
        "{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1, maxRequestsPerConnection: 1}}}"
    )
    with httpbin.having(destination_rule(small)):
        answers = sleep.requests(f"{HTTPBIN}/delay/0.5", 10, at_once=10)
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) == {200, 503}, statuses
    refused = next(answer for answer in answers if answer.status == 503)
    assert refused.headers.get("x-envoy-overloaded") == "true"
    assert refused.body == "upstream connect error or disconnect/reset before headers. reset reason: overflow"


def test_an_endpoint_that_fails_is_ejected(httpbin: Mesh, sleep: Caller) -> None:
    broken = pod("broken", container([httpbin.python, "-c", BROKEN]), app="mixed")
    good = pod(
        "good", container([httpbin.python, "-c", BROKEN.replace("500", "200").replace("broken", "good")]), app="mixed"
    )
    mixed = service("mixed", "{name: http, port: 80, targetPort: 8080}")
    ejecting = (
        "{outlierDetection: {consecutive5xxErrors: 2, interval: 0.2s, baseEjectionTime: 60s, maxEjectionPercent: 100}}"
    )
    with httpbin.having(together(mixed, broken, good)):
        until(lambda: {each.version for each in sleep.requests("http://mixed/", 20)} == {"good", "broken"}, 10, "both")
        httpbin.apply(destination_rule(ejecting, "mixed"))
        try:
            until(
                lambda: {each.version for each in sleep.requests("http://mixed/", 20)} == {"good"}, 10, "the ejection"
            )
            assert {each.status for each in sleep.requests("http://mixed/", 40)} == {200}
        finally:
            httpbin.delete(destination_rule(ejecting, "mixed"))


def test_equal_headers_go_to_one_endpoint(httpbin: Mesh, sleep: Caller) -> None:
    by_user = "{loadBalancer: {consistentHash: {httpHeaderName: x-user}}}"
    with httpbin.having(destination_rule(by_user)):
        pods = {
            user: {each.pod for each in sleep.requests(f"{HTTPBIN}/get", 8, headers={"x-user": user})}
            for user in map(str, range(8))
        }
    assert {len(found) for found in pods.values()} == {1}
    assert len(set.union(*pods.values())) == 2


@pytest.mark.parametrize(
    "key, asking",
    [
        ("{httpCookie: {name: session}}", {"headers": {"cookie": "session=%s"}}),
        ("{httpQueryParameterName: user}", {"url": "?user=%s"}),
        ("{httpHeaderName: x-user, maglev: {tableSize: 101}}", {"headers": {"x-user": "%s"}}),
        ("{httpHeaderName: x-user, ringHash: {minimumRingSize: 16}}", {"headers": {"x-user": "%s"}}),
    ],
)
def test_what_is_equal_in_requests_binds_them_to_an_endpoint(
    httpbin: Mesh, sleep: Caller, key: str, asking: dict[str, Any]
) -> None:
    with httpbin.having(destination_rule(f"{{loadBalancer: {{consistentHash: {key}}}}}")):
        pods = []
        for user in range(8):
            headers = {name: value % user for name, value in asking.get("headers", {}).items()}
            url = f"{HTTPBIN}/get{asking.get('url', '') % user if 'url' in asking else ''}"
            pods.append({each.pod for each in sleep.requests(url, 6, headers=headers)})
    assert {len(found) for found in pods} == {1}
    assert len(set.union(*pods)) == 2


def test_a_client_without_the_cookie_is_given_one_that_binds_it(httpbin: Mesh, sleep: Caller) -> None:
    cookie = "{httpCookie: {name: session, path: /, ttl: 1h}}"
    with httpbin.having(destination_rule(f"{{loadBalancer: {{consistentHash: {cookie}}}}}")):
        first = sleep.get(f"{HTTPBIN}/get")
        given = first.headers.get("set-cookie", "")
        bound = sleep.requests(f"{HTTPBIN}/get", 8, headers={"cookie": given.split(";")[0]})
    assert given.startswith("session=")
    assert "Max-Age=3600; Path=/" in given
    assert {each.pod for each in bound} == {first.pod}


def test_a_cookie_without_a_time_to_live_is_given_to_nobody(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(destination_rule("{loadBalancer: {consistentHash: {httpCookie: {name: session}}}}")):
        answers = sleep.requests(f"{HTTPBIN}/get", 30)
    assert not any("set-cookie" in each.headers for each in answers)
    assert len({each.pod for each in answers}) == 2


def test_a_client_s_address_binds_its_requests(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(destination_rule("{loadBalancer: {consistentHash: {useSourceIp: true}}}")):
        assert len({each.pod for each in sleep.requests(f"{HTTPBIN}/get", 20)}) == 1


@pytest.mark.parametrize("routed", [False, True], ids=["by the service", "by a tcp rule"])
def test_a_client_s_address_binds_its_connections(httpbin: Mesh, sleep: Caller, routed: bool) -> None:
    probe = "readinessProbe: {tcpSocket: {port: 7000}, periodSeconds: 1}"
    pods = (
        pod(f"namer-{number}", container([httpbin.python, "-c", NAMER, "7000"], more=probe), app="namer")
        for number in range(3)
    )
    route = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: namer}
spec: {hosts: [namer], tcp: [{route: [{destination: {host: namer}}]}]}
"""
    texts = [service("namer", "{name: tcp, port: 7000}"), *pods, *([route] if routed else [])]

    def reached() -> set[str]:
        return {sleep.talk("namer", 7000, send="who?")["reply"] for _ in range(15)}

    with httpbin.having(together(*texts)):
        spread = reached()
        with httpbin.having(destination_rule("{loadBalancer: {consistentHash: {useSourceIp: true}}}", "namer")):
            bound = reached()
    assert len(spread) > 1
    assert len(bound) == 1


@pytest.mark.parametrize("bound", ["idleTimeout: 0.5s", "maxConnectionDuration: 0.5s"])
def test_connections_last_as_long_as_the_rule_lets_them(httpbin: Mesh, bound: str) -> None:
    echo = pod(
        "echo",
        container(
            [httpbin.python, "-c", ECHO, "7000"], more="readinessProbe: {tcpSocket: {port: 7000}, periodSeconds: 1}"
        ),
    )
    with httpbin.having(
        together(
            service("echo", "{name: tcp, port: 7000}"),
            echo,
            destination_rule(f"{{connectionPool: {{tcp: {{{bound}}}}}}}", "echo"),
        )
    ):
        said = httpbin.do("exec", "deploy/sleep", "--", httpbin.python, "-c", IDLER, "echo")
    assert said.strip() == "closed"


def test_round_robin_shares_evenly(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(destination_rule("{loadBalancer: {simple: ROUND_ROBIN}}")):
        versions = Counter(each.version for each in sleep.requests(f"{HTTPBIN}/status/200", 40))
    assert versions == {"v1": 20, "v2": 20}


def test_a_subset_has_its_own_policy(httpbin: Mesh, sleep: Caller) -> None:
    text = VERSIONS.replace(
        "labels: {version: v2}",
        "labels: {version: v2}, trafficPolicy: {connectionPool: {http: {http1MaxPendingRequests: 1}, tcp: {maxConnections: 1}}}",
    )
    with httpbin.having(together(text, rule(f"match: [{{headers: {{to: {{exact: v2}}}}}}]\n{TO_V2}", TO_V1))):
        url = f"{HTTPBIN}/delay/0.5"
        narrow = {each.status for each in sleep.requests(url, 8, at_once=8, headers={"to": "v2"})}
        wide = {each.status for each in sleep.requests(url, 8, at_once=8)}
    assert (narrow, wide) == ({200, 503}, {200})


SUBNETS = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ranges}
spec: {hosts: [ranges.example], resolution: NONE, ports: [{number: 9042, name: tcp, protocol: TCP}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ranges}
spec:
  hosts: [ranges.example]
  tcp:
  - match: [{destinationSubnets: [198.51.100.0/24]}]
    route: [{destination: {host: httpbin, subset: v1, port: {number: 8000}}}]
  - match: [{destinationSubnets: [198.51.100.128/25]}]
    route: [{destination: {host: httpbin, subset: v2, port: {number: 8000}}}]
"""


def test_connections_go_where_the_rule_for_their_subnet_says(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(together(VERSIONS, SUBNETS)):
        for address, version in (("198.51.100.9", "v1"), ("198.51.100.200", "v2")):
            assert sleep.get(f"http://{address}:9042/get").version == version
