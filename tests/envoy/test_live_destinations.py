"""A real gateway does with the endpoints of a host what DestinationRules, HealthChecks and sessions say."""

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from .running import HOST, ask, free_port, http_server
from .served import NAMESPACE, Served, served_gateway

pytestmark = pytest.mark.live

OUTSIDE = "shop.example.com"


@dataclass
class Stage:
    """A gateway before some servers, each with a place and labels, that are the endpoints of one host."""

    served: Served
    port: int = field(default_factory=free_port)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Write objects, and return when the gateway does what they say."""
        self.served.apply(yaml.safe_dump_all(objects))

    def set_up(self, endpoints: list[dict[str, Any]], protocol: str = "HTTP") -> None:
        """Open the gateway's port, and lead it to a host with these endpoints."""
        server = {"port": {"number": self.port, "name": "in", "protocol": protocol}, "hosts": ["*"]}
        to = {"route": [{"destination": {"host": OUTSIDE}}]}
        self.apply(
            written("Gateway", {"selector": {"istio": "ingressgateway"}, "servers": [server]}),
            written(
                "ServiceEntry",
                {
                    "hosts": [OUTSIDE],
                    "resolution": "STATIC",
                    "ports": [{"number": 80, "name": "port", "protocol": protocol}],
                    "endpoints": [{"address": HOST, **each} for each in endpoints],
                },
            ),
            self.routes({"http" if protocol == "HTTP" else "tcp": [to]}),
        )

    def routes(self, rules: dict[str, Any]) -> dict[str, Any]:
        """The rules of the gateway."""
        return written("VirtualService", {"hosts": ["*"], "gateways": ["stage"], **rules})

    def answers(self, times: int = 40) -> Counter[str]:
        """Who answers, and how often."""
        return Counter(ask(self.port, "/name").body for _ in range(times))


def written(kind: str, spec: dict[str, Any], group: str = "networking.istio.io") -> dict[str, Any]:
    return {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": "stage", "namespace": NAMESPACE},
        "spec": spec,
    }


def rule(**policy: Any) -> dict[str, Any]:
    return written("DestinationRule", {"host": OUTSIDE, "trafficPolicy": policy})


def endpoint(port: int, place: str = "", **labels: str) -> dict[str, Any]:
    return {"ports": {"port": port}, "locality": place, "labels": labels}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with served_gateway(tmp_path) as served:
        yield Stage(served)


@pytest.fixture
def servers() -> Iterator[Callable[..., list[int]]]:
    with ExitStack() as stack:
        yield lambda *names: [stack.enter_context(http_server(name)) for name in names]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


EJECTING = {"outlierDetection": {"consecutive5xxErrors": 1, "interval": "0.1s", "maxEjectionPercent": 100}}


def test_the_nearest_endpoints_serve_until_they_fail(stage: Stage, servers: Callable[..., list[int]]) -> None:
    far, other = servers("far", "other")
    stage.set_up([endpoint(free_port(), "eu/a"), endpoint(far, "eu/b"), endpoint(other, "us/c")])
    stage.apply(rule(**EJECTING))
    until(lambda: stage.answers(10) == {"far": 10})


def test_a_region_takes_over(stage: Stage, servers: Callable[..., list[int]]) -> None:
    us, asia = servers("us", "asia")
    stage.set_up([endpoint(us, "us/c"), endpoint(asia, "asia/d")])
    stage.apply(
        rule(loadBalancer={"localityLbSetting": {"failover": [{"from": "eu", "to": "asia"}]}}, **EJECTING),
    )
    assert stage.answers() == {"asia": 40}


def test_endpoints_that_are_like_the_client_come_first(stage: Stage, servers: Callable[..., list[int]]) -> None:
    red, blue = servers("red", "blue")
    stage.set_up([endpoint(blue, team="blue"), endpoint(red, team="red")])
    stage.apply(rule(loadBalancer={"localityLbSetting": {"failoverPriority": ["team"]}}, **EJECTING))
    assert stage.answers() == {"red": 40}


def test_localities_get_the_shares_that_are_written(stage: Stage, servers: Callable[..., list[int]]) -> None:
    near, far, left_out = servers("near", "far", "left out")
    stage.set_up([endpoint(near, "eu/a"), endpoint(far, "us/c"), endpoint(left_out, "asia/d")])
    shares = {"from": "eu/*", "to": {"eu/a": 20, "us": 80}}
    stage.apply(rule(loadBalancer={"simple": "RANDOM", "localityLbSetting": {"distribute": [shares]}}))
    seen = stage.answers(200)
    assert seen.keys() == {"near", "far"}
    assert 120 <= seen["far"] <= 190


def test_an_endpoint_that_fails_its_checks_gets_nothing(stage: Stage, servers: Callable[..., list[int]]) -> None:
    (well,) = servers("well")
    silent = free_port()
    check = {"host": OUTSIDE, "http": {"path": "/name"}, "interval": "0.1s", "timeout": "0.1s"}
    stage.set_up([endpoint(well), endpoint(silent)])
    stage.apply(written("HealthCheck", {**check, "unhealthyThreshold": 1}, "lateen.dev"))
    until(lambda: stage.answers(20) == {"well": 20})


def test_a_session_stays_while_weights_change(stage: Stage, servers: Callable[..., list[int]]) -> None:
    ports = servers("v1", "v1 too", "v2", "v2 too")
    versions = ("v1", "v1", "v2", "v2")
    stage.set_up([endpoint(port, version=version) for port, version in zip(ports, versions, strict=True)])
    subsets = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]

    def shared(first: int) -> dict[str, Any]:
        weights = {"v1": first, "v2": 100 - first}
        route = [
            {"destination": {"host": OUTSIDE, "subset": subset}, "weight": weight} for subset, weight in weights.items()
        ]
        return stage.routes({"http": [{"route": route}]})

    kept = written("SessionPersistence", {"host": OUTSIDE, "cookie": {"name": "s"}}, "lateen.dev")
    stage.apply(written("DestinationRule", {"host": OUTSIDE, "subsets": subsets}), shared(50), kept)
    sessions = [new_session(stage.port) for _ in range(8)]
    for weight in (99, 1):
        stage.apply(shared(weight))
        for server, cookies in sessions:
            assert {ask(stage.port, "/name", cookie=cookies).body for _ in range(5)} == {server}
    stage.apply(shared(0))
    for server, cookies in sessions:
        assert ask(stage.port, "/name", cookie=cookies).body.startswith("v2"), f"{server} has no share any more"


def new_session(port: int) -> tuple[str, str]:
    """Who answers the first request, and the cookies of the session."""
    with socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(b"GET /name HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        text = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    head, _, body = text.partition("\r\n\r\n")
    cookies: SimpleCookie = SimpleCookie()
    for line in head.splitlines():
        name, _, value = line.partition(": ")
        if name == "set-cookie":
            cookies.load(value)
    return body, "; ".join(f"{name}={cookie.value}" for name, cookie in cookies.items())


def test_an_endpoint_is_told_who_called(stage: Stage) -> None:
    with listening() as (port, heard):
        stage.set_up([endpoint(port)], "TCP")
        stage.apply(rule(proxyProtocol={"version": "V1"}))
        with socket.create_connection((HOST, stage.port), timeout=5) as connection:
            connection.sendall(b"hello")
            own = connection.getsockname()[1]
            until(lambda: b"hello" in heard)
    assert bytes(heard).startswith(f"PROXY TCP4 {HOST} {HOST} {own} {stage.port}\r\n".encode())


@pytest.mark.parametrize("method", ["CONNECT", "POST"])
def test_connections_go_through_a_tunnel(stage: Stage, method: str) -> None:
    with listening(b"HTTP/1.1 200 OK\r\n\r\n") as (port, heard):
        stage.set_up([endpoint(port)], "TCP")
        stage.apply(rule(tunnel={"protocol": method, "targetHost": "db.example.com", "targetPort": 5432}))
        with socket.create_connection((HOST, stage.port), timeout=5) as connection:
            connection.sendall(b"hello")
            until(lambda: b"hello" in heard)
    assert bytes(heard).startswith(method.encode())
    assert b"db.example.com:5432" in heard


@contextmanager
def listening(reply: bytes = b"") -> Iterator[tuple[int, bytearray]]:
    """A server that takes one connection, says something at the first bytes, and keeps what it hears."""
    heard = bytearray()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            while received := connection.recv(4096):
                if not heard and reply:
                    connection.sendall(reply)
                heard.extend(received)

    with socket.create_server((HOST, 0)) as server:
        Thread(target=serve, daemon=True).start()
        yield int(server.getsockname()[1]), heard


def test_hosts_of_a_wildcard_are_resolved_one_by_one(stage: Stage, servers: Callable[..., list[int]]) -> None:
    first, second = servers("first", "second")
    server = {"port": {"number": stage.port, "name": "in", "protocol": "HTTP"}, "hosts": ["*"]}
    entry = {
        "hosts": ["*.localhost"],
        "resolution": "DYNAMIC_DNS",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
    }
    stage.apply(
        written("Gateway", {"selector": {"istio": "ingressgateway"}, "servers": [server]}),
        written("ServiceEntry", entry),
        stage.routes({"http": [{"route": [{"destination": {"host": "*.localhost"}}]}]}),
    )
    assert ask(stage.port, "/name", host=f"a.localhost:{first}").body == "first"
    assert ask(stage.port, "/name", host=f"b.localhost:{second}").body == "second"
