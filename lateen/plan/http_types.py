"""How proxies speak HTTP with their clients: what is done to paths, which headers are written, what is borne."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from lateen.api.mesh.connection_settings import NO_SETTINGS, ConnectionSettings, EscapedSlashes
from lateen.api.mesh.proxy_headers import ForwardClientCertificate

SERVER_NAME: Final = "istio-envoy"

LOOKS_FOR: Final = timedelta(seconds=2)
"""How long the first bytes are waited for before a connection is taken to be TCP.

Istio waits for ever, which hangs where the server speaks first. Here such a connection works, late by this at each
proxy that has to guess. Outbound, a port whose protocol is declared has no delay; inbound, it has none if only the
mesh's TLS is taken, in which the client speaks first, or if it is not taken at all. The price: a client that opens a
connection ahead of time and is silent for longer has its requests on it carried as TCP where the protocol is detected,
and its TLS refused where that is.
"""


@dataclass(frozen=True, slots=True)
class PathReading:
    """What is done to paths before anybody looks at them."""

    normalizes: bool = True
    merges_slashes: bool = False
    escaped_slashes: EscapedSlashes = EscapedSlashes.KEEP


BASE_PATHS: Final = PathReading()


class CertificateDetail(StrEnum):
    """What can be told of a client's certificate."""

    SUBJECT = "subject"
    CERTIFICATE = "cert"
    CHAIN = "chain"
    DNS = "dns"
    URI = "uri"


@dataclass(frozen=True, slots=True)
class ProxyHeaders:
    """Which headers a proxy writes.

    `server` None leaves the application's own. `certificate` is what becomes of `x-forwarded-client-cert`, None what
    is usual for where a listener stands; `details` is what it says then. `tells_envoy` are the headers of Envoy's own.
    `keeps_case` sends header names as they came, where HTTP/1 is spoken on both sides.
    """

    server: str | None = SERVER_NAME
    makes_request_ids: bool = True
    counts_attempts: bool = True
    tells_envoy: bool = True
    certificate: ForwardClientCertificate | None = None
    details: tuple[CertificateDetail, ...] = (CertificateDetail.SUBJECT, CertificateDetail.DNS, CertificateDetail.URI)
    keeps_case: bool = False
    appends_host: bool = False
    appends_port: bool = False


USUAL_HEADERS: Final = ProxyHeaders()


@dataclass(frozen=True, slots=True)
class HttpManner:
    """How connections are taken, and their requests read and answered.

    `bounds` are how much is taken from clients, and for how long. Where the protocol is detected, the first bytes are
    looked for during `looks_for`, or without end where that is 0.
    """

    paths: PathReading = BASE_PATHS
    headers: ProxyHeaders = USUAL_HEADERS
    bounds: ConnectionSettings = NO_SETTINGS
    looks_for: timedelta = LOOKS_FOR


USUAL_MANNER: Final = HttpManner()
