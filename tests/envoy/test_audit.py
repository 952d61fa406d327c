"""Audit records of a real Envoy: exact for what is refused and what AUDIT rules match, none for all else, no secrets."""

import http.client
import json
import queue
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2

from lateen.model.endpoint import Endpoint
from lateen.model.protocol import Protocol
from lateen.model.proxy import Role
from lateen.names import INBOUND_PASSTHROUGH_CLUSTER, PeerName, inbound_cluster, instance_name
from lateen.plan.types import (
    Cluster,
    Discovery,
    Forward,
    HttpChain,
    InboundPort,
    ProxyPlan,
    RequestMatch,
    Route,
    RouteTable,
    Target,
    TcpChain,
    VirtualHost,
)
from tests import tokens
from tests.plan import worlds

from . import guarded
from .identities import Authority, client_context
from .running import HOST, echo_server, free_port, http_server, running_envoy
from .test_mutual_tls import _at_ports

pytestmark = pytest.mark.live

POLICIES = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: no-secrets}}
spec: {{action: DENY, rules: [{{to: [{{operation: {{methods: [PUT]}}}}]}}, {{to: [{{operation: {{paths: [/secret*]}}}}]}}]}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: known}}
spec:
  rules:
  - from: [{{source: {{namespaces: [default]}}}}]
    to: [{{operation: {{ports: ["{web}"], notPaths: [/nobody]}}}}]
  - to: [{{operation: {{paths: [/open]}}}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: watch, namespace: istio-system}}
spec: {{action: AUDIT, rules: [{{to: [{{operation: {{paths: [/watched]}}}}]}}]}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: watch-raw}}
spec: {{action: AUDIT, rules: [{{to: [{{operation: {{ports: ["{raw}"]}}}}]}}]}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: trial, annotations: {{istio.io/dry-run: "true"}}}}
spec: {{action: DENY, rules: [{{to: [{{operation: {{paths: [/trial], ports: ["{web}"]}}}}]}}]}}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: tokens}}
spec: {{jwtRules: [{{issuer: "https://issuer.example.com", jwks: '{jwks}'}}]}}
"""
COLLECTOR = "grpc-collector.default.svc.cluster.local"
CLIENT = "spiffe://cluster.local/ns/default/sa/cart"
MESH = {
    "source_principal": CLIENT,
    "source_namespace": "default",
    "source_workload": "cart-v1-7",
    "source_ip": HOST,
    "type": "audit",
    "destination_workload": "server-1",
    "destination_namespace": "default",
}
PLAIN = {**MESH, "source_principal": None, "source_namespace": None, "source_workload": None}


@dataclass
class Watched:
    """A server's proxy, and the records that it has written."""

    web: int
    raw: int
    mesh: ssl.SSLContext
    log: Path
    collected: int = 0

    def ask(self, path: str, method: str = "GET", *, plain: bool = False, **headers: str) -> int:
        """Send a request, with the mesh's TLS unless it is plain; returns the status."""
        kind = http.client.HTTPConnection if plain else http.client.HTTPSConnection
        connection = kind(HOST, self.web, timeout=10, **({} if plain else {"context": self.mesh}))  # type: ignore[arg-type]
        try:
            written = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers={"host": "server.default", "x-request-id": "id-1", **written})
            return connection.getresponse().status
        finally:
            connection.close()

    def say(self) -> bytes:
        """Speak to the port that is not HTTP, without TLS."""
        with socket.create_connection((HOST, self.raw), timeout=5) as connection:
            connection.sendall(b"hello")
            try:
                return connection.recv(100)
            except ConnectionResetError:
                return b""

    def records(self, most: int) -> list[dict[str, Any]]:
        """The new records, once there are so many, or none came for a while."""
        deadline = time.monotonic() + 3
        while len(lines := self._lines()) < self.collected + most and time.monotonic() < deadline:
            time.sleep(0.02)
        found = [json.loads(line) for line in lines[self.collected :]]
        self.collected = len(lines)
        for record in found:
            assert record.pop("time")
        return found

    def _lines(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith("{")] if self.log.exists() else []


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    place, authority = tmp_path_factory.mktemp("audit"), Authority()
    web, raw, log = free_port(), free_port(), place / "audit.log"
    pair = authority.pair(
        x509.UniformResourceIdentifier(CLIENT),
        x509.DNSName(str(PeerName("cart-v1", "cart", "v1", instance="cart-v1-7"))),
        x509.DNSName(instance_name("cart-v1-7", "default")),
    )
    jwks = json.dumps({"keys": [tokens.ec_key().public]})
    mesh = {"extension_providers": [{"name": "audit", "envoy_file_access_log": {"path": str(log)}}]}
    guards = worlds.plan(POLICIES.format(web=web, raw=raw, jwks=jwks), mesh=mesh).guards
    with ExitStack() as stack:
        servers = {web: stack.enter_context(http_server("web")), raw: stack.enter_context(echo_server())}
        table = RouteTable(
            "t", (VirtualHost("x", ("*",), (Route(RequestMatch(), Forward((Target(inbound_cluster(web)),))),)),)
        )
        plan = ProxyPlan(
            Role.SIDECAR,
            clusters=(
                *(Cluster(inbound_cluster(port), Discovery.STATIC, protocol=Protocol.HTTP if port == web else Protocol.TCP,
                          endpoints=(Endpoint(HOST, servers[port]),)) for port in servers),
                Cluster(INBOUND_PASSTHROUGH_CLUSTER, Discovery.STATIC, endpoints=(Endpoint(HOST, 1),)),
            ),
            route_tables=(),
            inbound=(InboundPort(web, HttpChain("t", table), "server"), InboundPort(raw, TcpChain((Target(inbound_cluster(raw)),)), "server")),
            inbound_fallback=TcpChain((Target(INBOUND_PASSTHROUGH_CLUSTER),)),
            guards=guards,
        )  # fmt: skip
        change = _at_ports([web, raw], place, authority.workload("server"), authority.root)

        def named(config: dict[str, Any]) -> dict[str, Any]:
            config["node"]["metadata"] = {"NAME": "server-1", "NAMESPACE": "default"}
            return change(config)

        stack.enter_context(running_envoy(plan, lambda *_: (), place, named))
        yield Watched(web, raw, client_context(pair, place, ("istio-http/1.1",)), log)


def request(watched: Watched, path: str, **changed: object) -> dict[str, object]:
    """The record of a request."""
    said: dict[str, object] = {
        "decision": "deny", "policy": None, "rule": None, "method": "GET", "host": "server.default", "path": path,
        "response_code": 403, "request_id": "id-1", "token_issuer": None, "token_subject": None, "destination_port": watched.web,
        "reason": "rbac_access_denied_matched_policy[none]",
    }  # fmt: skip
    return {**MESH, **said, **changed}


def test_what_is_allowed_and_not_watched_leaves_no_record(watched: Watched) -> None:
    assert watched.ask("/cart") == 200
    assert watched.ask("/open", plain=True) == 200
    assert watched.records(0) == []


def test_a_denial_names_policy_and_rule(watched: Watched) -> None:
    assert watched.ask("/secret/a?token=hidden", cookie="session=hidden", x_key="hidden") == 403
    reason = "rbac_access_denied_matched_policy[ns[default]-policy[no-secrets]-rule[1]]"
    expected = request(watched, "/secret/a", policy="default/no-secrets", rule="1", reason=reason)
    assert watched.records(1) == [expected]
    assert "hidden" not in watched.log.read_text()


def test_what_no_rule_allows_is_denied_by_none(watched: Watched) -> None:
    assert watched.ask("/nobody", x_envoy_original_path="/open") == 403
    assert watched.records(1) == [request(watched, "/nobody")]


def test_who_has_no_certificate_has_an_address_only(watched: Watched) -> None:
    assert watched.ask("/cart", plain=True, x_forwarded_for="9.9.9.9") == 403
    assert watched.records(1) == [{**request(watched, "/cart"), **PLAIN}]


def test_what_an_audit_rule_matches_is_recorded(watched: Watched) -> None:
    token = tokens.ec_key().token()
    assert watched.ask("/watched", authorization=f"Bearer {token}") == 200
    expected = request(watched, "/watched", decision="audit", policy="istio-system/watch", rule="0", response_code=200,
                       reason="via_upstream", token_issuer="https://issuer.example.com", token_subject="jason")  # fmt: skip
    assert watched.records(1) == [expected]
    assert token.split(".")[2] not in watched.log.read_text()


def test_what_a_policy_in_dry_run_would_refuse_is_recorded(watched: Watched) -> None:
    assert watched.ask("/trial") == 200
    told = {
        "decision": "dry-run",
        "policy": "default/trial",
        "rule": "0",
        "response_code": 200,
        "reason": "via_upstream",
    }
    assert watched.records(1) == [request(watched, "/trial", **told)]


def test_what_is_watched_and_denied_leaves_both(watched: Watched) -> None:
    assert watched.ask("/watched", "PUT") == 403
    found = watched.records(2)
    assert [(one["decision"], one["policy"], one["rule"], one["response_code"]) for one in found] == [
        ("deny", "default/no-secrets", "0", 403),
        ("audit", "istio-system/watch", "0", 403),
    ]


def test_a_refused_token_is_a_denial(watched: Watched) -> None:
    assert watched.ask("/open", authorization="Bearer a.b.c") == 401
    found = watched.records(1)
    assert [(one["decision"], one["policy"], one["response_code"]) for one in found] == [("deny", None, 401)]
    assert found[0]["reason"].startswith("jwt_authn_access_denied")


def test_connections_are_recorded_too(watched: Watched) -> None:
    assert watched.say() == b""
    common = {**PLAIN, "destination_port": watched.raw}
    assert sorted(watched.records(2), key=lambda one: str(one["decision"])) == [
        {**common, "decision": "audit", "policy": "default/watch-raw", "rule": "0"},
        {**common, "decision": "deny", "policy": "default/no-secrets", "rule": "0",
         "reason": "rbac_access_denied_matched_policy[ns[default]-policy[no-secrets]-rule[0]]"},
    ]  # fmt: skip


def test_a_collector_gets_the_same_records(tmp_path: Path) -> None:
    mesh = {"extension_providers": [{"name": "audit", "envoy_otel_als": {"service": COLLECTOR, "port": 9000}}]}
    text = """
apiVersion: v1
kind: Service
metadata: {name: grpc-collector}
spec: {ports: [{name: grpc, port: 9000}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-secrets}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/secret]}}]}]}
"""
    with collector() as (port, received):
        made = guarded.plan(text, mesh)
        with guarded.guarded(made, tmp_path, authorizers={COLLECTOR: port}) as gate:
            assert gate.ask("/secret?token=hidden").status == 403
            export = received.get(timeout=10)
    (record,) = export.resource_logs[0].instrumentation_library_logs[0].logs
    said = {one.key: one.value.string_value for one in record.attributes}
    assert record.body.string_value == "deny"
    assert (said["policy"], said["rule"], said["path"]) == ("default/no-secrets", "0", "/secret")
    assert "hidden" not in str(export)


@contextmanager
def collector() -> Iterator[tuple[int, "queue.Queue[Any]"]]:
    """A collector of OpenTelemetry's logs."""
    received: queue.Queue[Any] = queue.Queue()

    def export(request: Any, _: grpc.ServicerContext) -> Any:
        received.put(request)
        return logs_service_pb2.ExportLogsServiceResponse()

    handler = grpc.unary_unary_rpc_method_handler(
        export,
        logs_service_pb2.ExportLogsServiceRequest.FromString,
        logs_service_pb2.ExportLogsServiceResponse.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(1))
    service = "opentelemetry.proto.collector.logs.v1.LogsService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    try:
        yield port, received
    finally:
        server.stop(None)
