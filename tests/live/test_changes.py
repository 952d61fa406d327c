"""Changes under load: no request fails while rules, services and instances change, and what ends ends politely."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.live.mesh import SITE_PACKAGES, Caller, LoadResult, Mesh, until
from tests.live.servers import FAREWELL, FAREWELL_HEARD, TICKS, TICKS_HEARD
from tests.live.yaml_texts import (
    container,
    deployment,
    destination_rule,
    pod,
    replicated,
    rule,
    service,
    sidecar,
    together,
)

HTTPBIN = "http://httpbin:8000"
MANY = "http://many/get"


def under_load(caller: Caller, url: str, steps: Sequence[Callable[[], object]]) -> LoadResult:
    """What came of the requests while these steps were taken, one after the other."""
    with caller.load(url) as load:
        load.more(30)
        for step in steps:
            step()
            load.more(40)
    return load.result


def subsets(*versions: str) -> str:
    """A DestinationRule that defines these subsets of httpbin."""
    listed = "\n".join(f"  - {{name: {one}, labels: {{version: {one}}}}}" for one in versions)
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: httpbin}}
spec:
  host: httpbin
  subsets:
{listed}
"""


def split(**weights: int) -> str:
    """A VirtualService that shares the requests of httpbin out."""
    return rule(
        "route:\n"
        + "\n".join(f"- {{destination: {{host: httpbin, subset: {one}}}, weight: {n}}}" for one, n in weights.items())
    )


def peers(mode: str) -> str:
    """What the workloads of the namespace take from others."""
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default}}
spec: {{mtls: {{mode: {mode}}}}}
"""


def named(port: str) -> str:
    """The service `many` with its port called so."""
    return service("many", f"{{name: {port}, port: 80, targetPort: 8080}}")


@pytest.fixture
def many(httpbin: Mesh) -> Iterator[None]:
    """The service `many` with two instances."""
    with httpbin.having(replicated(2)):
        httpbin.ready("many", 2)
        yield


# Rules


def test_subsets_come_change_their_weights_and_go(httpbin: Mesh, sleep: Caller) -> None:
    httpbin.apply(together(subsets("v1"), split(v1=100)))
    result = under_load(
        sleep,
        f"{HTTPBIN}/get",
        [
            lambda: httpbin.apply(together(split(v1=50, v2=50), subsets("v1", "v2"))),
            lambda: httpbin.apply(split(v1=10, v2=90)),
            lambda: httpbin.apply(split(v1=90, v2=10)),
            lambda: httpbin.apply(together(subsets("v1"), split(v1=100))),
            lambda: httpbin.apply(together(split(v2=100), subsets("v2"))),
            lambda: httpbin.apply(together(subsets("v1", "v2"), split(v1=100))),
            lambda: httpbin.delete(split(v1=100)),
            lambda: httpbin.delete(subsets("v1")),
        ],
    )
    assert result.failures == []


def test_what_a_rule_for_connections_says_changes(httpbin: Mesh, sleep: Caller, many: None) -> None:
    policies = (
        "{loadBalancer: {simple: RANDOM}}",
        "{loadBalancer: {consistentHash: {useSourceIp: true}}}",
        "{connectionPool: {http: {maxRequestsPerConnection: 1}}}",
        "{tls: {mode: DISABLE}}",
        "{tls: {mode: ISTIO_MUTUAL}}",
        "{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}",
        "{loadBalancer: {simple: ROUND_ROBIN}}",
        "{connectionPool: {http: {useClientProtocol: true}}}",
    )
    steps = [lambda policy=policy: httpbin.apply(destination_rule(policy, "many")) for policy in policies]
    result = under_load(sleep, MANY, [*steps, lambda: httpbin.delete(destination_rule("{}", "many"))])
    assert result.failures == []


def test_what_workloads_take_from_others_and_what_they_see_changes(httpbin: Mesh, sleep: Caller, many: None) -> None:
    narrow = sidecar("egress: [{hosts: ['./*']}]")
    steps: list[Callable[[], object]] = [
        lambda mode=mode: httpbin.apply(peers(mode))  # type: ignore[misc]
        for mode in ("STRICT", "DISABLE", "PERMISSIVE")
    ]
    steps += [lambda: httpbin.delete(peers("STRICT")), lambda: httpbin.apply(narrow), lambda: httpbin.delete(narrow)]
    assert under_load(sleep, MANY, steps).failures == []


# Services


@pytest.mark.parametrize("port", ["http-web", "web", "tcp-web"])
def test_a_port_is_called_otherwise(httpbin: Mesh, sleep: Caller, many: None, port: str) -> None:
    result = under_load(sleep, MANY, [lambda: httpbin.apply(named(port)), lambda: httpbin.apply(named("http"))])
    assert result.failures == []


def test_a_service_gets_and_loses_another_port(httpbin: Mesh, sleep: Caller, many: None) -> None:
    more = service("many", "{name: http, port: 80, targetPort: 8080}, {name: http-b, port: 81, targetPort: 8080}")
    result = under_load(sleep, MANY, [lambda: httpbin.apply(more), lambda: httpbin.apply(named("http"))])
    assert result.failures == []


def test_a_route_to_a_service_that_is_deleted_says_so_and_the_rest_of_it_serves(httpbin: Mesh, sleep: Caller) -> None:
    other = service("other", "{name: http, port: 80, targetPort: 8080}", app="httpbin")
    half = "{host: httpbin}, weight: 50"
    shared = rule(
        "match: [{uri: {exact: /anything}}]\nroute: [{destination: {host: other}}]",
        f"route:\n- {{destination: {half}}}\n- {{destination: {{host: other}}, weight: 50}}",
    )
    with httpbin.having(together(other, shared)):
        with sleep.load(f"{HTTPBIN}/get") as load:
            load.more(30)
            httpbin.delete(other)
            load.more(60)
        alone = sleep.get(f"{HTTPBIN}/anything")
        analyzed = httpbin.run("analyze").said
        httpbin.apply(other)
        again = sleep.get(f"{HTTPBIN}/anything").status
    assert load.result.failures == [], "the share of what is gone goes to the rule's other destination"
    assert (alone.status, alone.body) == (503, "no destination of the route exists")
    assert "host other is no service" in analyzed or "IST0101" in analyzed
    assert again == 200


# Instances


def test_an_update_may_start_all_new_instances_at_once(httpbin: Mesh, sleep: Caller, many: None) -> None:
    surging = replicated(2, version="2").replace(
        "  replicas: 2", "  replicas: 2\n  strategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 0}}"
    )

    def roll() -> None:
        old = {row["name"] for row in httpbin.ready("many", 2)}
        httpbin.apply(surging)
        until(lambda: not old & {row["name"] for row in httpbin.instances("many")}, 40, "the old instances to be gone")
        httpbin.ready("many", 2)

    assert under_load(sleep, MANY, [roll]).failures == []


def test_an_endpoint_that_flaps_twenty_times_a_second_fails_no_request(httpbin: Mesh, sleep: Caller) -> None:
    addresses = [httpbin.ready(name)[0]["address"] for name in ("httpbin", "httpbin-v2")]

    def entry(some: Sequence[str]) -> str:
        return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: flapping}}
spec:
  hosts: [flapping.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: 8080}}]
  endpoints: [{", ".join(f"{{address: {one}}}" for one in some)}]
"""

    def flap(states: Iterator[int]) -> None:
        for state in states:
            documents = [{"file": "", "text": entry(addresses[state % 2 :])}]
            httpbin.api.post("v1", "apply", body={"documents": documents})

    with httpbin.having(entry(addresses)), sleep.load("http://flapping.example/get") as load:
        load.more(20)
        # Each call waits for its push, so that two of them keep changes coming.
        flapping = [threading.Thread(target=flap, args=(iter(range(start, 60, 2)),)) for start in (0, 1)]
        began = time.monotonic()
        for one in flapping:
            one.start()
        for one in flapping:
            one.join()
        seconds = time.monotonic() - began
        load.more(20)
    assert load.result.failures == [], f"60 changes in {seconds:.1f} s"


# Endings


def listening(mesh: Mesh, program: str, *arguments: str) -> "subprocess.Popen[str]":
    """A client in the workload sleep that prints what it hears."""
    environment = ["env", f"PYTHONPATH={SITE_PACKAGES}", mesh.python]
    argv = mesh.argv("exec", "deploy/sleep", "--", *environment, "-c", program, *arguments)
    return subprocess.Popen(argv, env=mesh.environment, stdout=subprocess.PIPE, text=True)


def test_streams_of_an_instance_that_goes_are_ended_by_it_and_others_go_on(httpbin: Mesh) -> None:
    more = f"env: [{{name: PYTHONPATH, value: {SITE_PACKAGES}}}]\nreadinessProbe: {{tcpSocket: {{port: 9000}}, periodSeconds: 1}}"
    ticking = deployment("clock", container([httpbin.python, "-c", TICKS, "9000"], more=more), replicas=2)
    ticking = ticking.replace("GracePeriodSeconds: 1", "GracePeriodSeconds: 20")
    shared = destination_rule("{loadBalancer: {simple: ROUND_ROBIN}}", "clock")
    with httpbin.having(together(service("clock", "{name: grpc, port: 9000}"), ticking, shared)):
        httpbin.ready("clock", 2)
        clients = [listening(httpbin, TICKS_HEARD, "clock:9000") for _ in range(4)]
        heard_first = [client.stdout.readline().strip() for client in clients if client.stdout]
        httpbin.do("scale", "clock", "--replicas", "1")
        (left,) = httpbin.ready("clock", 1, 40)
        ended = [one for one, first in zip(clients, heard_first, strict=True) if first != left["name"]]
        last = [one.communicate(timeout=30)[0].splitlines()[-2:] for one in ended]
        going = [one for one in clients if one not in ended]
        still = [one.poll() for one in going]
        for one in going:
            one.terminate()
            one.communicate(timeout=10)
    assert {len(set(heard_first)), len(ended), len(going)} == {2}
    assert last == [["bye", "ended"]] * 2, "the application has the last word"
    assert still == [None, None]


def test_a_websocket_carries_bytes_until_the_application_says_goodbye(httpbin: Mesh) -> None:
    probe = "readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}"
    server = pod("farewell", container([httpbin.python, "-c", FAREWELL, "8080"], more=probe))
    server = server.replace("GracePeriodSeconds: 1", "GracePeriodSeconds: 20")
    with httpbin.having(together(service("farewell", "{name: http, port: 80, targetPort: 8080}"), server)):
        client = listening(httpbin, FAREWELL_HEARD, "farewell")
        assert client.stdout
        opened = client.stdout.readline().strip()
        httpbin.delete(server)
        said, _ = client.communicate(timeout=30)
    assert opened == "HTTP/1.1 101 Switching Protocols"
    assert said.split() == ["bye", "True"]
