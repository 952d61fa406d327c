"""Where a Sidecar's ingress leads: addresses, ports and sockets of the workload, and TLS that its proxy ends."""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.envoy.identities import Authority
from tests.live.mesh import Caller, Mesh, settle, until
from tests.live.yaml_texts import container, pod, service, sidecar, together

APP = """
import http.server, socketserver, sys, threading
def serve(server, name):
    class Named(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def address_string(self):
            return "a client"
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())
    made = server(Named)
    threading.Thread(target=made.serve_forever).start()
class OnSocket(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    pass
serve(lambda handler: http.server.ThreadingHTTPServer(("", 9080), handler), "every address")
serve(lambda handler: http.server.ThreadingHTTPServer(("127.0.0.1", 9081), handler), "loopback")
serve(lambda handler: OnSocket(sys.argv[1], handler), "socket")
"""
PORTS = (
    "{name: http-any, port: 8080}, {name: http-loopback, port: 8081}, {name: http-socket, port: 8082}, "
    "{name: http-own, port: 9080}, {name: https, port: 8443}"
)
PLAIN = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: doors}
spec:
  selector: {matchLabels: {app: doors}}
  portLevelMtls: {8443: {mode: DISABLE}}
"""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module", autouse=True)
def doors(httpbin: Mesh, authority: Authority) -> Iterator[None]:
    """A workload with a port for each form of an endpoint."""
    socket = httpbin.base / "doors.sock"
    app = pod("doors", container([httpbin.python, "-c", APP, str(socket)]))
    pair = authority.pair(x509.DNSName("doors"))
    entries = {"tls.crt": pair.certificate, "tls.key": pair.key}
    secret = json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "doors"}, "stringData": entries})
    ingress = textwrap.dedent(f"""
        ingress:
        - {{port: {{number: 8080, name: http, protocol: HTTP}}, defaultEndpoint: "0.0.0.0:9080"}}
        - {{port: {{number: 8081, name: http, protocol: HTTP}}, defaultEndpoint: "127.0.0.1:9081"}}
        - {{port: {{number: 8082, name: http, protocol: HTTP}}, defaultEndpoint: "unix://{socket}"}}
        - {{port: {{number: 9080, name: http, protocol: HTTP}}}}
        - port: {{number: 8090, name: http, protocol: HTTP}}
          bind: 127.0.0.1
          captureMode: NONE
          defaultEndpoint: 127.0.0.1:9081
        - port: {{number: 8443, name: https, protocol: HTTPS}}
          defaultEndpoint: 127.0.0.1:9081
          tls: {{mode: SIMPLE, credentialName: doors}}
    """)
    with httpbin.having(together(app, service("doors", PORTS), secret, PLAIN, sidecar(ingress, app="doors"))):
        yield


@pytest.mark.parametrize(
    ("port", "answer"), [(8080, "every address"), (8081, "loopback"), (8082, "socket"), (9080, "every address")]
)
def test_each_port_leads_to_its_endpoint(sleep: Caller, port: int, answer: str) -> None:
    settle(sleep, f"http://doors:{port}/")
    assert sleep.get(f"http://doors:{port}/").body == answer


def test_a_port_that_is_not_captured_is_opened_by_the_proxy(httpbin: Mesh) -> None:
    said = httpbin.do("exec", "pod/doors", "--", "curl", "--silent", "http://127.0.0.1:8090/")
    assert said.strip() == "loopback"


def test_tls_of_others_is_ended_and_nothing_else_is_taken(httpbin: Mesh, authority: Authority, tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    root.write_text(authority.root)

    def curl(*arguments: str) -> tuple[int, str]:
        ended = httpbin.run("exec", "deploy/sleep", "--", "curl", "--silent", *arguments)
        return ended.code, ended.out.strip()

    until(lambda: curl("--cacert", str(root), "https://doors:8443/") == (0, "loopback"), 15, "an answer over TLS")
    assert curl("http://doors:8443/")[0] != 0
