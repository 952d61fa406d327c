"""What the world gets through an ingress gateway."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.live.mesh import Caller, Mesh, until
from tests.live.yaml_texts import TO_V1, TO_V2, VERSIONS, gateway, rule, together

GATEWAY_NAMESPACE = "istio-system"


@pytest.fixture(autouse=True, scope="module")
def door(httpbin: Mesh) -> Iterator[None]:
    """A gateway for two hosts, each with a version of httpbin."""
    one = rule(TO_V1, host="one.example.com", name="one", gateways="door")
    two = rule(TO_V2, host="two.example.com", name="two", gateways="door")
    with httpbin.having(together(VERSIONS, gateway("*.example.com"), one, two)):
        yield


def test_hosts_are_told_apart(httpbin: Mesh, outside: Caller) -> None:
    versions = [
        outside.get(f"{httpbin.url()}/get", headers={"host": host}).version
        for host in ("one.example.com", "two.example.com", "ONE.example.com", "one.example.com:8080")
    ]
    assert versions == ["v1", "v2", "v1", "v1"]


@pytest.mark.parametrize("host", ["three.example.com", "elsewhere.com", "localhost"])
def test_an_unknown_host_is_not_found(httpbin: Mesh, outside: Caller, host: str) -> None:
    answer = outside.get(f"{httpbin.url()}/get", headers={"host": host})
    assert (answer.status, answer.body) == (404, "")


def test_routes_of_the_gateway_do_not_hold_in_the_mesh(httpbin: Mesh, outside: Caller, sleep: Caller) -> None:
    only_outside = rule(
        "directResponse: {status: 418}", host="httpbin.default.svc.cluster.local", name="outside", gateways="door"
    )
    with httpbin.having(together(gateway("*"), only_outside)):
        inside = sleep.get("http://httpbin:8000/get").status
        through = outside.get(f"{httpbin.url()}/get", headers={"host": "httpbin.default.svc.cluster.local"}).status
    httpbin.apply(gateway("*.example.com"))
    assert (inside, through) == (200, 418)


def test_routes_may_hold_for_the_gateway_and_the_mesh(httpbin: Mesh, outside: Caller, sleep: Caller) -> None:
    both = rule("directResponse: {status: 418}", host="httpbin.example.com", name="both", gateways="door, mesh")
    by_gateway = "match: [{gateways: [door]}]\ndirectResponse: {status: 418}"
    told_apart = rule(by_gateway, TO_V1, host="httpbin.default.svc.cluster.local", name="apart", gateways="door, mesh")
    with httpbin.having(together(gateway("*"), both, told_apart)):
        inside = sleep.get("http://httpbin:8000/get").status
        through = outside.get(f"{httpbin.url()}/get", headers={"host": "httpbin.default.svc.cluster.local"}).status
    httpbin.apply(gateway("*.example.com"))
    assert (inside, through) == (200, 418)


def test_the_client_is_told_to_the_server(httpbin: Mesh, outside: Caller) -> None:
    headers = outside.get(f"{httpbin.url()}/headers", headers={"host": "one.example.com"}).json["headers"]
    found = {name.lower(): value for name, value in headers.items()}
    assert found["host"] == "one.example.com"
    assert found["x-forwarded-proto"] == "http"
    assert "x-forwarded-for" in found
    assert "x-request-id" in found


def test_streams_and_large_bodies_pass(httpbin: Mesh, outside: Caller) -> None:
    url, host = httpbin.url(), {"host": "one.example.com"}
    streamed = outside.get(f"{url}/stream/50", headers=host)
    large = outside.get(f"{url}/anything", method="POST", body="x" * 2_000_000, headers=host)
    assert (streamed.status, len(streamed.body.splitlines())) == (200, 50)
    assert (large.status, len(large.json["data"])) == (200, 2_000_000)


def told_apart(**topology: object) -> str:
    """What stands before the gateway, and a rule that refuses whoever comes from 127.0.0.0/8 or 203.0.113.0/24."""
    blocks = '["127.0.0.0/8", "203.0.113.0/24"]'
    return f"""
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {{name: mesh, namespace: istio-system}}
spec: {{defaultConfig: {{gatewayTopology: {json.dumps(topology)}}}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: not-these, namespace: {GATEWAY_NAMESPACE}}}
spec:
  selector: {{matchLabels: {{istio: ingressgateway}}}}
  action: DENY
  rules: [{{from: [{{source: {{remoteIpBlocks: {blocks}}}}}]}}]
"""


def test_rules_about_addresses_see_the_client_where_it_is_told(httpbin: Mesh, outside: Caller) -> None:
    url = f"{httpbin.url()}/get"

    def status(forwarded: str = "") -> int:
        headers = {"host": "one.example.com"} | ({"x-forwarded-for": forwarded} if forwarded else {})
        return outside.get(url, headers=headers).status

    with httpbin.having(told_apart()):
        until(lambda: status() == 200)
        assert status("203.0.113.9") == 200
    with httpbin.having(told_apart(numTrustedProxies=1)):
        until(lambda: status("203.0.113.9") == 403)
        assert status() == 200
    with httpbin.having(told_apart(proxyProtocol={})):
        until(lambda: status() == 403)
    until(lambda: status() == 200)


def test_a_server_may_listen_on_a_socket(httpbin: Mesh) -> None:
    socket = httpbin.base / "door.sock"
    server = (
        f"{{port: {{number: 0, name: local, protocol: HTTP}}, bind: 'unix://{socket}', hosts: [local.example.com]}}"
    )
    local = gateway("unused").replace("name: door", "name: local").partition("  servers:")[0] + f"  servers: [{server}]"
    to = rule("directResponse: {status: 418}", host="local.example.com", name="local", gateways="local")

    def status() -> str:
        argv = ["curl", "--silent", "--unix-socket", str(socket), "http://local.example.com/"]
        ended = subprocess.run(
            [*argv, "--write-out", "%{http_code}"], capture_output=True, text=True, timeout=20, check=False
        )
        return ended.stdout

    with httpbin.having(together(local, to)):
        until(lambda: status() == "418", 15, "an answer on the socket")
