"""Serves HTTP for the example services, with nothing but the standard library.

A service is a tuple of `Route`s given to `serve`. Connections are kept alive, answers leave in one segment,
and SIGTERM ends the service gently: it takes no new connection, answers what it has begun, and is gone.
"""

import os
import re
import signal
import socket
import socketserver
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from web import Refused, Request, Response, Route, json_response, log, pod_name, service_version

DEFAULT_PORT = 9080
DRAIN_SECONDS = 20.0
MAX_BODY_BYTES = 10 * 1024 * 1024


def serve(service: str, routes: Iterable[Route], default_port: int = DEFAULT_PORT) -> None:
    """Serves until SIGTERM or SIGINT, then answers what it has begun, for at most `DRAIN_SECONDS`.

    The port is the first argument, else PORT, else `default_port`; 0 takes a free one. The first line printed
    names the port.
    """
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    server = Server(("0.0.0.0", _port(default_port)), tuple(routes))
    log(f"{service} {service_version()} ({pod_name()}) listens on port {server.server_port}")
    accepting = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
    accepting.start()
    signal.sigwait(ending)
    server.drain(DRAIN_SECONDS)


def _port(default_port: int) -> int:
    return int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", default_port))


class Server(ThreadingHTTPServer):
    """A thread for each connection, and a list of them, so that they can be brought to an end."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], routes: tuple[Route, ...]) -> None:
        super().__init__(address, Connection)
        self.draining = False
        self.logs_requests = os.environ.get("LOG_REQUESTS", "yes") == "yes"
        self.identity = (("x-pod", pod_name()), ("x-version", service_version()))
        self._routes = tuple((re.compile(route.pattern), route) for route in routes)
        self._connections: set[Connection] = set()
        self._changed = threading.Condition()

    def server_bind(self) -> None:
        """Binds without asking DNS for this machine's name, as the standard server does, and may wait."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = pod_name(), self.socket.getsockname()[1]

    def answer(self, request: Request) -> Response:
        """The answer of the first route for this path and method."""
        allowed: set[str] = set()
        for pattern, route in self._routes:
            match = pattern.fullmatch(request.path)
            if match is None:
                continue
            if request.method in route.methods or (request.method == "HEAD" and "GET" in route.methods):
                return route.answer(replace(request, parameters=match.groupdict()))
            allowed.update(route.methods)
        if allowed:
            refusal = json_response({"error": "method not allowed"}, HTTPStatus.METHOD_NOT_ALLOWED)
            return refusal.with_headers(("allow", ", ".join(sorted(allowed))))
        return json_response({"error": "not found"}, HTTPStatus.NOT_FOUND)

    def opened(self, connection: "Connection") -> None:
        """Counts a connection in."""
        with self._changed:
            self._connections.add(connection)
            if self.draining:
                connection.hush()

    def closed(self, connection: "Connection") -> None:
        """Counts a connection out."""
        with self._changed:
            self._connections.discard(connection)
            self._changed.notify_all()

    def drain(self, grace_seconds: float) -> None:
        """Takes no more connections, and returns when all are answered and closed, or the grace is over."""
        self.shutdown()
        self.server_close()
        with self._changed:
            self.draining = True
            for connection in self._connections:
                connection.hush()
            self._changed.wait_for(lambda: not self._connections, grace_seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Reports what broke a connection, except that the client hung up: clients may."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            traceback.print_exc()


class Connection(BaseHTTPRequestHandler):
    """One client's connection, for as many requests as it makes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def setup(self) -> None:
        super().setup()
        self._busy = False
        self.server.opened(self)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.closed(self)

    def hush(self) -> None:
        """Ends the connection if it waits for a request; a request that has already arrived is still read."""
        if self._busy:
            return
        try:
            self.connection.shutdown(socket.SHUT_RD)
        except OSError:
            return

    def parse_request(self) -> bool:
        self._busy = True
        return super().parse_request()

    def handle_one_request(self) -> None:
        super().handle_one_request()
        self._busy = False
        if self.server.draining:
            self.close_connection = True

    def handle_expect_100(self) -> bool:
        allowed = super().handle_expect_100()
        self.wfile.flush()
        return allowed

    def do_GET(self) -> None:
        """Answers a request, whatever its method."""
        began = time.monotonic()
        response = self._response()
        self._send(response)
        if self.server.logs_requests and self.path != "/health":
            milliseconds = (time.monotonic() - began) * 1000
            log(f"{self.command} {self.path} {int(response.status)} {milliseconds:.1f}ms")

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET

    def _response(self) -> Response:
        try:
            return self.server.answer(self._request())
        except Refused as refusal:
            return json_response({"error": str(refusal)}, refusal.status)
        except Exception:
            traceback.print_exc()
            return json_response({"error": "internal error"}, HTTPStatus.INTERNAL_SERVER_ERROR)

    def _request(self) -> Request:
        body = self._body()
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        peer = self.client_address[0]
        return Request(self.command, self.path, parts.path, query, self.headers, body, peer, {})

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunked_body()
        length = self.headers.get("content-length", "0")
        return self._read(self._size(length, 10))

    def _chunked_body(self) -> bytes:
        body = b""
        while size := self._size(self.rfile.readline(1024).split(b";")[0].decode("latin-1").strip(), 16):
            body += self._read(size)
            self.rfile.readline(1024)
            self._check_size(len(body))
        while self.rfile.readline(65536).strip():
            continue
        return body

    def _size(self, text: str, radix: int) -> int:
        try:
            size = int(text, radix)
        except ValueError:
            size = -1
        if size < 0:
            self.close_connection = True
            raise Refused(f"{text!r} is not the size of a body")
        self._check_size(size)
        return size

    def _check_size(self, size: int) -> None:
        if size > MAX_BODY_BYTES:
            self.close_connection = True
            raise Refused(f"a body may have {MAX_BODY_BYTES} bytes", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def _read(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionAbortedError("the client left in the middle of a body")
        return data

    def _send(self, response: Response) -> None:
        self.send_response_only(response.status)
        for name, value in (*response.headers, *self.server.identity):
            self.send_header(name, value)
        if self.server.draining or self.close_connection:
            self.send_header("connection", "close")
        if isinstance(response.body, bytes):
            self._send_whole(response.body)
        else:
            self._send_pieces(response.body)

    def _send_whole(self, body: bytes) -> None:
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _send_pieces(self, pieces: Iterable[bytes]) -> None:
        chunked = self.request_version != "HTTP/1.0"
        if chunked:
            self.send_header("transfer-encoding", "chunked")
        self.close_connection = self.close_connection or not chunked
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            self.wfile.flush()
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
