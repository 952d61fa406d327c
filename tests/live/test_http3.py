"""HTTP/3 from the host to a gateway: over the published port of UDP, with the certificates of its Secrets."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.envoy.identities import Authority, Pair
from tests.live import http3
from tests.live.mesh import Mesh, until
from tests.live.yaml_texts import together

NAMESPACE = "istio-system"
DOOR = """
apiVersion: v1
kind: Service
metadata: {name: https-door, namespace: istio-system}
spec:
  type: LoadBalancer
  selector: {istio: ingressgateway}
  ports: [{name: https, port: 443, targetPort: 8443}]
"""
ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: site, namespace: istio-system}
spec:
  hosts: ["*.example.com"]
  gateways: [site]
  http: [{route: [{destination: {host: httpbin.default.svc.cluster.local, port: {number: 8000}}}]}]
"""


def secret(name: str, pair: Pair, root: str) -> str:
    """A Secret with a certificate, and whom clients have to show one of."""
    entries = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": root}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "stringData": entries,
        }
    )


def gateway(*, http3: bool) -> str:
    """A Gateway for a site for everybody and one for whoever shows a certificate."""
    annotations = "{lateen.dev/http3: 'true'}" if http3 else "{}"
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: site, namespace: istio-system, annotations: {annotations}}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: 443, name: open, protocol: HTTPS}}
    hosts: [open.example.com]
    tls: {{mode: SIMPLE, credentialName: site}}
  - port: {{number: 443, name: members, protocol: HTTPS}}
    hosts: [members.example.com]
    tls: {{mode: MUTUAL, credentialName: site}}
"""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def site(bookinfo: Mesh, authority: Authority) -> Iterator[tuple[Mesh, int]]:
    """A mesh with both sites; gives the port of the host that is published for them."""
    pair = authority.pair(x509.DNSName("open.example.com"), x509.DNSName("members.example.com"))
    routes = ROUTES.replace("httpbin.default", "details.default").replace("8000", "9080")
    with bookinfo.having(together(DOOR, secret("site", pair, authority.root), routes, gateway(http3=True))):
        yield bookinfo, published(bookinfo)


def published(mesh: Mesh) -> int:
    def found() -> int:
        ports = mesh.api.get("v1", "ports")["ports"]
        ready = (port for port in ports if port["service"] == "https-door" and not port["error"])
        return next((port["host_port"] for port in ready if port["ready_targets"]), 0)

    return until(found, 15, "the published port")


def test_requests_come_over_quic_and_answers_offer_it(site: tuple[Mesh, int], authority: Authority) -> None:
    _, port = site
    answer = http3.fetch(port, f"open.example.com:{port}", authority.root, path="/details/0")
    assert (answer.status, json.loads(answer.body)["id"]) == (200, 0)
    assert answer.headers["alt-svc"] == f'h3=":{port}"; ma=86400'


def test_a_client_over_tcp_is_told_the_port_that_it_called(
    site: tuple[Mesh, int], authority: Authority, tmp_path: Path
) -> None:
    mesh, port = site
    assert f'alt-svc: h3=":{port}"; ma=86400' in by_curl(port, authority, tmp_path)
    mesh.apply(gateway(http3=False))
    until(lambda: "alt-svc" not in by_curl(port, authority, tmp_path))
    mesh.apply(gateway(http3=True))
    until(lambda: "alt-svc" in by_curl(port, authority, tmp_path))


def by_curl(port: int, authority: Authority, directory: Path) -> str:
    """The head of an answer over TCP."""
    root = directory / "root.pem"
    root.write_text(authority.root)
    place = f"open.example.com:{port}"
    options = ("--silent", "--show-error", "--include", "--cacert", root, "--resolve", f"{place}:127.0.0.1")
    argv = ["curl", *map(str, options), f"https://{place}/details/0"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout
    return said.partition("\r\n\r\n")[0]


def test_a_certificate_is_asked_for_as_on_tcp(site: tuple[Mesh, int], authority: Authority, tmp_path: Path) -> None:
    _, port = site
    client, stranger = authority.workload("client"), Authority().workload("client")

    def status(pair: Pair | None) -> int:
        files = None
        if pair is not None:
            files = (str(tmp_path / "client.pem"), str(tmp_path / "client-key.pem"))
            Path(files[0]).write_text(pair.certificate)
            Path(files[1]).write_text(pair.key)
        answer = http3.fetch(port, "members.example.com", authority.root, path="/details/0", shows=files)
        return answer.status

    assert status(client) == 200
    for pair in (None, stranger):
        with pytest.raises((http3.Refused, ConnectionError)):
            status(pair)
