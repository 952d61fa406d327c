"""A real gateway, under a real control plane, ends TLS, asks for certificates, and passes TLS on, as users write it."""

import http.client
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lateen.api.objects import ObjectKey

from .identities import Authority, Pair
from .running import HOST, Answer, echo_server, free_port, http_server
from .served import NAMESPACE, Served, served_gateway

pytestmark = pytest.mark.live

BACKEND = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: istio-system}}
spec:
  hosts: [{name}.internal]
  resolution: STATIC
  ports: [{{number: 80, name: {protocol}, protocol: {protocol}}}]
  endpoints: [{{address: 127.0.0.1, ports: {{{protocol}: {port}}}}}]
"""
SITE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: istio-system}}
spec: {{hosts: ["{host}"], gateways: [{gateway}], http: [{{route: [{{destination: {{host: {backend}.internal}}}}]}}]}}
"""


def secret(name: str, **entries: str) -> str:
    data = {key.replace("_", "."): text for key, text in entries.items()}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": data,
    }
    return json.dumps(body)


def tls_secret(name: str, pair: Pair, **more: str) -> str:
    return secret(name, tls_crt=pair.certificate, tls_key=pair.key, **more)


def gateway(port: int, *servers: str, name: str = "edge") -> str:
    written = ", ".join(server.replace("PORT", str(port)) for server in servers)
    return (
        f"{{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {{name: {name}, namespace: istio-system}}, "
        f"spec: {{selector: {{istio: ingressgateway}}, servers: [{written}]}}}}"
    )


def https(name: str, host: str, tls: str, protocol: str = "HTTPS") -> str:
    return (
        f"{{port: {{number: PORT, name: {name}, protocol: {protocol}}}, bind: 127.0.0.1, "
        f'hosts: ["{host}"], tls: {{{tls}}}}}'
    )


def documents(*found: str) -> str:
    return "\n---\n".join(found)


@dataclass
class Client:
    """Somebody outside, who believes one authority."""

    authority: Authority
    place: Path
    pair: Pair | None = None
    limits: tuple[ssl.TLSVersion, ssl.TLSVersion] = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    protocols: tuple[str, ...] = ()
    ciphers: str = ""

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.authority.root)
        context.minimum_version, context.maximum_version = self.limits
        if self.protocols:
            context.set_alpn_protocols(list(self.protocols))
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        if self.pair is not None:
            files = self.place / "client.crt", self.place / "client.key"
            files[0].write_text(self.pair.certificate)
            files[1].write_text(self.pair.key)
            context.load_cert_chain(*files)
        return context

    def connect(self, port: int, server_name: str) -> ssl.SSLSocket:
        raw = socket.create_connection((HOST, port), timeout=10)
        return self.context().wrap_socket(raw, server_hostname=server_name)

    def ask(self, port: int, server_name: str, path: str = "/name", host: str = "") -> Answer:
        connection = http.client.HTTPConnection(HOST, port, timeout=10)
        connection.sock = self.connect(port, server_name)
        try:
            connection.request("GET", path, headers={"host": host or server_name})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read().decode())
        finally:
            connection.close()

    def certificate(self, port: int, server_name: str) -> x509.Certificate:
        with self.connect(port, server_name) as connection:
            shown = connection.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown)


REFUSED = (ssl.SSLError, ConnectionError)


@dataclass
class Stage:
    """A gateway with two sites behind it, and an authority for them."""

    served: Served
    place: Path
    port: int = field(default_factory=free_port)
    authority: Authority = field(default_factory=Authority)

    def client(self, pair: Pair | None = None, **more: object) -> Client:
        return Client(self.authority, self.place, pair, **more)  # type: ignore[arg-type]

    def pair(self, *hosts: str) -> Pair:
        return self.authority.pair(*map(x509.DNSName, hosts))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with served_gateway(tmp_path) as served, http_server("shop") as shop, http_server("api") as api:
        made = Stage(served, tmp_path)
        backends = [
            BACKEND.format(name=name, port=port, protocol="http") for name, port in (("shop", shop), ("api", api))
        ]
        sites = [
            SITE.format(name=name, host=f"{name}.example", gateway="edge", backend=name) for name in ("shop", "api")
        ]
        served.apply(documents(*backends, *sites))
        yield made


def test_servers_of_one_port_are_told_apart_by_server_name(stage: Stage) -> None:
    stage.served.apply(
        documents(
            tls_secret("shop-cert", stage.pair("shop.example", "api.example")),
            tls_secret("api-cert", stage.pair("api.example")),
            gateway(
                stage.port,
                https("shop", "shop.example", "mode: SIMPLE, credentialName: shop-cert"),
                https("api", "api.example", "mode: SIMPLE, credentialName: api-cert"),
            ),
        )
    )
    client = stage.client()
    assert client.ask(stage.port, "shop.example").body == "shop"
    assert client.ask(stage.port, "api.example").body == "api"
    assert client.ask(stage.port, "shop.example", host="other.example").status == 404
    # A connection for one host is not used for another one, which may ask more of its clients.
    assert client.ask(stage.port, "shop.example", host="api.example").status == 421
    seen = json.loads(client.ask(stage.port, "shop.example", path="/").body)["headers"]
    assert seen["x-forwarded-proto"] == "https"
    with pytest.raises(REFUSED):
        client.ask(stage.port, "unknown.example")
    assert (
        stage.client(protocols=("h2", "http/1.1")).connect(stage.port, "shop.example").selected_alpn_protocol() == "h2"
    )


def test_http2_is_spoken(stage: Stage) -> None:
    stage.served.apply(
        documents(
            tls_secret("both", stage.pair("shop.example", "api.example")),
            gateway(
                stage.port,
                https("shop", "shop.example", "mode: SIMPLE, credentialName: both"),
                https("api", "api.example", "mode: SIMPLE, credentialName: both"),
            ),
        )
    )
    root = stage.place / "root.pem"
    root.write_text(stage.authority.root)
    where = f"https://shop.example:{stage.port}/name"
    resolve = ["--resolve", f"shop.example:{stage.port}:127.0.0.1"]
    command = ["curl", "-s", "--http2", "--cacert", str(root), *resolve, "-w", " %{http_code} %{http_version}\n", where]
    answers = [
        subprocess.run([*command, *more], capture_output=True, text=True, timeout=20, check=True).stdout
        for more in ([], ["-H", "host: api.example"])
    ]
    assert answers == ["shop 200 2\n", " 421 2\n"]


@pytest.mark.parametrize("mode", ["MUTUAL", "OPTIONAL_MUTUAL"])
@pytest.mark.parametrize("where", ["own", "beside", "named"])
def test_clients_show_certificates_where_they_have_to(stage: Stage, mode: str, where: str) -> None:
    clients = Authority()
    own = {"ca_crt": clients.root} if where == "own" else {}
    beside = {"beside": "site-cacert", "named": "clients"}.get(where)
    more = ", caCertCredentialName: clients" if where == "named" else ""
    stage.served.apply(
        documents(
            tls_secret("site", stage.pair("shop.example"), **own),
            *([secret(beside, cacert=clients.root)] if beside else []),
            gateway(stage.port, https("shop", "shop.example", f"mode: {mode}, credentialName: site{more}")),
        )
    )
    known, stranger = clients.pair(x509.DNSName("me")), Authority().pair(x509.DNSName("me"))
    answer = stage.client(known).ask(stage.port, "shop.example", path="/")
    assert "DNS=me" in json.loads(answer.body)["headers"]["x-forwarded-client-cert"]
    with pytest.raises(REFUSED):
        stage.client(stranger).ask(stage.port, "shop.example")
    if mode == "MUTUAL":
        with pytest.raises(REFUSED):
            stage.client().ask(stage.port, "shop.example")
    else:
        assert stage.client().ask(stage.port, "shop.example").body == "shop"


def test_a_client_s_certificate_must_have_one_of_the_names(stage: Stage) -> None:
    clients = Authority()
    stage.served.apply(
        documents(
            tls_secret("site", stage.pair("shop.example"), ca_crt=clients.root),
            gateway(
                stage.port,
                https(
                    "shop", "shop.example", "mode: MUTUAL, credentialName: site, subjectAltNames: [me, 'spiffe://a/b']"
                ),
            ),
        )
    )
    assert stage.client(clients.pair(x509.DNSName("me"))).ask(stage.port, "shop.example").status == 200
    named = clients.pair(x509.UniformResourceIdentifier("spiffe://a/b"))
    assert stage.client(named).ask(stage.port, "shop.example").status == 200
    with pytest.raises(REFUSED):
        stage.client(clients.pair(x509.DNSName("you"))).ask(stage.port, "shop.example")


def test_versions_and_cipher_suites_are_limited(stage: Stage) -> None:
    stage.served.apply(
        documents(
            tls_secret("site", stage.pair("shop.example", "api.example")),
            gateway(
                stage.port,
                https("new", "shop.example", "mode: SIMPLE, credentialName: site, minProtocolVersion: TLSV1_3"),
                https(
                    "old",
                    "api.example",
                    "mode: SIMPLE, credentialName: site, maxProtocolVersion: TLSV1_2,"
                    " cipherSuites: [ECDHE-ECDSA-AES256-GCM-SHA384]",
                ),
            ),
        )
    )
    old = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    assert stage.client().ask(stage.port, "shop.example").body == "shop"
    with pytest.raises(REFUSED):
        stage.client(limits=old).ask(stage.port, "shop.example")
    with stage.client().connect(stage.port, "api.example") as connection:
        assert connection.version() == "TLSv1.2"
        assert (connection.cipher() or ("",))[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    with pytest.raises(REFUSED):
        stage.client(ciphers="ECDHE-ECDSA-AES128-GCM-SHA256", limits=old).ask(stage.port, "api.example")


def test_without_a_limit_tls_below_1_2_is_refused(stage: Stage) -> None:
    stage.served.apply(
        documents(
            tls_secret("site", stage.pair("shop.example")),
            gateway(stage.port, https("shop", "shop.example", "mode: SIMPLE, credentialName: site")),
        )
    )
    oldest = (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1)
    with pytest.raises((*REFUSED, ValueError)):
        stage.client(limits=oldest, ciphers="DEFAULT@SECLEVEL=0").ask(stage.port, "shop.example")


def test_a_client_gets_the_certificate_of_the_kind_that_it_can_check(stage: Stage) -> None:
    stage.served.apply(
        documents(
            tls_secret("ecdsa", stage.pair("shop.example")),
            tls_secret("rsa", rsa_pair(stage.authority, "shop.example")),
            gateway(stage.port, https("shop", "shop.example", "mode: SIMPLE, credentialNames: [rsa, ecdsa]")),
        )
    )
    old = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    modern = stage.client(limits=old, ciphers="ECDHE+ECDSA").certificate(stage.port, "shop.example")
    classic = stage.client(limits=old, ciphers="ECDHE+aRSA").certificate(stage.port, "shop.example")
    assert not isinstance(modern.public_key(), rsa.RSAPublicKey)
    assert isinstance(classic.public_key(), rsa.RSAPublicKey)


def test_certificates_from_files_are_read_again_when_they_change(stage: Stage) -> None:
    certificate, key = stage.place / "site.crt", stage.place / "site.key"
    first, second = stage.pair("shop.example"), stage.pair("shop.example")
    certificate.write_text(first.certificate)
    key.write_text(first.key)
    files = f"mode: SIMPLE, serverCertificate: {certificate}, privateKey: {key}"
    stage.served.apply(gateway(stage.port, https("shop", "shop.example", files)))
    before = stage.client().certificate(stage.port, "shop.example").serial_number
    for path, text in ((key, second.key), (certificate, second.certificate)):
        fresh = path.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(path)
    wait_until(lambda: stage.client().certificate(stage.port, "shop.example").serial_number != before)


def test_a_secret_changes_under_load_without_a_failed_request(stage: Stage) -> None:
    stage.served.apply(
        documents(
            tls_secret("site", stage.pair("shop.example")),
            gateway(stage.port, https("shop", "shop.example", "mode: SIMPLE, credentialName: site")),
        )
    )
    seen, failures, done = set(), [], threading.Event()
    kept = http.client.HTTPConnection(HOST, stage.port, timeout=10)
    kept.sock = stage.client().connect(stage.port, "shop.example")

    def load() -> None:
        while not done.is_set():
            try:
                client = stage.client()
                seen.add(client.certificate(stage.port, "shop.example").serial_number)
                if client.ask(stage.port, "shop.example").status != 200:
                    failures.append("not 200")
            except OSError as error:
                failures.append(repr(error))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        wait_until(lambda: seen)
        for _ in range(5):
            pair = stage.pair("shop.example")
            stage.served.apply(tls_secret("site", pair))
            serial = x509.load_pem_x509_certificate(pair.certificate.encode()).serial_number
            wait_until(lambda found=serial: found in seen)  # type: ignore[misc]
            kept.request("GET", "/name", headers={"host": "shop.example"})
            assert kept.getresponse().read() == b"shop"
    finally:
        done.set()
        thread.join()
        kept.close()
    assert (failures, len(seen)) == ([], 6)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (None, "there is no Secret broken in namespace istio-system"),
        ({"tls_crt": "garbage", "tls_key": "garbage"}, "data.tls.crt: is no certificate in PEM"),
        ({"tls_crt": "CRT"}, "has tls.crt without tls.key"),
        ({"tls_crt": "CRT", "tls_key": "garbage"}, "is no private key in PEM"),
        ({"tls_crt": "CRT", "tls_key": "OTHER"}, "tls.key: is not the key of tls.crt"),
        ({"cert": "CRT", "key": "OTHER"}, "key: is not the key of cert"),
    ],
)
def test_a_broken_secret_refuses_its_own_host_only(stage: Stage, entries: dict[str, str] | None, said: str) -> None:
    pair, other = stage.pair("shop.example"), stage.pair("shop.example")
    values = {"CRT": pair.certificate, "OTHER": other.key}
    broken = [secret("broken", **{key: values.get(text, text) for key, text in entries.items()})] if entries else []
    stage.served.apply(
        documents(
            *broken,
            tls_secret("wide", stage.pair("*.example", "api.example", "shop.example")),
            gateway(
                stage.port,
                https("shop", "shop.example", "mode: SIMPLE, credentialName: broken"),
                https("rest", "*.example", "mode: SIMPLE, credentialName: wide"),
            ),
        )
    )
    assert any(said.replace("data.", "") in doubt for doubt in stage.served.doubts), stage.served.doubts
    assert stage.client().ask(stage.port, "api.example").body == "api"
    with pytest.raises(REFUSED):
        stage.client().ask(stage.port, "shop.example")
    stage.served.apply(tls_secret("broken", pair))
    assert stage.client().ask(stage.port, "shop.example").body == "shop"
    assert stage.served.doubts == []
    stage.served.remove(ObjectKey("", "Secret", NAMESPACE, "broken"))
    wait_until(lambda: refuses(stage, "shop.example"))
    assert stage.client().ask(stage.port, "api.example").body == "api"


def test_without_authorities_a_mutual_server_lets_nobody_in(stage: Stage) -> None:
    stage.served.apply(
        documents(
            tls_secret("site", stage.pair("shop.example")),
            gateway(stage.port, https("shop", "shop.example", "mode: MUTUAL, credentialName: site")),
        )
    )
    assert refuses(stage, "shop.example")
    assert any("has no authorities to verify others with" in doubt for doubt in stage.served.doubts)


def test_an_expired_certificate_is_told(stage: Stage) -> None:
    old = stage.authority.pair(x509.DNSName("shop.example"), valid=timedelta(days=-1))
    stage.served.apply(
        documents(
            tls_secret("site", old),
            gateway(stage.port, https("shop", "shop.example", "mode: SIMPLE, credentialName: site")),
        )
    )
    assert any("stringData.tls.crt: expired on" in doubt for doubt in stage.served.doubts)
    with pytest.raises(REFUSED):
        stage.client().ask(stage.port, "shop.example")


def test_tls_is_passed_on_by_server_name(stage: Stage) -> None:
    ends = {name: stage.pair(f"{name}.example") for name in ("mail", "db")}
    contexts = {name: server_context(stage.place, pair, name) for name, pair in ends.items()}
    rule = (
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: raw, namespace: istio-system}, spec: "
        '{hosts: ["*.example"], gateways: [edge], tls: ['
        "{match: [{sniHosts: [mail.example]}], route: [{destination: {host: mail.internal}}]}, "
        "{match: [{sniHosts: [db.example]}], route: [{destination: {host: db.internal}}]}]}}"
    )
    with echo_server(contexts["mail"]) as mail, echo_server(contexts["db"]) as database:
        stage.served.apply(
            documents(
                BACKEND.format(name="mail", port=mail, protocol="tls"),
                BACKEND.format(name="db", port=database, protocol="tls"),
                rule,
                gateway(stage.port, https("raw", "*.example", "mode: PASSTHROUGH", protocol="TLS")),
            )
        )
        for name, pair in ends.items():
            shown = stage.client().certificate(stage.port, f"{name}.example")
            assert shown == x509.load_pem_x509_certificate(pair.certificate.encode())
        with stage.client().connect(stage.port, "mail.example") as connection:
            connection.sendall(b"hello")
            assert connection.recv(100).lower() == b"hello"
        assert refuses(stage, "other.example")


def test_the_mesh_s_tls_is_passed_on_to_the_service_that_it_names(stage: Stage) -> None:
    pair = stage.pair("cart.local")
    with echo_server(server_context(stage.place, pair, "cart")) as cart:
        service = "{apiVersion: v1, kind: Service, metadata: {name: cart}, spec: {ports: [{name: http, port: 80}]}}"
        # No node agent is here to give the gateway a certificate of its own.
        without_mesh_tls = (
            "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: cart}, "
            "spec: {host: cart, trafficPolicy: {tls: {mode: DISABLE}}}}"
        )
        slice_of_it = (
            "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: cart, labels: "
            f"{{kubernetes.io/service-name: cart}}}}, addressType: IPv4, ports: [{{name: http, port: {cart}}}], "
            "endpoints: [{addresses: [127.0.0.1]}]}"
        )
        stage.served.apply(
            documents(
                service,
                slice_of_it,
                without_mesh_tls,
                gateway(stage.port, https("mesh", "*.local", "mode: AUTO_PASSTHROUGH", protocol="TLS")),
            )
        )
        client = stage.client()
        context = client.context()
        context.check_hostname = False
        name = "outbound_.80_._.cart.default.svc.cluster.local"
        raw = socket.create_connection((HOST, stage.port), timeout=10)
        with context.wrap_socket(raw, server_hostname=name) as connection:
            connection.sendall(b"hello")
            assert connection.recv(100).lower() == b"hello"
        assert refuses(stage, "outbound_.81_._.cart.default.svc.cluster.local")


def test_tls_ends_in_front_of_a_tcp_server(stage: Stage) -> None:
    rule = (
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: raw, namespace: istio-system}, spec: "
        '{hosts: ["mail.example"], gateways: [edge], tcp: [{route: [{destination: {host: mail.internal}}]}]}}'
    )
    with echo_server() as mail:
        stage.served.apply(
            documents(
                BACKEND.format(name="mail", port=mail, protocol="tcp"),
                tls_secret("mail", stage.pair("mail.example")),
                rule,
                gateway(
                    stage.port, https("mail", "mail.example", "mode: SIMPLE, credentialName: mail", protocol="TLS")
                ),
            )
        )
        with stage.client().connect(stage.port, "mail.example") as connection:
            connection.sendall(b"hello")
            assert connection.recv(100).lower() == b"hello"


def test_plain_requests_are_sent_to_https(stage: Stage) -> None:
    plain = (
        "{port: {number: PORT, name: http, protocol: HTTP}, bind: 127.0.0.1, "
        "hosts: [shop.example], tls: {httpsRedirect: true}}"
    )
    stage.served.apply(gateway(stage.port, plain))
    connection = http.client.HTTPConnection(HOST, stage.port, timeout=10)
    connection.request("GET", "/cart?a=b", headers={"host": "shop.example"})
    response = connection.getresponse()
    assert (response.status, response.getheader("location")) == (301, "https://shop.example/cart?a=b")
    connection.close()


def test_no_key_is_in_the_configuration_that_can_be_read(stage: Stage) -> None:
    pair = stage.pair("shop.example")
    stage.served.apply(
        documents(
            tls_secret("site", pair),
            gateway(stage.port, https("shop", "shop.example", "mode: SIMPLE, credentialName: site")),
        )
    )
    told = subprocess.run(
        ["curl", "-s", "--unix-socket", stage.place / "admin.sock", "http://admin/config_dump"],
        capture_output=True, text=True, timeout=20, check=True,
    ).stdout  # fmt: skip
    (secret_body,) = [
        one["secret"]
        for part in json.loads(told)["configs"]
        for one in part.get("dynamic_active_secrets", ())
        if one["name"] == "kubernetes://site"
    ]
    assert secret_body["tls_certificate"]["private_key"] == {"inline_bytes": "W3JlZGFjdGVkXQ=="}
    assert pair.key not in (stage.place / "envoy.log").read_text()


def refuses(stage: Stage, host: str) -> bool:
    try:
        stage.client().connect(stage.port, host).close()
    except REFUSED:
        return True
    return False


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def server_context(place: Path, pair: Pair, name: str) -> ssl.SSLContext:
    files = place / f"{name}.crt", place / f"{name}.key"
    files[0].write_text(pair.certificate)
    files[1].write_text(pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


def rsa_pair(authority: Authority, host: str) -> Pair:
    root = x509.load_pem_x509_certificate(authority.root.encode())
    key = rsa.generate_private_key(65537, 2048)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(root.not_valid_before_utc)
        .not_valid_after(root.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=True)
        .sign(authority.key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(made.public_bytes(serialization.Encoding.PEM).decode(), private.decode())
