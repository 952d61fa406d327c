"""What bad actors bring to a mesh: certificates that are almost right, tokens that are almost signed."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from lateen.auth import authority, issuer, keys, requests
from lateen.auth.attestation import Attested
from lateen.auth.authority import Authority
from lateen.auth.trust import TrustDomain
from lateen.names import Identity
from lateen.platforms.local.ca_files import CaFiles
from tests import tokens
from tests.live.mesh import Mesh
from tests.tokens import SigningKey

ATTEMPTS = """
import json, socket, ssl, sys
def attempt(host, port, pem, protocol, send, plaintext):
    with socket.create_connection((host, port), timeout=3) as talking:
        if not plaintext:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols([protocol])
            if pem:
                context.load_cert_chain(pem)
            talking = context.wrap_socket(talking, server_hostname=host)
        talking.sendall(send.encode())
        return talking.recv(1000).decode(errors="replace").split("\\r\\n")[0]
def outcome(ask):
    try:
        return attempt(**ask)
    except OSError as error:
        return type(error).__name__
print(json.dumps([outcome(ask) for ask in json.loads(sys.argv[1])]))
"""
"""Tries connections one after the other, and prints the first line that comes back from each: nothing if it ends."""

IMPOSTOR = """
import http.server, ssl, sys
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
server = http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Answers)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
context.set_alpn_protocols(["istio-http/1.1", "http/1.1"])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
"""A server with a certificate that is somebody else's."""


def mesh_authority(mesh: Mesh) -> Authority:
    """The mesh's own authority, as whoever has stolen its directory could use it."""

    def fail() -> Authority:
        raise AssertionError("the mesh has no authority")

    return issuer.resumed(CaFiles(mesh.directory / "ca"), TrustDomain(), fail).signer


def foreign_authority() -> Authority:
    """An authority of the same name that the mesh does not know."""
    return authority.self_signed("cluster.local", keys.make_key(), datetime.now(UTC), x509.random_serial_number())


def certificate(
    folder: Path,
    by: Authority,
    account: str = "sleep",
    domain: str = "cluster.local",
    begins_in_seconds: float = 0,
    lives_seconds: float = 30,
) -> str:
    """A certificate for an account with its key, in a file."""
    attested = Attested(Identity(domain, "default", account), f"{account}-forged", account)
    key, now = keys.make_key(), datetime.now(UTC) + timedelta(seconds=begins_in_seconds)
    request = requests.read_request(requests.certificate_request(key, attested.identity))
    signed = authority.sign(by, request, attested, now, x509.random_serial_number(), timedelta(seconds=lives_seconds))
    file = folder / f"{signed.issued.serial}.pem"
    file.write_bytes(keys.key_pem(key) + signed.leaf_and_intermediates.encode())
    return str(file)


def own_certificate(folder: Path, account: str = "sleep") -> str:
    """A certificate that nobody has signed but its holder."""
    key, now = keys.make_key(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, account)])
    uri = x509.UniformResourceIdentifier(str(Identity("cluster.local", "default", account)))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([uri]), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{made.serial_number}.pem"
    file.write_bytes(keys.key_pem(key) + made.public_bytes(Encoding.PEM))
    return str(file)


def confused(key: SigningKey, secret: bytes, claims: Mapping[str, Any] | None = None) -> str:
    """A token whose signature is a hash with a secret that everybody knows: the public key."""
    head, body, _ = key.token(claims, alg="HS256").split(".")
    signature = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def request_authentication(key: SigningKey) -> str:
    """Tokens of one issuer, for one audience, at httpbin."""
    rule = {"issuer": tokens.ISSUER, "audiences": ["httpbin"], "jwks": tokens.key_set(key)}
    spec = {"selector": {"matchLabels": {"app": "httpbin"}}, "jwtRules": [rule]}
    return json.dumps(
        {
            "apiVersion": "security.istio.io/v1",
            "kind": "RequestAuthentication",
            "metadata": {"name": "httpbin"},
            "spec": spec,
        }
    )
