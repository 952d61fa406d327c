"""External authorizers as small servers: they allow what has the header `x-pass: yes`, and count what they are asked."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2
from google.rpc import status_pb2

HOST = "127.0.0.1"
_DENIED = 7


@dataclass
class Asked:
    """An authorizer's port, and the paths that it was asked about."""

    port: int = 0
    paths: list[str] = field(default_factory=list)


@contextmanager
def http_authorizer() -> Iterator[Asked]:
    """An authorizer that is asked with HTTP requests."""
    asked = Asked()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.paths.append(self.path)
            passes = self.headers.get("x-pass") == "yes"
            self.send_response(200 if passes else 403)
            self.send_header("x-authorized", "by http")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    asked.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def grpc_authorizer() -> Iterator[Asked]:
    """An authorizer that is asked over gRPC; connections without a request pass."""
    asked = Asked()

    def check(request: Any, _: grpc.ServicerContext) -> Any:
        http = request.attributes.request.http
        asked.paths.append(http.path)
        if not http.path or http.headers.get("x-pass") == "yes":
            header = base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key="x-authorized", value="by grpc"))
            return external_auth_pb2.CheckResponse(
                status=status_pb2.Status(), ok_response=external_auth_pb2.OkHttpResponse(headers=[header])
            )
        return external_auth_pb2.CheckResponse(status=status_pb2.Status(code=_DENIED))

    handler = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=external_auth_pb2.CheckRequest.FromString,
        response_serializer=external_auth_pb2.CheckResponse.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(2))
    service = grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {"Check": handler})
    server.add_generic_rpc_handlers((service,))
    asked.port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    try:
        yield asked
    finally:
        server.stop(None)
