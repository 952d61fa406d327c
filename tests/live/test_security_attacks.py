"""What bad actors get from a mesh that is STRICT: nothing, and what is told about it."""

import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lateen import names
from lateen.auth import keys, requests, trust
from lateen.auth.authority import Authority
from lateen.names import Identity
from lateen.serving import certificates
from tests import tokens
from tests.live import intruders, secrets, servers
from tests.live.mesh import EXAMPLES, Caller, Mesh, a_mesh, until
from tests.live.yaml_texts import container, deployment, destination_rule, pod, service, together
from tests.platforms.local.live_mesh import users
from tests.tokens import SigningKey

SAYS_NOTHING = ("", "ConnectionResetError", "BrokenPipeError")
REQUEST = "GET /get HTTP/1.1\r\nhost: httpbin:8000\r\nconnection: close\r\n\r\n"
WITHOUT_SIDECAR = '{sidecar.istio.io/inject: "false"}'
REACHED = {
    "httpbin": (8080, "istio-http/1.1", REQUEST),
    "echo": (9000, "istio", "hello"),
    "impostor": (8443, "istio-http/1.1", REQUEST),
}
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""
AUDIENCE = {"aud": "httpbin"}
KEY = tokens.rsa_key()


@pytest.fixture(scope="module")
def strict() -> Iterator[Mesh]:
    """Httpbin, a TCP server and sleep, all STRICT, and a stranger who has no sidecar."""
    with a_mesh(users()[0]) as made:
        echo = deployment("echo", container(["python3", "-c", servers.ECHO, "9000"]))
        stranger = pod("stranger", container(["sleep", "infinity"]), annotations=WITHOUT_SIDECAR)
        file = made.base / "mesh.yaml"
        file.write_text(together(STRICT, service("echo", "{name: tcp, port: 9000}"), echo, stranger))
        made.up(file, EXAMPLES / "httpbin", EXAMPLES / "sleep")
        yield made


@pytest.fixture(scope="module")
def sleep(strict: Mesh) -> Iterator[Caller]:
    with strict.call_from("deploy/sleep") as caller:
        yield caller


@dataclass(frozen=True)
class Stranger:
    """Tries connections to a workload, from where there is no sidecar."""

    mesh: Mesh

    def outcomes(self, workload: str, *pems: str | None, plaintext: bool = False) -> list[str]:
        """What comes back with each certificate."""
        host = self.mesh.instances(workload)[0]["address"]
        port, protocol, send = REACHED[workload]
        common = {"host": host, "port": port, "protocol": protocol, "send": send, "plaintext": plaintext}
        asks = json.dumps([{**common, "pem": pem} for pem in pems])
        said: list[str] = json.loads(
            self.mesh.do("exec", "stranger", "--", self.mesh.python, "-c", intruders.ATTEMPTS, asks)
        )
        return said


@pytest.mark.parametrize(("workload", "good"), [("httpbin", "HTTP/1.1 200 OK"), ("echo", "echo hello")])
def test_only_a_good_certificate_of_the_mesh_comes_through(strict: Mesh, workload: str, good: str) -> None:
    authority, foreign, folder = intruders.mesh_authority(strict), intruders.foreign_authority(), strict.base
    bad = {
        "none": None,
        "self-signed": intruders.own_certificate(folder),
        "another authority's, with the right name": intruders.certificate(folder, foreign),
        "another trust domain's": intruders.certificate(folder, authority, domain="elsewhere.example"),
        "expired": intruders.certificate(folder, authority, begins_in_seconds=-60),
        "not valid yet": intruders.certificate(folder, authority, begins_in_seconds=600),
    }
    stranger = Stranger(strict)
    (first, *said) = stranger.outcomes(workload, intruders.certificate(folder, authority), *bad.values())
    assert first == good
    shut = dict(zip(bad, said, strict=True))
    assert {name: each for name, each in shut.items() if "SSL" not in each and each not in SAYS_NOTHING} == {}
    (plain,) = stranger.outcomes(workload, None, plaintext=True)
    assert plain in SAYS_NOTHING


def test_a_server_with_somebody_elses_certificate_is_not_talked_to(strict: Mesh, sleep: Caller) -> None:
    good, bad = (
        intruders.certificate(strict.base, intruders.mesh_authority(strict), account)
        for account in ("default", "sleep")
    )
    mutual = destination_rule("{tls: {mode: ISTIO_MUTUAL}}", host="impostor")

    def server(pem: str) -> str:
        shows = container(["python3", "-c", intruders.IMPOSTOR, "8443", pem])
        return pod("impostor", shows, annotations=WITHOUT_SIDECAR)

    asked = together(service("impostor", "{name: http, port: 8443}"), mutual)
    with strict.having(asked):
        with strict.having(server(good)):
            until(lambda: sleep.get("http://impostor:8443/").status == 200)
        with strict.having(server(bad)):
            until(lambda: Stranger(strict).outcomes("impostor", None)[0].endswith("200 OK"))
            answers = sleep.requests("http://impostor:8443/", 5)
            assert {(answer.status, "connection failure" in answer.body) for answer in answers} == {(503, True)}


def test_the_control_planes_doors_open_for_their_own_people_only(strict: Mesh) -> None:
    sds = strict.directory / "w" / f"{strict.instances('sleep')[0]['name']}.default" / "sds.sock"
    pair = secrets.secret(sds, "default").tls_certificate
    roots = secrets.secret(sds, "ROOTCA").validation_context.trusted_ca.inline_bytes
    workload = grpc.ssl_channel_credentials(roots, pair.private_key.inline_bytes, pair.certificate_chain.inline_bytes)
    forged = Path(intruders.certificate(strict.base, intruders.foreign_authority())).read_bytes()
    stranger = grpc.ssl_channel_credentials(roots, forged, forged)
    for workload_name in ("httpbin", "echo"):
        victim = strict.instances(workload_name)[0]["name"]
        node = f"sidecar~10.244.9.9~{victim}.default~default.svc.cluster.local"
        told = secrets.configuration(strict.directory / "xds.sock", node, workload, names.CONTROL_PLANE_HOST)
        assert told.startswith("PERMISSION_DENIED"), told
        for credentials in (stranger, grpc.ssl_channel_credentials(roots), None):
            told = secrets.configuration(strict.directory / "xds.sock", node, credentials, names.CONTROL_PLANE_HOST)
            assert told.startswith("UNAVAILABLE"), told
    own = strict.base / "workload.pem"
    own.write_bytes(pair.private_key.inline_bytes + pair.certificate_chain.inline_bytes)
    assert asked_api(strict, None) in ("SSLError", "closed")
    foreign = Path(intruders.certificate(strict.base, intruders.foreign_authority()))
    assert asked_api(strict, foreign) in ("SSLError", "closed")
    assert asked_api(strict, own) == "403"
    assert asked_api(strict, strict.directory / "admin" / "identity.pem") == "200"
    strict.settled()


def asked_api(mesh: Mesh, pem: Path | None) -> str:
    """What somebody with that certificate gets from the API."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pem:
        context.load_cert_chain(pem)
    with socket(AF_UNIX) as plain:
        plain.settimeout(5)
        plain.connect(str(mesh.directory / "api.sock"))
        try:
            connection = HTTPConnection("localhost")
            connection.sock = context.wrap_socket(plain)
            connection.request("GET", "/v1/mesh")
            return str(connection.getresponse().status)
        except ssl.SSLError:
            return "SSLError"
        except (OSError, EOFError):
            return "closed"


def test_the_authority_signs_for_nobody_who_proves_nothing(strict: Mesh) -> None:
    roots = (strict.directory / "admin" / "roots.pem").read_bytes()
    forged = Path(intruders.certificate(strict.base, intruders.foreign_authority())).read_bytes()
    csr = requests.certificate_request(keys.make_key(), Identity("cluster.local", "default", "sleep")).decode()

    def ask(credentials: grpc.ChannelCredentials | None, *metadata: tuple[str, str]) -> str:
        options = [("grpc.ssl_target_name_override", names.CONTROL_PLANE_HOST)]
        target = f"unix:{strict.directory / 'ca.sock'}"
        channel = grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target)
        with channel:
            call: Any = channel.unary_unary(f"/{certificates.SERVICE}/{certificates.METHOD}")
            try:
                call(certificates.Request(csr=csr).SerializeToString(), metadata=metadata, timeout=5)
            except grpc.RpcError as error:
                return str(error.code().name)
        return "signed"

    mesh_tls = grpc.ssl_channel_credentials(roots)
    assert ask(mesh_tls) == "UNAUTHENTICATED"
    assert ask(mesh_tls, ("authorization", f"Bearer {tokens.unsigned({'sub': 'sleep'})}")) == "UNAUTHENTICATED"
    assert ask(grpc.ssl_channel_credentials(roots, forged, forged)) in ("UNAUTHENTICATED", "UNAVAILABLE")
    assert ask(None) == "UNAVAILABLE"


def certified(door: Path, credentials: grpc.ChannelCredentials, csr: bytes, token: str = "") -> tuple[str, list[str]]:
    """Ask the certificate service at a door; return the outcome, with its reason or the names that were certified."""
    options = [("grpc.ssl_target_name_override", names.CONTROL_PLANE_HOST)]
    with grpc.secure_channel(f"unix:{door}", credentials, options) as channel:
        call: Any = channel.unary_unary(f"/{certificates.SERVICE}/{certificates.METHOD}")
        metadata = [("authorization", f"Bearer {token}")] if token else []
        try:
            answer = call(certificates.Request(csr=csr.decode()).SerializeToString(), metadata=metadata, timeout=5)
        except grpc.RpcError as error:
            return str(error.code().name), [str(error.details())]
    leaf = x509.load_pem_x509_certificate(certificates.Response.FromString(answer).cert_chain[0].encode())
    return "signed", [*trust.alternative_names(leaf, x509.UniformResourceIdentifier)]


def test_a_newcomer_with_a_token_becomes_who_it_is_for_and_nobody_else(strict: Mesh) -> None:
    roots = grpc.ssl_channel_credentials((strict.directory / "admin" / "roots.pem").read_bytes())
    door, key = strict.directory / "ca.sock", keys.make_key()

    def token(*options: str) -> Any:
        words = ("newcomer-1", "-n", "shop", "--service-account", "cart", "-o", "json", *options)
        return json.loads(strict.do("ca token", *words))

    told = token()
    anybody, other = (requests.certificate_request(key, one) for one in (None, Identity("cluster.local", "a", "b")))
    assert certified(door, roots, anybody, told["token"]) == ("signed", ["spiffe://cluster.local/ns/shop/sa/cart"])
    outcome, reason = certified(door, roots, anybody, told["token"])
    assert (outcome, reason) == ("UNAUTHENTICATED", ["the bootstrap token has been used before; ask for a new one"])
    outcome, reason = certified(door, roots, other, token()["token"])
    assert outcome == "PERMISSION_DENIED", reason
    short = token("--ttl", "10ms")
    until(lambda: time.time() > short["expires"] + 1)
    outcome, reason = certified(door, roots, anybody, short["token"])
    assert (outcome, reason[0][:31]) == ("UNAUTHENTICATED", "the bootstrap token has expired")
    minted = [json.loads(line) for line in (strict.directory / "ca" / "minted-tokens.jsonl").read_text().splitlines()]
    assert minted[0]["id"] == told["id"]
    assert told["token"] not in str(minted)
    issued = json.loads(strict.do("ca issued", "-n", "shop", "-o", "json"))
    assert [(each["identity"], each["workload"]) for each in issued] == [(told["identity"], "newcomer-1.shop")]


def test_a_workload_is_certified_as_itself_only(strict: Mesh) -> None:
    sds = strict.directory / "w" / f"{strict.instances('sleep')[0]['name']}.default" / "sds.sock"
    pair = secrets.secret(sds, "default").tls_certificate
    roots = secrets.secret(sds, "OWNROOTCA").validation_context.trusted_ca.inline_bytes
    own = grpc.ssl_channel_credentials(roots, pair.private_key.inline_bytes, pair.certificate_chain.inline_bytes)
    door, key, me = strict.directory / "xds.sock", keys.make_key(), Identity("cluster.local", "default", "sleep")
    assert certified(door, own, requests.certificate_request(key, me)) == ("signed", [str(me)])
    for other in (Identity("cluster.local", "default", "httpbin"), Identity("partner.example", "default", "sleep")):
        outcome, reason = certified(door, own, requests.certificate_request(key, other))
        assert outcome == "PERMISSION_DENIED", reason


def test_a_root_of_another_trust_domain_vouches_for_its_own_identities_only(strict: Mesh) -> None:
    partner, folder = intruders.foreign_authority(), strict.base
    domains = ("cluster.local", "partner.example")
    (ours, ours_abroad), (impostor, guest) = (
        [intruders.certificate(folder, by, domain=domain, lives_seconds=300) for domain in domains]
        for by in (intruders.mesh_authority(strict), partner)
    )
    stranger, pems = Stranger(strict), (ours, guest, impostor, ours_abroad)

    def seen() -> list[bool]:
        return [said == "HTTP/1.1 200 OK" for said in stranger.outcomes("httpbin", *pems)]

    assert seen() == [True, False, False, False]
    policy = authorization_policy("guests", "partner.example/ns/default/sa/sleep")
    with strict.having(brought_in("partner.example", partner)):
        until(lambda: seen() == [True, True, False, False], 20)
        shown = json.loads(strict.do("ca show", "-o", "json"))["roots"]
        assert sorted(root["trust_domain"] for root in shown) == ["cluster.local", "partner.example"]
        assert asked_api(strict, Path(guest)) in ("SSLError", "closed")
        with strict.having(policy):
            until(lambda: seen() == [False, True, False, False], 20)
    until(lambda: seen() == [True, False, False, False], 20)
    strict.settled()


def brought_in(domain: str, authority: Authority) -> str:
    """Settings of the mesh that trust an authority for a trust domain."""
    pem = trust.certificate_pem(authority.root)
    spec = {"caCertificates": [{"pem": pem, "trustDomains": [domain]}]}
    metadata = {"name": "mesh", "namespace": "istio-system"}
    return json.dumps(
        {"apiVersion": "mesh.istio.io/v1alpha1", "kind": "MeshConfig", "metadata": metadata, "spec": spec}
    )


def authorization_policy(name: str, principal: str) -> str:
    """Only this one may call httpbin, and see no more than a refusal of its path."""
    spec = {
        "selector": {"matchLabels": {"app": "httpbin"}},
        "rules": [{"from": [{"source": {"principals": [principal]}}]}],
    }
    metadata = {"name": name, "namespace": "default"}
    document = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": metadata, "spec": spec}
    return json.dumps(document)


def test_an_issuer_behind_a_strict_port_is_asked_for_its_keys(strict: Mesh, sleep: Caller) -> None:
    says = f"print(flush=True); KEYS = {tokens.key_set(KEY)!r}.encode(){KEY_SERVER}"
    issuer = together(
        service("issuer", "{name: http, port: 80, targetPort: 9100}"),
        deployment("issuer", container(["python3", "-c", says, "9100"])),
    )
    spec = {
        "selector": {"matchLabels": {"app": "httpbin"}},
        "jwtRules": [{"issuer": tokens.ISSUER, "jwksUri": "http://issuer.default/keys"}],
    }
    policy = {"apiVersion": "security.istio.io/v1", "kind": "RequestAuthentication", "metadata": {"name": "inside"}}
    bearer = {"authorization": f"Bearer {KEY.token()}"}
    with strict.having(issuer):
        until(lambda: [row for row in strict.instances("issuer") if row["ready"]])
        with strict.having(json.dumps({**policy, "spec": spec})):
            until(lambda: sleep.get("http://httpbin:8000/get", headers=bearer).status == 200)
            assert sleep.get("http://httpbin:8000/get", headers={"authorization": "Bearer a.b.c"}).status == 401
    strict.settled()


KEY_SERVER = """
import http.server, sys
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", str(len(KEYS)))
        self.end_headers()
        self.wfile.write(KEYS)
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Answers).serve_forever()
"""


def test_tokens_that_are_almost_right(strict: Mesh, sleep: Caller) -> None:
    now, other = int(time.time()), SigningKey(KEY.kid, tokens.rsa_key("other").private)
    public = KEY.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    good, long = KEY.token(AUDIENCE), KEY.token({**AUDIENCE, "pad": "x" * 30_000})
    head, _, signature = good.split(".")
    wrong = {
        tokens.unsigned(AUDIENCE): (401, "Jwt is not in the form of Header.Payload.Signature"),
        f"{tokens.unsigned(AUDIENCE)}{signature}": (401, "Jwt header [alg] is not supported"),
        intruders.confused(KEY, public, AUDIENCE): (401, "Jwks doesn't have key to match kid or alg from Jwt"),
        intruders.confused(KEY, tokens.key_set(KEY).encode(), AUDIENCE): (401, "Jwks doesn't have key to match"),
        KEY.token({**AUDIENCE, "exp": now - 3600}): (401, "Jwt is expired"),
        KEY.token({**AUDIENCE, "nbf": now + 3600}): (401, "Jwt not yet valid"),
        KEY.token({**AUDIENCE, "iss": "https://elsewhere.example"}): (401, "Jwt issuer is not configured"),
        KEY.token({"aud": "elsewhere"}): (403, "Audiences in Jwt are not allowed"),
        other.token(AUDIENCE): (401, "Jwt verification fails"),
        f"{head}.{KEY.token({**AUDIENCE, 'sub': 'root'}).split('.')[1]}.{signature}": (401, "Jwt verification fails"),
        f"{long[:-8]}AAAAAAAA": (401, "Jwt verification fails"),
        KEY.token({**AUDIENCE, "pad": "x" * 100_000}): (431, ""),
    }
    with strict.having(intruders.request_authentication(KEY)):
        assert sleep.get("http://httpbin:8000/get").status == 200
        for token in (good, long):
            assert sleep.get("http://httpbin:8000/get", headers={"authorization": f"Bearer {token}"}).status == 200
        for token, (status, reason) in wrong.items():
            answer = sleep.get("http://httpbin:8000/get", headers={"authorization": f"Bearer {token}"})
            assert (answer.status, answer.body[: len(reason)]) == (status, reason), answer
