"""A small mesh, and questions of Envoys about calls in it."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from envoy.service.auth.v3 import external_auth_pb2

from lateen.api.objects import ObjectKey
from lateen.mixer.directory import Directory
from lateen.model.protocol import Protocol
from lateen.model.service import Service, ServicePort
from lateen.model.workload import Workload, WorkloadKey
from lateen.model.workloads import Workloads
from lateen.names import PeerName, instance_name

SLEEP_ID = "spiffe://cluster.local/ns/default/sa/sleep"
REVIEWS_ID = "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"
SLEEP = Workload(WorkloadKey("default", "sleep-1"), "10.244.1.7", {"app": "sleep", "team": "a"}, "sleep", owner="sleep")
REVIEWS = Workload(WorkloadKey("default", "reviews-1"), "10.244.1.3", {"app": "reviews"}, "bookinfo-reviews")
SERVICE = Service(
    "reviews.default.svc.cluster.local",
    "default",
    (ServicePort(9080, "http", Protocol.HTTP, 9080),),
    ObjectKey("", "Service", "default", "reviews"),
    selector=(("app", "reviews"),),
)
DIRECTORY = Directory(Workloads().apply([SLEEP, REVIEWS]), [SERVICE], "cluster.local")


def certificate(uri: str = SLEEP_ID, *hosts: str) -> str:
    """A certificate as Envoy passes it on."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.UniformResourceIdentifier(uri), *map(x509.DNSName, hosts)]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), 1, now, now)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    return quote(made.public_bytes(Encoding.PEM).decode())


INSTANCE = instance_name("sleep-1", "default")
SHOWN = certificate(SLEEP_ID, INSTANCE, str(PeerName("sleep", "sleep")))


def context(*, shown: str = SHOWN, own: str = REVIEWS_ID, path: str = "/reviews/0?a=1&a=2&b", **headers: str) -> Any:
    """A question about an HTTP request from sleep to reviews."""
    asked = external_auth_pb2.CheckRequest().attributes
    asked.source.address.socket_address.address = "10.244.1.7"
    asked.source.certificate = shown
    asked.source.principal = SLEEP_ID if shown else ""
    asked.destination.address.socket_address.address = "10.244.1.3"
    asked.destination.address.socket_address.port_value = 9080
    asked.destination.principal = own
    asked.request.time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    http = asked.request.http
    http.method, http.path, http.host, http.scheme = "GET", path, "reviews:9080", "http"
    for name, value in {**headers, ":method": "GET"}.items():
        http.headers[name.replace("_", "-")] = value
    asked.tls_session.sni = "outbound_.9080_._.reviews"
    return asked
