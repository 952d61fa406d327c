"""Runs a real Envoy, without a control plane, and small servers behind it."""

import http.client
import json
import random
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

from lateen.envoy.cache import ResourceCache
from lateen.envoy.resources import EndpointLookup, resource_set
from lateen.plan.types import ProxyPlan

from .acceptance import envoy_path, static_bootstrap

STARTED_WITHIN_SECONDS = 15
HOST = "127.0.0.1"
BELOW_THE_KERNEL_S = range(11_000, 32_000)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got."""

    status: int
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class RunningEnvoy:
    """An Envoy and the ports of its own."""

    admin_socket: Path
    metrics_port: int
    health_port: int

    def wait_for_statistic(self, name: str) -> None:
        """Return when Prometheus would read a value above zero."""
        deadline = time.monotonic() + 5
        while not any(value > 0 for value in self._values(name)):
            assert time.monotonic() < deadline, f"{name} stays zero"
            time.sleep(0.05)

    def _values(self, name: str) -> Iterator[float]:
        lines = ask(self.metrics_port, "/stats/prometheus").body.splitlines()
        return (float(line.removeprefix(name)) for line in lines if line.startswith(f"{name} "))


def free_port() -> int:
    """A port that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on, and that the kernel gives to no client meanwhile."""
    with ExitStack() as stack:
        return [_held_port(stack) for _ in range(count)]


def _held_port(stack: ExitStack) -> int:
    while True:
        probe = stack.enter_context(socket.socket())
        with suppress(OSError):
            probe.bind(("", random.choice(BELOW_THE_KERNEL_S)))
            return int(probe.getsockname()[1])


def ask(port: int, path: str, **headers: str) -> Answer:
    """Send a GET request; underscores in names of headers become dashes."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read().decode())
    finally:
        connection.close()


def split(port: int, path: str, times: int) -> Counter[str]:
    """How often each body came."""
    return Counter(ask(port, path).body for _ in range(times))


@contextmanager
def http_server(name: str) -> Iterator[int]:
    """A server that answers with its name, the path and the headers that it saw."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet an answer, else the client waits for the rest

        def do_GET(self) -> None:
            seen = {key.lower(): value for key, value in self.headers.items()}
            body = (
                name
                if self.path == "/name"
                else json.dumps({"name": name, "path": self.requestline.split()[1], "headers": seen})
            )
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with _serving(ThreadingHTTPServer((HOST, 0), Handler)) as port:
        yield port


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """An HTTP server of one's own; yields its port."""
    with _serving(ThreadingHTTPServer((HOST, 0), handler)) as port:
        yield port


@contextmanager
def greeting_server(greeting: bytes) -> Iterator[int]:
    """A TCP server that speaks first."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(greeting)
            self.request.recv(100)

    with _serving(ThreadingTCPServer((HOST, 0), Handler)) as port:
        yield port


@contextmanager
def echo_server(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A TCP server that sends back what it gets; with a context it speaks TLS."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            connection = context.wrap_socket(self.request, server_side=True) if context else self.request
            while received := connection.recv(1000):
                connection.sendall(received)

    with _serving(_SilentServer((HOST, 0), Handler)) as port:
        yield port


class _SilentServer(ThreadingTCPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that break off."""


@contextmanager
def running_envoy(
    plan: ProxyPlan,
    lookup: EndpointLookup,
    place: Path,
    change: Callable[[dict[str, Any]], dict[str, Any]] = lambda config: config,
) -> Iterator[RunningEnvoy]:
    """Run an Envoy that does what a plan says, until the block ends; `change` is made to its configuration before."""
    ports = dict(zip(("admin_port", "health_port", "metrics_port"), free_ports(3), strict=True))
    config = place / "envoy.json"
    said = static_bootstrap(resource_set(plan, lookup, ResourceCache()), place, **ports)
    config.write_text(json.dumps(change(said)))
    log = place / "envoy.log"
    command = [envoy_path(), "-c", config, "--concurrency", "1", "--disable-hot-restart", "-l", "warning"]
    command += ["--file-flush-interval-msec", "100"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            until(lambda: _is_ready(ports["health_port"]), process, log)
            yield RunningEnvoy(place / "admin.sock", ports["metrics_port"], ports["health_port"])
        finally:
            process.kill()


def until(holds: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something holds while a process runs."""
    deadline = time.monotonic() + STARTED_WITHIN_SECONDS
    while not holds():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def _is_ready(port: int) -> bool:
    try:
        return ask(port, "/healthz/ready").status == 200
    except OSError:
        return False


@contextmanager
def _serving(server: ThreadingTCPServer) -> Iterator[int]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
