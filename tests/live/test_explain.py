"""What is explained of a running mesh is what its traffic does."""

import json
from typing import Any

from tests.live.mesh import Caller, Mesh, until
from tests.live.yaml_texts import TO_V1, TO_V2, VERSIONS, rule, together

LOGGED = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: explain}
spec:
  selector: {matchLabels: {app: sleep}}
  accessLogging: [{providers: [{name: envoy}]}]
"""
RULE = rule(
    f"""
    match: [{{headers: {{x-version: {{exact: two}}}}}}]
    {TO_V2}
    """,
    """
    match: [{uri: {prefix: /broken}}]
    fault: {abort: {httpStatus: 503, percentage: {value: 100}}}
    route: [{destination: {host: httpbin, subset: v1}}]
    """,
    TO_V1,
)
URL = "http://httpbin:8000/get"


def explained(httpbin: Mesh, *arguments: str) -> Any:
    return json.loads(httpbin.do("explain", "--from", "deploy/sleep", "--to", URL, *arguments, "-o", "json"))


def test_explain_and_traffic_agree(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(together(VERSIONS, RULE)):
        told = [explained(httpbin), explained(httpbin, "-H", "x-version: two")]
        answers = [sleep.get(URL), sleep.get(URL, headers={"x-version": "two"})]
    assert [one["split"][0]["subset"] for one in told] == ["v1", "v2"] == [one.version for one in answers]
    (server,) = told[0]["split"][0]["servers"]
    assert (server["outcome"], told[0]["split"][0]["tls"]["mode"]) == ("allow", "mesh")
    (endpoint,) = told[0]["split"][0]["endpoints"]
    assert endpoint["address"].partition(":")[0] in {row["address"] for row in httpbin.workloads()}


def test_why_says_what_happened_and_which_line_it_was(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(together(VERSIONS, RULE, LOGGED)):

        def why() -> str:
            sleep.get("http://httpbin:8000/broken")
            return httpbin.run("explain", "--why", "503", "--workload", "deploy/sleep").out

        told = until(why, 20, "a line in the access log")
    assert "503 was made on purpose by a fault" in told
    assert "VirtualService default/httpbin spec.http[1].fault" in told


def test_deleting_what_others_name_is_told_and_answered_as_documented(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(together(VERSIONS, RULE)):
        deleted = httpbin.run("delete", "dr", "httpbin")
        until(lambda: sleep.get(URL).status == 503, 10, "the rule without destination")
        answer = sleep.get(URL)
        analyzed = httpbin.run("analyze", "-o", "json")
        httpbin.apply(VERSIONS)
    assert "VirtualService default/httpbin is concerned" in deleted.err
    assert "no destination of the route exists" in answer.body
    found = {(one["code"], one["resource"]["name"]) for one in json.loads(analyzed.out)}
    assert (analyzed.code, ("IST0101", "httpbin") in found) == (1, True)


CARE = """
apiVersion: config.istio.io/v1alpha2
kind: handler
metadata: {name: refuse}
spec: {compiledAdapter: denier, params: {status: {code: 7, message: not you}}}
---
apiVersion: config.istio.io/v1alpha2
kind: instance
metadata: {name: nothing}
spec: {compiledTemplate: checknothing}
---
apiVersion: config.istio.io/v1alpha2
kind: rule
metadata: {name: no-sleep}
spec:
  match: source.labels["app"] == "sleep" && request.headers["x-refuse"] == "yes"
  actions: [{handler: refuse, instances: [nothing]}]
---
apiVersion: lateen.dev/v1
kind: RateLimit
metadata: {name: once}
spec:
  selector: {matchLabels: {app: httpbin}}
  limits: [{rate: 1/hour, match: {headers: {x-once: {exact: "yes"}}}}]
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: teapot}
spec:
  configPatches:
  - applyTo: HTTP_ROUTE
    match: {context: SIDECAR_OUTBOUND, routeConfiguration: {vhost: {name: "httpbin.default.svc.cluster.local:8000"}}}
    patch:
      operation: INSERT_FIRST
      value: {match: {prefix: /, headers: [{name: x-tea, present_match: true}]}, direct_response: {status: 418}}
"""


def test_filters_and_patches_are_explained_as_they_act(httpbin: Mesh, sleep: Caller) -> None:
    asked = ({"x-refuse": "yes"}, {"x-once": "yes"}, {"x-tea": "1"}, {})
    with httpbin.having(together(VERSIONS, rule(TO_V1), CARE)):
        told = [explained(httpbin, *(f"-H{name}:{value}" for name, value in one.items())) for one in asked]
        answers = [sleep.get(URL, headers=one).status for one in (*asked, {"x-once": "yes"})]
    assert [one["status"] for one in told] == [403, 0, 418, 0]
    assert answers == [403, 200, 418, 200, 429]
    passed = {step["filter"]: step for step in told[1]["split"][0]["servers"][0]["passed"]}
    assert (passed["rate limit"]["result"], passed["rate limit"]["status"]) == ("limits", 429)
    assert told[2]["route"]["place"]["object"] == "EnvoyFilter default/teapot"
    assert told[0]["split"][0]["servers"][0]["rule"]["object"] == "rule default/no-sleep"
