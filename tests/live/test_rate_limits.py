"""How many requests come through: limits of each proxy, limits of the mesh, and what clients are told."""

import json
from typing import Any

from tests.adapters.redis_server import redis_server
from tests.live.mesh import EXAMPLES, Answer, Caller, Mesh, until
from tests.live.yaml_texts import together

LIMITED = "http://httpbin:8000/status/200"
SLEEP = "cluster.local/ns/default/sa/sleep"
TRIES = 12


def limit(name: str, *limits: dict[str, Any], **spec: Any) -> str:
    """A RateLimit for httpbin, of one path only."""
    matched = [{"match": {"paths": ["/status/*"]}, **one} for one in limits]
    return json.dumps(
        {
            "apiVersion": "lateen.dev/v1",
            "kind": "RateLimit",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": "httpbin"}}, "limits": matched, **spec},
        }
    )


def counted(sleep: Caller, limit: str, **headers: str) -> list[Answer]:
    """What came of many requests, all of which this limit counted."""
    answers = [one for _ in range(3) for one in sleep.requests(LIMITED, TRIES, headers=headers)]
    assert {one.headers.get("x-ratelimit-limit") for one in answers} == {limit}
    return answers


def passed(answers: list[Answer]) -> list[Answer]:
    assert {one.status for one in answers} <= {200, 429}
    return [one for one in answers if one.status == 200]


def test_each_proxy_lets_through_what_it_may_and_tells_the_rest_when_to_come_back(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(limit("own", {"rate": "2/day"})):
        answers = counted(sleep, "2")
        refused = [one for one in answers if one.status == 429]
        assert len(passed(answers)) == 4, "two of each of the two proxies"
        assert refused[0].body == "local_rate_limited"
        assert refused[0].headers["x-ratelimit-remaining"] == "0"
        assert int(refused[0].headers["retry-after"]) > 1000
        assert sleep.get("http://httpbin:8000/headers").status == 200


def test_callers_are_counted_apart_by_their_certificates_and_some_may_more(httpbin: Mesh, sleep: Caller) -> None:
    per_caller = {"rate": "1/day", "by": ["source.principal", "request.headers[x-user]"]}
    override = {"values": {"source.principal": SLEEP, "request.headers[x-user]": "vip"}, "rate": "3/day"}
    with httpbin.having(limit("own", {**per_caller, "overrides": [override]})):
        limits = {"anna": "1", "ben": "1", "vip": "3"}
        found = {user: len(passed(counted(sleep, most, **{"x-user": user}))) for user, most in limits.items()}
        assert found == {"anna": 2, "ben": 2, "vip": 6}


def test_the_mesh_counts_exactly_over_all_proxies(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(limit("shared", {"rate": "5/day"}, scope="GLOBAL", responseHeaders={"x-why": "quota"})):
        answers = counted(sleep, "5, 5;w=86400")
        refused = [one for one in answers if one.status == 429]
        assert len(passed(answers)) == 5
        assert {one.headers["x-why"] for one in refused} == {"quota"}
        assert int(refused[0].headers["retry-after"]) <= 86400


def test_a_limit_that_is_tried_counts_and_refuses_nobody(httpbin: Mesh, sleep: Caller) -> None:
    both = together(
        limit("own", {"rate": "1/day"}, dryRun=True), limit("shared", {"rate": "1/day"}, scope="GLOBAL", dryRun=True)
    )
    with httpbin.having(both):

        def would_be_refused() -> bool:
            everybody_passes = {one.status for one in sleep.requests(LIMITED, TRIES)} == {200}
            own = total(httpbin, "envoy_http_local_rate_limit_rate_limited", "default/own")
            shared = total(httpbin, "envoy_cluster_ratelimit_over_limit", "default/shared")
            return everybody_passes and own >= TRIES / 2 and shared >= TRIES / 2

        until(would_be_refused, what="refusals to be counted")


def test_when_redis_is_gone_each_limit_does_as_it_says_and_redis_that_is_back_counts(
    httpbin: Mesh, sleep: Caller
) -> None:
    with redis_server() as redis:
        store = {"extensionProviders": [{"name": "counts", "redis": {"url": redis.url, "timeout": "200ms"}}]}
        settings = {
            "apiVersion": "mesh.istio.io/v1alpha1",
            "kind": "MeshConfig",
            "metadata": {"name": "mesh", "namespace": "istio-system"},
            "spec": store,
        }
        spec = {"scope": "GLOBAL", "store": {"name": "counts"}}
        strict = limit("strict", {"rate": "1000/day", "match": {"headers": {"x-a": {}}}}, onFailure="DENY", **spec)
        lenient = limit("lenient", {"rate": "1000/day", "match": {"headers": {"x-b": {}}}}, **spec)
        with httpbin.having(together(json.dumps(settings), strict, lenient)):

            def statuses(header: str) -> set[int]:
                return {one.status for one in sleep.requests(LIMITED, 4, headers={header: "1"})}

            until(
                lambda: all("x-ratelimit-limit" in sleep.get(LIMITED, headers={h: "1"}).headers for h in ("x-a", "x-b"))
            )
            redis.kill()
            assert statuses("x-a") == {503}
            assert statuses("x-b") == {200}
            redis.start()
            until(lambda: statuses("x-a") == {200}, 1, "redis to be asked again")
            assert "x-ratelimit-limit" in sleep.get(LIMITED, headers={"x-b": "1"}).headers


def total(mesh: Mesh, statistic: str, name: str) -> float:
    """The sum of a statistic with a label over httpbin's proxies."""
    return sum(
        float(line.rpartition(" ")[2])
        for workload in mesh.workloads()
        if workload["app"] == "httpbin"
        for line in mesh.do(
            "exec", workload["name"], "--", "curl", "-s", "localhost:15090/stats/prometheus"
        ).splitlines()
        if line.startswith(statistic) and f'"{name}"' in line
    )


def test_a_limit_of_the_mesh_holds_from_the_first_call_after_up(mesh: Mesh) -> None:
    """Whoever counts is there when `lateen up -d` returns, like every proxy."""
    file = mesh.base / "limit.json"
    file.write_text(limit("shared", {"rate": "2/day"}, scope="GLOBAL"))
    file.chmod(0o644)
    mesh.up(EXAMPLES / "httpbin", EXAMPLES / "sleep", file)
    waited = mesh.run("wait")
    with mesh.call_from("deploy/sleep") as caller:
        statuses = [one.status for one in caller.requests(LIMITED, TRIES)]
    assert (waited.code, waited.out.startswith("the configuration is live: ")) == (0, True), waited
    assert statuses == [200] * 2 + [429] * (TRIES - 2)
