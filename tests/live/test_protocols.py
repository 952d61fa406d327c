"""What applications speak, carried from one workload to another: HTTP old and new, upgrades, streams, databases."""

import contextlib
import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.live.mesh import SITE_PACKAGES, Mesh
from tests.live.servers import EITHER_HTTP, GRPC_STREAMS, GRPC_STREAMS_CALL, RAW_HTTP
from tests.live.yaml_texts import container, gateway, pod, rule, service, together


@contextlib.contextmanager
def serving(mesh: Mesh, name: str, port: str, command: list[str]) -> Iterator[None]:
    """A pod with a Service while the block runs."""
    app = container(command, more=f"env: [{{name: PYTHONPATH, value: {SITE_PACKAGES}}}]")
    with mesh.having(together(service(name, port, app=name), pod(name, app))):
        mesh.ready(name)
        yield


def inside(mesh: Mesh, program: str, *arguments: object) -> list[str]:
    """The lines that a Python program prints which runs in the workload sleep."""
    path = f"PYTHONPATH={SITE_PACKAGES}"
    return mesh.do("exec", "deploy/sleep", "--", "env", path, mesh.python, "-c", program, *arguments).splitlines()


@pytest.fixture(scope="module")
def raw(httpbin: Mesh) -> Iterator[str]:
    """A server that says what it reads, byte for byte, and does as the path says."""
    command = [httpbin.python, "-c", RAW_HTTP, "8080"]
    with serving(httpbin, "raw", "{name: http, port: 80, targetPort: 8080}", command):
        yield "raw"


TALK = """
import socket, sys
host, *steps = sys.argv[1:]
with socket.create_connection((host, 80), timeout=5) as talking:
    for step in steps:
        if step == "open?":
            print("open")
            break
        if step.startswith("send:"):
            talking.sendall(step[5:].encode().decode("unicode_escape").encode())
        else:
            heard = b""
            while step.encode() not in heard:
                more = talking.recv(4096)
                if not more:
                    break
                heard += more
            print(repr(heard.decode()))
    else:
        print(talking.recv(10))
"""


def test_http_1_0_is_answered_and_the_connection_closed(httpbin: Mesh, raw: str) -> None:
    said = inside(httpbin, TALK, raw, "send:GET /plain HTTP/1.0\\r\\nhost: raw\\r\\n\\r\\n", "plain answer")
    assert said[0].startswith("'HTTP/1.0 200 OK")
    assert said[-1] == "b''"


@pytest.mark.parametrize("port", ["{name: http, port: 80, targetPort: 8080}", "{port: 80, targetPort: 8080}"])
def test_http_1_0_needs_no_host(httpbin: Mesh, raw: str, port: str) -> None:
    with httpbin.having(service("old", port, app="raw")):
        said = inside(httpbin, TALK, "old", "send:GET /plain HTTP/1.0\\r\\n\\r\\n", "plain answer")
    assert said[0].startswith("'HTTP/1.0 200 OK")


def test_a_websocket_carries_bytes_both_ways(httpbin: Mesh, raw: str) -> None:
    upgrade = "GET /upgrade HTTP/1.1\\r\\nhost: raw\\r\\nconnection: upgrade\\r\\nupgrade: websocket\\r\\n\\r\\n"
    said = inside(httpbin, TALK, raw, f"send:{upgrade}", "\r\n\r\n", "send:one", "ONE", "send:two", "TWO", "open?")
    assert said[0].startswith("'HTTP/1.1 101 Switching Protocols")
    assert said[1:3] == ["'ONE'", "'TWO'"]


def test_a_client_that_waits_is_told_to_continue(httpbin: Mesh, raw: str) -> None:
    head = "POST /plain HTTP/1.1\\r\\nhost: raw\\r\\nexpect: 100-continue\\r\\ncontent-length: 3\\r\\n\\r\\n"
    said = inside(httpbin, TALK, raw, f"send:{head}", "\r\n\r\n", "send:abc", "plain answer", "open?")
    assert said[0].startswith("'HTTP/1.1 100 Continue")
    assert "200 OK" in said[1]


def test_a_server_may_refuse_before_the_body_comes(httpbin: Mesh, raw: str) -> None:
    head = "POST /refuse HTTP/1.1\\r\\nhost: raw\\r\\nexpect: 100-continue\\r\\ncontent-length: 3\\r\\n\\r\\n"
    said = inside(httpbin, TALK, raw, f"send:{head}", "\r\n\r\n", "open?")
    assert said[0].startswith("'HTTP/1.1 417"), "nobody has told the client to continue"


def test_hints_come_before_the_answer(httpbin: Mesh, raw: str) -> None:
    head = "GET /hints HTTP/1.1\\r\\nhost: raw\\r\\n\\r\\n"
    said = inside(httpbin, TALK, raw, f"send:{head}", "\r\n\r\n", "whole page", "open?")
    assert said[0].startswith("'HTTP/1.1 103")
    assert "link: </style.css>" in said[0]
    assert "200 OK" in said[1]


def test_names_of_headers_are_lower_case_and_values_untouched(httpbin: Mesh, raw: str) -> None:
    head = "GET /head HTTP/1.1\\r\\nHost: raw\\r\\nX-Mixed-Case: Some  Value\\r\\n\\r\\n"
    said = inside(httpbin, TALK, raw, f"send:{head}", "end of head", "open?")
    assert "x-mixed-case: Some  Value" in said[0]


def test_a_large_answer_is_streamed_as_it_comes(httpbin: Mesh, raw: str) -> None:
    head = "GET /drip HTTP/1.1\\r\\nhost: raw\\r\\n\\r\\n"
    said = inside(httpbin, TALK, raw, f"send:{head}", "first", "second", "open?")
    assert "second" not in said[0], "the first part is not held back until the whole is there"


def test_streams_of_grpc_go_both_ways_and_end_with_their_status(httpbin: Mesh) -> None:
    command = [httpbin.python, "-c", GRPC_STREAMS, "9000"]
    with serving(httpbin, "streams", "{name: grpc, port: 9000}", command):
        said = inside(httpbin, GRPC_STREAMS_CALL, "streams:9000")
    assert said == ["echo 0", "echo 1", "echo 2", "OUT_OF_RANGE enough", "trailer kept"]


FAILING = """
import sys, grpc
with grpc.insecure_channel(sys.argv[1]) as channel:
    try:
        channel.unary_unary("/test.Talker/Say")(b"", timeout=10)
    except grpc.RpcError as error:
        print(error.code().name, error.details())
"""


@pytest.mark.parametrize("abort, status", [("grpcStatus: UNAVAILABLE", "UNAVAILABLE"), ("httpStatus: 400", "INTERNAL")])
def test_a_failure_of_grpc_is_injected(httpbin: Mesh, abort: str, status: str) -> None:
    failing = rule(
        f"""
        fault: {{abort: {{percentage: {{value: 100}}, {abort}}}}}
        retries: {{attempts: 0}}
        route: [{{destination: {{host: streams}}}}]
        """,
        host="streams",
    )
    with httpbin.having(together(service("streams", "{name: grpc, port: 9000}"), failing)):
        said = inside(httpbin, FAILING, "streams:9000")
    assert said == [f"{status} fault filter abort"]


def test_redis_is_spoken_through_the_mesh(httpbin: Mesh) -> None:
    command = ["redis-server", "--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""]
    with serving(httpbin, "redis", "{name: tcp-redis, port: 6379}", command):
        kept = httpbin.do("exec", "deploy/sleep", "--", "redis-cli", "-h", "redis", "set", "key", "value")
        read = httpbin.do("exec", "deploy/sleep", "--", "redis-cli", "-h", "redis", "get", "key")
    assert (kept.strip(), read.strip()) == ("OK", "value")


@pytest.mark.parametrize("port", ["{name: tcp, port: 3306}", "{name: unnamed, port: 3306}"])
def test_a_database_that_speaks_first_answers_queries(httpbin: Mesh, port: str) -> None:
    data = httpbin.base / "data"
    data.mkdir(exist_ok=True)
    server = ["mariadbd", "--no-defaults", f"--datadir={data}", "--skip-grant-tables", "--skip-log-error"]
    own = ["--bind-address=0.0.0.0", "--port=3306", f"--socket={data}/s", "--innodb-buffer-pool-size=8M"]
    command = [*server, *own, *(["--user=root"] if os.geteuid() == 0 else [])]
    with serving(httpbin, "database", port, command):
        asking = ["mariadb", "--no-defaults", "-h", "database", "-N", "-e", "select 40+2"]
        assert httpbin.do("exec", "deploy/sleep", "--", *asking).strip() == "42"


# Which HTTP a server hears, by what its port is called


CLIENTS = ("--http1.0", "--http1.1", "--http2-prior-knowledge")
FOLLOWS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: either}
spec: {host: either, trafficPolicy: {connectionPool: {http: %s}}}
"""


@contextlib.contextmanager
def either(mesh: Mesh, port: str, pool: str = "") -> Iterator[None]:
    """A server that speaks both HTTP/1.1 and HTTP/2 and answers with what it heard."""
    env = f"env: [{{name: PYTHONPATH, value: {SITE_PACKAGES}}}]\nreadinessProbe: {{tcpSocket: {{port: 7000}}, periodSeconds: 1}}"
    texts = [service("either", port), pod("either", container([mesh.python, "-c", EITHER_HTTP, "7000"], more=env))]
    with mesh.having(together(*texts, *([FOLLOWS % pool] if pool else []))):
        yield


def heard(mesh: Mesh) -> list[str]:
    """What the server hears of each client."""
    curl = ("exec", "deploy/sleep", "--", "curl", "-s", "-m", "5", "http://either:7000/")
    return [mesh.do(*curl, client) for client in CLIENTS]


@pytest.mark.parametrize(
    "port, expected",
    [
        ("{name: http, port: 7000}", ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1"]),
        ("{name: http2, port: 7000}", ["HTTP/2", "HTTP/2", "HTTP/2"]),
        ("{name: grpc-web, port: 7000}", ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1"]),
        ("{name: web, port: 7000, appProtocol: kubernetes.io/h2c}", ["HTTP/2", "HTTP/2", "HTTP/2"]),
        ("{name: web, port: 7000}", ["HTTP/1.1", "HTTP/1.1", "HTTP/2"]),
        ("{port: 7000}", ["HTTP/1.1", "HTTP/1.1", "HTTP/2"]),
        ("{name: tcp, port: 7000}", ["HTTP/1.0", "HTTP/1.1", "HTTP/2"]),
    ],
)
def test_a_server_hears_what_its_port_says(httpbin: Mesh, port: str, expected: list[str]) -> None:
    with either(httpbin, port):
        assert heard(httpbin) == expected


@pytest.mark.parametrize(
    "port, pool, expected",
    [
        ("{name: http, port: 7000}", "{useClientProtocol: true}", ["HTTP/1.1", "HTTP/1.1", "HTTP/2"]),
        ("{name: http2, port: 7000}", "{useClientProtocol: true}", ["HTTP/1.1", "HTTP/1.1", "HTTP/2"]),
        ("{name: http, port: 7000}", "{h2UpgradePolicy: UPGRADE}", ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1"]),
        ("{name: http2, port: 7000}", "{idleTimeout: 100s}", ["HTTP/2", "HTTP/2", "HTTP/2"]),
    ],
)
def test_a_rule_for_connections_keeps_or_changes_what_a_server_hears(
    httpbin: Mesh, port: str, pool: str, expected: list[str]
) -> None:
    with either(httpbin, port, pool):
        assert heard(httpbin) == expected


@pytest.mark.parametrize(
    "port, pool, expected",
    [
        ("{port: 7000}", "", ["HTTP/1.1", "HTTP/1.1"]),
        ("{name: http, port: 7000}", "", ["HTTP/1.1", "HTTP/1.1"]),
        ("{name: http2, port: 7000}", "", ["HTTP/2", "HTTP/2"]),
        ("{port: 7000}", "{useClientProtocol: true}", ["HTTP/1.1", "HTTP/2"]),
        ("{name: http, port: 7000}", "{useClientProtocol: true}", ["HTTP/1.1", "HTTP/2"]),
    ],
)
def test_a_gateway_asks_for_what_the_port_says_whatever_browsers_speak(
    httpbin: Mesh, port: str, pool: str, expected: list[str]
) -> None:
    routed = rule("route: [{destination: {host: either}}]", host="either.example.com", name="either", gateways="door")
    with either(httpbin, port, pool), httpbin.having(together(gateway("either.example.com"), routed)):
        command = ["curl", "-s", "-m", "5", "-H", "host: either.example.com", httpbin.url()]
        said = [subprocess.check_output([*command, client], text=True, timeout=10) for client in CLIENTS[1:]]
    assert said == expected
