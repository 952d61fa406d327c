"""The kinds of services: by whatever name and protocol, inside the mesh and outside of it."""

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.live.mesh import SITE_PACKAGES, Caller, Mesh, until
from tests.live.servers import ECHO, GRPC, GRPC_CALL, NAMED
from tests.live.yaml_texts import container, destination_rule, pod, rule, service, sidecar, together

HOST = "host.lateen.internal"


class OfTheHost(http.server.BaseHTTPRequestHandler):
    """A server that has nothing to do with the mesh."""

    def do_GET(self) -> None:
        """Answers with the host that was asked for."""
        said = f"host {self.headers['host']}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def host_port() -> Iterator[int]:
    """The port of a server on the host's loopback."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OfTheHost)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def greeting_port() -> Iterator[int]:
    """The port of a server on the host's loopback that speaks first, and not HTTP."""

    class Greeting(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"welcome from the host")
            self.request.recv(100)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def service_entry(host: str, rest: str) -> str:
    """A ServiceEntry."""
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {host.replace(".", "-")}}}
spec:
  hosts: [{host}]
  location: MESH_EXTERNAL
{rest}
"""


def server(mesh: Mesh, name: str, program: str, port: int, *arguments: str, more: str = "") -> str:
    """A Pod that runs a small server, and is ready when it listens."""
    probe = f"readinessProbe: {{tcpSocket: {{port: {port}}}, periodSeconds: 1}}"
    return pod(name, container([mesh.python, "-c", program, str(port), *arguments], more=f"{probe}\n{more}"))


# Protocols


def test_a_tcp_service_may_speak_first(httpbin: Mesh, sleep: Caller) -> None:
    greeter = service("greeter", "{name: tcp, port: 7000}")
    with httpbin.having(together(greeter, server(httpbin, "greeter", ECHO, 7000, "first"))):
        said = sleep.talk("greeter", 7000, server_first=True, send="hello")
    assert said == {"greeting": "welcome", "reply": "echo hello", "error": ""}


def test_a_port_without_protocol_carries_tcp(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(together(service("echo", "{port: 7000}"), server(httpbin, "echo", ECHO, 7000))):
        said = sleep.talk("echo", 7000, send="\x01\x02 not HTTP at all\n")
    assert said["reply"] == "echo \x01\x02 not HTTP at all\n"


def test_a_port_without_protocol_carries_http(httpbin: Mesh, sleep: Caller) -> None:
    counted = rule("directResponse: {status: 418}", host="named")
    texts = together(service("named", "{port: 7000}"), server(httpbin, "named", NAMED, 7000))
    with httpbin.having(texts):
        plain = sleep.get("http://named:7000/")
        with httpbin.having(counted):
            routed = sleep.get("http://named:7000/")
    assert (plain.status, plain.body, routed.status) == (200, "named", 418)


@pytest.mark.parametrize(
    "port, status",
    [
        ("{name: tcp-x, port: 80, targetPort: 7000, appProtocol: http}", 418),
        ("{name: http-x, port: 80, targetPort: 7000, appProtocol: tcp}", 200),
        ("{name: http-x, port: 80, targetPort: 7000}", 418),
        ("{name: tcp-x, port: 80, targetPort: 7000}", 200),
    ],
)
def test_app_protocol_comes_before_the_name_of_the_port(httpbin: Mesh, sleep: Caller, port: str, status: int) -> None:
    """Only of a port that is HTTP can an HTTP route take the requests."""
    answering = rule("directResponse: {status: 418}", host="named")
    with httpbin.having(together(service("named", port), server(httpbin, "named", NAMED, 7000), answering)):
        assert sleep.get("http://named/").status == status


def test_a_target_port_may_be_named(httpbin: Mesh, sleep: Caller) -> None:
    named_port = "ports: [{name: web, containerPort: 7000}]"
    text = server(httpbin, "named", NAMED, 7000, more=named_port)
    with httpbin.having(together(service("named", "{name: http, port: 80, targetPort: web}"), text)):
        answer = sleep.get("http://named/")
    assert (answer.status, answer.body) == (200, "named")


def test_grpc_calls_are_shared_out(httpbin: Mesh) -> None:
    """Each call by itself, although they come on one connection."""
    more = f"env: [{{name: PYTHONPATH, value: {SITE_PACKAGES}}}]"
    talkers = (server(httpbin, f"talker-{number}", GRPC, 7000, "1", more=more) for number in (1, 2))
    texts = [text.replace(f"app: talker-{number}", "app: talker") for number, text in enumerate(talkers, 1)]
    port = "{name: grpc, port: 7000}"
    shared = destination_rule("{loadBalancer: {simple: ROUND_ROBIN}}", "talker")
    with httpbin.having(together(service("talker", port), shared, *texts)):
        said = httpbin.do("exec", "deploy/sleep", "--", httpbin.python, "-c", GRPC_CALL, "talker:7000", "6")
    assert sorted(said.split()) == ["talker-1"] * 3 + ["talker-2"] * 3


# Names


def test_pods_of_a_headless_service_have_names(httpbin: Mesh, sleep: Caller) -> None:
    stateful = f"""
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: web}}
spec:
  serviceName: web
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        command: {json.dumps([httpbin.python, "-c", NAMED, "7000"])}
        readinessProbe: {{tcpSocket: {{port: 7000}}, periodSeconds: 1}}
"""
    headless = service("web", "{name: http, port: 7000}", more="clusterIP: None")
    with httpbin.having(together(headless, stateful)):
        addresses = {row["name"]: row["address"] for row in httpbin.ready("web", 2)}
        hosts = [f"{pod}.web{end}" for pod in ("web-0", "web-1") for end in ("", ".default.svc.cluster.local")]
        until(lambda: sleep.resolve("web") == sorted(addresses.values()), 10, "both addresses of web")
        answers = [(host, sleep.get(f"http://{host}:7000/").body) for host in hosts]
        resolved = {pod: sleep.resolve(f"{pod}.web") for pod in addresses}
        both = {answer.body for answer in sleep.requests("http://web:7000/", 20)}
    assert answers == [(host, host.split(".")[0]) for host in hosts]
    assert resolved == {pod: [address] for pod, address in addresses.items()}
    assert both <= {"web-0", "web-1"}
    assert both


def test_an_external_name_stands_for_another_service(httpbin: Mesh, sleep: Caller) -> None:
    alias = """
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: httpbin.default.svc.cluster.local, ports: [{name: http, port: 8000}]}
"""
    with httpbin.having(alias):
        answer = sleep.get("http://alias:8000/anything")
    assert (answer.status, answer.json["method"]) == (200, "GET")


def test_a_service_in_another_namespace_has_its_namespace_in_its_name(httpbin: Mesh, sleep: Caller) -> None:
    elsewhere = together(
        "{apiVersion: v1, kind: Namespace, metadata: {name: elsewhere}}",
        service("named", "{name: http, port: 80, targetPort: 7000}").replace(
            "name: named", "namespace: elsewhere, name: named", 1
        ),
        server(httpbin, "named", NAMED, 7000).replace("  name: named", "  namespace: elsewhere\n  name: named", 1),
    )
    with httpbin.having(elsewhere):
        answers = [sleep.get(f"http://named{end}/").status for end in (".elsewhere", ".elsewhere.svc.cluster.local")]
        unknown = sleep.resolve("named")
    assert (answers, unknown) == ([200, 200], [])


def test_names_outside_the_mesh_are_resolved_by_the_host(httpbin: Mesh, sleep: Caller) -> None:
    assert sleep.resolve(HOST) == ["10.244.0.254"]
    assert sleep.resolve("no-such-name.invalid") == []


# Outside the mesh


def test_what_the_mesh_does_not_know_is_let_through(
    httpbin: Mesh, sleep: Caller, host_port: int, greeting_port: int
) -> None:
    assert sleep.get(f"http://{HOST}:{host_port}/").body == f"host {HOST}:{host_port}"
    assert sleep.talk(HOST, greeting_port, server_first=True)["greeting"] == "welcome from the host"


def test_an_entry_with_addresses_is_called_by_its_name(httpbin: Mesh, sleep: Caller, host_port: int) -> None:
    static = f"""
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {host_port}}}]
  endpoints: [{{address: 10.244.0.254}}]
"""
    with httpbin.having(service_entry("legacy.example.com", static)):
        answer = sleep.get("http://legacy.example.com/")
    assert (answer.status, answer.body) == (200, "host legacy.example.com")


def test_an_entry_with_a_dns_name_is_called_by_its_name(httpbin: Mesh, sleep: Caller, host_port: int) -> None:
    by_dns = f"""
  resolution: DNS
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {host_port}}}]
  endpoints: [{{address: {HOST}}}]
"""
    with httpbin.having(service_entry("legacy.example.com", by_dns)):
        answer = sleep.get("http://legacy.example.com/")
    assert (answer.status, answer.body) == (200, "host legacy.example.com")


def test_an_entry_without_resolution_is_let_through_to_where_it_points(
    httpbin: Mesh, sleep: Caller, host_port: int
) -> None:
    through = f"""
  resolution: NONE
  ports: [{{number: {host_port}, name: http, protocol: HTTP}}]
"""
    only_known = sidecar("outboundTrafficPolicy: {mode: REGISTRY_ONLY}\negress: [{hosts: ['./*']}]")
    with httpbin.having(only_known):
        before = sleep.get(f"http://{HOST}:{host_port}/").status
        with httpbin.having(service_entry(HOST, through)):
            answer = sleep.get(f"http://{HOST}:{host_port}/")
    assert (before, answer.status, answer.body) == (0, 200, f"host {HOST}:{host_port}")


def test_an_entry_without_resolution_says_which_port_of_an_address_is_meant(
    httpbin: Mesh, sleep: Caller, host_port: int
) -> None:
    through = f"""
  resolution: NONE
  ports: [{{number: 8888, name: http, protocol: HTTP, targetPort: {host_port}}}]
"""
    with httpbin.having(service_entry(HOST, through)):
        assert sleep.get(f"http://{HOST}:8888/").body == f"host {HOST}:8888"


def test_entries_for_one_host_add_up(httpbin: Mesh, sleep: Caller, host_port: int, greeting_port: int) -> None:
    requests = f"""
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {host_port}}}]
  endpoints: [{{address: 10.244.0.254}}]
"""
    connections = f"""
  resolution: STATIC
  ports: [{{number: 9000, name: tcp, protocol: TCP, targetPort: {greeting_port}}}]
  endpoints: [{{address: 10.244.0.254}}]
"""
    another = service_entry("legacy.example.com", connections).replace("name: legacy-example-com", "name: more")
    with httpbin.having(together(service_entry("legacy.example.com", requests), another)):
        answer = sleep.get("http://legacy.example.com/")
        said = sleep.talk("legacy.example.com", 9000, server_first=True)
    assert (answer.status, said["greeting"]) == (200, "welcome from the host")


@pytest.mark.parametrize("how", [(), ("+tcp",)], ids=["datagrams", "a stream"])
def test_names_are_told_over_both_kinds_of_transport(httpbin: Mesh, how: tuple[str, ...]) -> None:
    asked = ("dig", *how, "+short", "+time=2", "httpbin.default.svc.cluster.local")
    told = httpbin.do("exec", "deploy/sleep", "--", *asked).split()
    assert told == [httpbin.do("exec", "deploy/sleep", "--", "getent", "ahostsv4", "httpbin").split()[0]]


def test_a_workload_may_call_itself_by_every_way(httpbin: Mesh) -> None:
    ports = "{name: http, port: 80, targetPort: 7000}, {name: tcp, port: 81, targetPort: 7000}"
    with httpbin.having(together(service("own", ports, app="self"), server(httpbin, "self", NAMED, 7000))):
        address = httpbin.ready("self")[0]["address"]
        with httpbin.call_from("self") as caller:
            urls = ("http://own/", "http://own:81/", f"http://{address}:7000/", "http://localhost:7000/")
            answers = [caller.get(url) for url in urls]
    assert [(answer.status, answer.body) for answer in answers] == [(200, "self")] * 4


def test_routes_hold_for_an_entry(httpbin: Mesh, sleep: Caller, host_port: int) -> None:
    static = f"""
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {host_port}}}]
  endpoints: [{{address: 10.244.0.254}}]
"""
    late = rule("directResponse: {status: 418}", host="legacy.example.com", name="legacy")
    with httpbin.having(together(service_entry("legacy.example.com", static), late)):
        assert sleep.get("http://legacy.example.com/").status == 418


# What a workload may reach


def test_registry_only_refuses_what_the_mesh_does_not_know(
    httpbin: Mesh, sleep: Caller, host_port: int, greeting_port: int
) -> None:
    with httpbin.having(sidecar("outboundTrafficPolicy: {mode: REGISTRY_ONLY}\negress: [{hosts: ['./*']}]")):
        unknown = sleep.get("http://10.244.0.254:8000/", headers={"host": "unknown.example.com"})
        unknown_port = sleep.get(f"http://{HOST}:{host_port}/")
        unknown_tcp = sleep.talk(HOST, greeting_port, server_first=True)
        known = sleep.get("http://httpbin:8000/get")
    assert (unknown.status, unknown.body) == (502, "")
    assert unknown_port.status == 0
    assert unknown_tcp["greeting"] == ""
    assert known.status == 200


def test_a_sidecar_limits_what_the_proxy_knows(httpbin: Mesh, sleep: Caller) -> None:
    before = services_of(httpbin)
    with httpbin.having(sidecar("egress: [{hosts: ['./httpbin.default.svc.cluster.local']}]")):
        limited = services_of(httpbin)
        answer = sleep.get("http://httpbin:8000/get")
    assert {"httpbin.default.svc.cluster.local", "sleep.default.svc.cluster.local"} <= before
    assert (limited, answer.status) == ({"httpbin.default.svc.cluster.local"}, 200)


def services_of(mesh: Mesh) -> set[str]:
    """The services for which sleep's proxy has clusters."""
    rows = mesh.do("proxy-config", "clusters", "deploy/sleep", "--direction", "outbound").splitlines()[1:]
    return {row.split()[0] for row in rows}


def test_an_excluded_port_goes_past_the_proxy(httpbin: Mesh, outside: Caller, host_port: int) -> None:
    only_known = sidecar("outboundTrafficPolicy: {mode: REGISTRY_ONLY}\negress: [{hosts: ['./*']}]", app="free")
    excluded = f"{{traffic.sidecar.istio.io/excludeOutboundPorts: '{host_port}'}}"
    free = pod("free", container(["sleep", "infinity"]), annotations=excluded)
    with httpbin.having(together(only_known, free)), httpbin.call_from("free") as caller:
        assert caller.get(f"http://{HOST}:{host_port}/").status == 200
