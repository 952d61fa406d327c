"""A real Envoy sends spans to collectors of each kind, and passes traces on in the headers of each kind."""

import json
import queue
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from lateen.model.endpoint import Endpoint
from lateen.model.protocol import Protocol
from lateen.model.proxy import Role
from lateen.plan.telemetry_types import Reports, Telemetry
from lateen.plan.tracing_types import Collector, OtlpCollector, TagSource, TraceTag, Tracing, ZipkinCollector
from lateen.plan.types import (
    Cluster,
    Discovery,
    Forward,
    GatewayListener,
    HttpChain,
    ProxyPlan,
    Route,
    RouteTable,
    Target,
    VirtualHost,
)

from .plans import ANY
from .running import HOST, ask, free_port, http_server, running_envoy, serving

pytestmark = pytest.mark.live

WEB, SINK = "outbound|80||web", "outbound|4317||sink"
TAGS = (
    TraceTag("where", TagSource.ENVIRONMENT, "ZONE"),
    TraceTag("who", TagSource.HEADER, "x-who", "nobody"),
    TraceTag("what", TagSource.FORMATTER, "%PROTOCOL%"),
    TraceTag("why", TagSource.LITERAL, "because"),
)
EXPECTED = {"where": "here", "who": "nobody", "what": "HTTP/1.1", "why": "because"}
SECONDS = 10

Received = queue.Queue[dict[str, Any]]


@contextmanager
def http_sink() -> Iterator[tuple[int, Received]]:
    """A server that takes what it is sent over HTTP; yields its port and what came: path and body."""
    received: Received = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            received.put({"path": self.path, "body": body, "key": self.headers.get("x-key", "")})
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with serving(Handler) as port:
        yield port, received


@contextmanager
def grpc_sink() -> Iterator[tuple[int, Received]]:
    """A collector of OpenTelemetry over gRPC."""
    received: Received = queue.Queue()

    def export(request: bytes, context: grpc.ServicerContext) -> bytes:
        key = dict(context.invocation_metadata()).get("x-key", "")
        received.put({"path": "", "body": request, "key": key})
        return b""

    server = grpc.server(ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler(export)
    name = "opentelemetry.proto.collector.trace.v1.TraceService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Export": handler}),))
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    try:
        yield port, received
    finally:
        server.stop(0)


@contextmanager
def traced(collector: Collector, sink: int, place: Path) -> Iterator[int]:
    """A gateway that traces every request; yields its port."""
    port = free_port()
    is_grpc = isinstance(collector, OtlpCollector) and not collector.path
    with http_server("web") as web:
        known = {"web": (Endpoint(HOST, web),), "sink": (Endpoint(HOST, sink),)}
        plan = ProxyPlan(
            Role.GATEWAY,
            clusters=(
                Cluster(WEB, Discovery.EDS, "web", 80, protocol=Protocol.HTTP),
                Cluster(SINK, Discovery.EDS, "sink", 4317, protocol=Protocol.GRPC if is_grpc else Protocol.HTTP),
            ),
            route_tables=(
                RouteTable(f"http.{port}", (VirtualHost("*:80", ("*",), (Route(ANY, Forward((Target(WEB),))),)),)),
            ),
            gateway=(GatewayListener(HOST, port, HttpChain(f"http.{port}")),),
            telemetry=Telemetry(Reports(tracing=Tracing(collector, 100.0, TAGS))),
        )
        with running_envoy(plan, lambda host, _: known[host], place):
            yield port


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a proxy's environment says of it."""
    monkeypatch.setenv("ZONE", "here")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=gate.default,k8s.pod.name=gate-1")


def some_id(digits: int) -> str:
    """An id that no other request has."""
    return f"{random.getrandbits(4 * digits) | 1:0{digits}x}"


def passed_on(port: int, **headers: str) -> dict[str, str]:
    """The headers that the server gets with a request."""
    found: dict[str, str] = json.loads(ask(port, "/a", **headers).body)["headers"]
    return found


@pytest.mark.parametrize("path", ["", "/v1/traces"], ids=["grpc", "http"])
def test_a_collector_of_opentelemetry_gets_spans(tmp_path: Path, path: str) -> None:
    with http_sink() if path else grpc_sink() as (sink, received):
        collector = OtlpCollector(SINK, "sink:4317", path, headers=(("x-key", "secret"),))
        with traced(collector, sink, tmp_path) as port:
            trace_id, parent = some_id(32), some_id(16)
            onward = passed_on(port, traceparent=f"00-{trace_id}-{parent}-01")
            came = received.get(timeout=SECONDS)
    (spans,) = trace_service_pb2.ExportTraceServiceRequest.FromString(came["body"]).resource_spans
    resource = {each.key: each.value.string_value for each in spans.resource.attributes}
    (span,) = spans.instrumentation_library_spans[0].spans  # as the field was called before
    tags = {each.key: each.value.string_value for each in span.attributes}
    assert (came["path"], came["key"]) == (path, "secret")
    assert (resource["service.name"], resource["k8s.pod.name"]) == ("gate.default", "gate-1")
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (trace_id, parent)
    assert onward["traceparent"] == f"00-{trace_id}-{span.span_id.hex()}-01"
    assert {name: tags[name] for name in EXPECTED} == EXPECTED


@pytest.mark.parametrize("with_w3c", [False, True], ids=["B3", "B3 and W3C"])
def test_a_zipkin_gets_spans(tmp_path: Path, with_w3c: bool) -> None:
    with http_sink() as (sink, received):
        collector = ZipkinCollector(SINK, "sink:9411", "/spans", with_w3c=with_w3c, headers=(("x-key", "secret"),))
        with traced(collector, sink, tmp_path) as port:
            trace_id, parent = some_id(32), some_id(16)
            onward = passed_on(port, x_b3_traceid=trace_id, x_b3_spanid=parent, x_b3_sampled="1")
            came = received.get(timeout=SECONDS)
    (span,) = json.loads(came["body"])
    assert (came["path"], came["key"]) == ("/spans", "secret")
    assert (span["traceId"], span["parentId"]) == (trace_id, parent)
    assert (onward["x-b3-traceid"], onward["x-b3-spanid"]) == (trace_id, span["id"])
    assert ("traceparent" in onward) is with_w3c
    assert {name: span["tags"][name] for name in EXPECTED} == EXPECTED


def test_a_collector_that_is_not_there_hurts_nobody(tmp_path: Path) -> None:
    collector = ZipkinCollector(SINK, "sink:9411", with_w3c=True)
    with traced(collector, free_port(), tmp_path) as port:
        seen = [passed_on(port) for _ in range(50)]
    assert len({headers["x-b3-traceid"] for headers in seen}) == 50
