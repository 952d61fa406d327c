"""Policies come, change and go while traffic flows: new rules hold at once, and nobody's connection is closed."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest

from tests import tokens
from tests.live.mesh import Caller, Mesh, until
from tests.live.servers import SLOW
from tests.live.yaml_texts import container, pod, rule, service, together

HTTPBIN = "http://httpbin:8000"
HOST = "kept.example.com"
GATE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: kept}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: [kept.example.com]}]
"""
AT_GATEWAY = ("istio-system", {"istio": "ingressgateway"})
AT_HTTPBIN = ("default", {"app": "httpbin"})
Place = tuple[str, dict[str, str]]


def written(kind: str, at: Place, name: str = "changing", **spec: Any) -> str:
    """A policy for the workloads of a place."""
    group = {"RateLimit": "lateen.dev/v1", "ApiKeyAuthentication": "lateen.dev/v1"}
    return json.dumps(
        {
            "apiVersion": group.get(kind, "security.istio.io/v1"),
            "kind": kind,
            "metadata": {"name": name, "namespace": at[0]},
            "spec": {"selector": {"matchLabels": at[1]}, **spec},
        }
    )


def denying(at: Place, path: str, name: str = "changing") -> str:
    """A policy that refuses a path."""
    rules = [{"to": [{"operation": {"paths": [path]}}]}]
    return written("AuthorizationPolicy", at, name, action="DENY", rules=rules)


def tokens_of(at: Place) -> str:
    """A policy that verifies the tokens of one issuer."""
    rules = [{"issuer": "https://issuer.example.com", "jwks": tokens.key_set(tokens.rsa_key())}]
    return written("RequestAuthentication", at, jwtRules=rules)


def limit(at: Place, requests: int) -> str:
    """So many requests a day for one path."""
    return written("RateLimit", at, limits=[{"rate": f"{requests}/day", "match": {"paths": ["/headers"]}}])


class Kept:
    """One connection of HTTP/1.1 from the host to the gateway, which is never opened again."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=15)
        self._connection.connect()
        self._socket = self._connection.sock

    def get(self, path: str, **headers: str) -> int:
        """The status of a request."""
        assert self._connection.sock is self._socket, "the connection was closed"
        self._connection.request("GET", path, headers={"host": HOST, **headers})
        response = self._connection.getresponse()
        response.read()
        assert response.getheader("connection") != "close"
        return response.status

    def close(self) -> None:
        """End it."""
        self._connection.close()


@pytest.fixture(scope="module", autouse=True)
def gate(httpbin: Mesh) -> Iterator[None]:
    """A host of the gateway that leads to httpbin."""
    leads = rule("route: [{destination: {host: httpbin}}]", host=HOST, name="kept", gateways="kept")
    with httpbin.having(together(GATE, leads)):
        yield


@pytest.fixture
def kept(httpbin: Mesh) -> Iterator[Kept]:
    connection = Kept(httpbin.url())
    until(lambda: connection.get("/get") == 200)
    yield connection
    connection.close()


@pytest.mark.parametrize("at", [AT_GATEWAY, AT_HTTPBIN], ids=["gateway", "sidecar"])
def test_a_kept_connection_has_the_new_rules_at_once(httpbin: Mesh, kept: Kept, at: Place) -> None:
    with httpbin.having(denying(at, "/get")):
        assert (kept.get("/get"), kept.get("/headers")) == (403, 200)
        httpbin.apply(denying(at, "/headers"))
        assert (kept.get("/get"), kept.get("/headers")) == (200, 403)
        with httpbin.having(tokens_of(at)):
            assert (kept.get("/get"), kept.get("/get", authorization="Bearer wrong")) == (200, 401)
    assert (kept.get("/get"), kept.get("/headers")) == (200, 200)


def test_limits_of_several_objects_hold_at_once(httpbin: Mesh, kept: Kept) -> None:
    with httpbin.having(limit(AT_GATEWAY, 1)):
        assert [kept.get("/headers") for _ in range(3)] == [200, 429, 429]
        httpbin.apply(limit(AT_GATEWAY, 3))
        assert [kept.get("/headers") for _ in range(4)] == [200, 200, 200, 429]
    assert kept.get("/headers") == 200


def test_connections_between_sidecars_have_the_new_rules_at_once(httpbin: Mesh, sleep: Caller) -> None:
    assert {answer.status for answer in sleep.requests(f"{HTTPBIN}/get", 20, at_once=5)} == {200}
    for _ in range(3):
        with httpbin.having(denying(AT_HTTPBIN, "/get")):
            assert {answer.status for answer in sleep.requests(f"{HTTPBIN}/get", 20, at_once=5)} == {403}
        assert {answer.status for answer in sleep.requests(f"{HTTPBIN}/get", 20, at_once=5)} == {200}


@contextmanager
def channel(url: str) -> Iterator[tuple[Any, list[grpc.ChannelConnectivity]]]:
    """One connection of HTTP/2, and the states that it goes through."""
    states: list[grpc.ChannelConnectivity] = []
    options = [("grpc.default_authority", HOST)]
    with grpc.insecure_channel(urlsplit(url).netloc, options=options) as made:
        made.subscribe(states.append)
        yield made.unary_unary("/get"), states


def code(call: Any) -> grpc.StatusCode:
    """What becomes of a call."""
    try:
        call(b"", timeout=10)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_a_connection_of_http_2_has_the_new_rules_at_once(httpbin: Mesh) -> None:
    with channel(httpbin.url()) as (call, states):
        served = code(call)
        assert served is not grpc.StatusCode.PERMISSION_DENIED
        for _ in range(3):
            with httpbin.having(denying(AT_GATEWAY, "/get")):
                assert code(call) is grpc.StatusCode.PERMISSION_DENIED
            assert code(call) is served
    assert [state.name for state in states].count("CONNECTING") <= 1
    assert not {grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN} & {*states[:-1]}


def test_a_request_outlives_a_change_that_comes_while_it_is_answered(httpbin: Mesh, sleep: Caller) -> None:
    app = container([httpbin.python, "-c", SLOW, "8080", "3"])
    soon = "{proxy.istio.io/config: 'drainDuration: 1s'}"
    port = "{name: http, port: 80, targetPort: 8080}"
    at = ("default", {"app": "slow"})
    with (
        httpbin.having(together(service("slow", port), pod("slow", app, annotations=soon))),
        httpbin.call_from("deploy/sleep") as other,
        ThreadPoolExecutor(1) as pool,
    ):
        httpbin.ready("slow")
        until(lambda: other.get("http://slow/").status == 200)
        answer = pool.submit(sleep.get, "http://slow/slow")
        until(lambda: other.get("http://slow/").body == "1")
        with httpbin.having(denying(at, "/slow")):
            assert other.get("http://slow/slow").status == 403
            assert (answer.result().status, answer.result().body) == (200, "1")


def test_no_request_fails_while_policies_change(httpbin: Mesh, outside: Caller) -> None:
    with outside.load(f"{httpbin.url()}/get", headers={"host": HOST}) as load:
        for at in (AT_GATEWAY, AT_HTTPBIN):
            with httpbin.having(denying(at, "/never")):
                load.more()
                httpbin.apply(denying(at, "/ever"))
                load.more()
                with httpbin.having(tokens_of(at)), httpbin.having(limit(at, 1)):
                    load.more()
            load.more()
    assert load.result.failures == []
    assert load.result.counts == {"200": load.result.requests}
