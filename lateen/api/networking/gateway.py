"""Gateway: the ports of the proxies at the mesh's edge, the hosts they serve and the TLS they speak."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from lateen.api.fields import EMPTY_MAP, Bool, Labels, NamespacedHost, NonEmpty, Port, is_address
from lateen.api.structs import Checked, Problem, Struct


class ServerProtocol(StrEnum):
    """What a gateway's server speaks with its clients."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-WEB"
    HTTP2 = "HTTP2"
    MONGO = "MONGO"
    TCP = "TCP"
    TLS = "TLS"

    @classmethod
    def _missing_(cls, value: object) -> "ServerProtocol | None":
        return cls._value2member_map_.get(value.upper()) if isinstance(value, str) else None  # type: ignore[return-value]


class ServerPort(Struct):
    """The port that a server listens on."""

    number: Port
    name: NonEmpty
    protocol: ServerProtocol
    target_port: Port | None = None


class ServerTlsMode(StrEnum):
    """Who ends a client's TLS, and whether the client shows a certificate."""

    PASSTHROUGH = "PASSTHROUGH"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"
    OPTIONAL_MUTUAL = "OPTIONAL_MUTUAL"


class TlsVersion(StrEnum):
    """A version of TLS, as a limit."""

    TLS_AUTO = "TLS_AUTO"
    TLSV1_0 = "TLSV1_0"
    TLSV1_1 = "TLSV1_1"
    TLSV1_2 = "TLSV1_2"
    TLSV1_3 = "TLSV1_3"


class TlsCertificate(Struct):
    """A certificate with its key, as files of the gateway."""

    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""


class ServerTls(Checked):
    """TLS as a server speaks it with its clients."""

    https_redirect: Bool = False
    mode: ServerTlsMode = ServerTlsMode.PASSTHROUGH
    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    ca_crl: str = ""
    credential_name: str = ""
    credential_names: Annotated[tuple[NonEmpty, ...], Field(max_length=2)] = ()
    ca_cert_credential_name: str = ""
    tls_certificates: Annotated[tuple[TlsCertificate, ...], Field(max_length=2)] = ()
    subject_alt_names: tuple[str, ...] = ()
    verify_certificate_spki: tuple[str, ...] = ()
    verify_certificate_hash: tuple[str, ...] = ()
    min_protocol_version: TlsVersion = TlsVersion.TLS_AUTO
    max_protocol_version: TlsVersion = TlsVersion.TLS_AUTO
    cipher_suites: tuple[str, ...] = ()
    insecure_skip_verify: Bool | None = None

    def problems(self) -> Iterator[Problem]:
        sources = [
            name
            for name, given in (
                ("credentialName", self.credential_name),
                ("credentialNames", self.credential_names),
                ("tlsCertificates", self.tls_certificates),
                ("serverCertificate", self.server_certificate),
            )
            if given
        ]
        if len(sources) > 1:
            yield Problem(f"must take its certificate from one place, not from {' and '.join(sources)}")
        if self.mode is ServerTlsMode.ISTIO_MUTUAL and (sources or self.private_key or self.ca_certificates):
            yield Problem("must have no certificates in mode ISTIO_MUTUAL: the mesh issues them")
        if self.mode in _TERMINATING and not sources:
            yield Problem(f"must have credentialName, or serverCertificate and privateKey, in mode {self.mode}")
        if self.server_certificate and not self.private_key:
            yield Problem("must be set beside serverCertificate", "privateKey")
        if self.mode is ServerTlsMode.MUTUAL and self.server_certificate and not self.ca_certificates:
            yield Problem("must be set in mode MUTUAL, to verify clients with", "caCertificates")
        if (
            TlsVersion.TLS_AUTO not in (lowest := self.min_protocol_version, highest := self.max_protocol_version)
            and lowest > highest
        ):
            yield Problem(f"must not be above maxProtocolVersion {highest}", "minProtocolVersion")


_TERMINATING = (ServerTlsMode.SIMPLE, ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL)


_PLAIN = (ServerProtocol.HTTP, ServerProtocol.HTTP2, ServerProtocol.GRPC)


class Server(Checked):
    """One port of a gateway with the hosts that it serves."""

    port: ServerPort
    bind: str = ""
    hosts: Annotated[tuple[NamespacedHost, ...], Field(min_length=1)]
    tls: ServerTls | None = None
    default_endpoint: str = ""
    name: str = ""

    def problems(self) -> Iterator[Problem]:
        protocol = self.port.protocol
        if self.bind and not is_address(self.bind) and not self.bind.startswith("unix://"):
            yield Problem(f"must be an IP address or unix:///path, not {self.bind!r}", "bind")
        if protocol in (ServerProtocol.HTTPS, ServerProtocol.TLS) and self.tls is None:
            yield Problem(f"must be set for protocol {protocol}", "tls")
        if protocol is ServerProtocol.HTTPS and self.tls is not None and self.tls.https_redirect:
            yield Problem(
                "must not be set for protocol HTTPS: it belongs to the server of protocol HTTP", "tls.httpsRedirect"
            )
        if protocol in _PLAIN and self.tls is not None and not self.tls.https_redirect:
            yield Problem(f"must not be set for protocol {protocol}, except tls.httpsRedirect: use HTTPS", "tls")


class Gateway(Checked):
    """What the gateway workloads with these labels let in."""

    servers: Annotated[tuple[Server, ...], Field(min_length=1)]
    selector: Labels = EMPTY_MAP

    def problems(self) -> Iterator[Problem]:
        names = [server.name for server in self.servers]
        for position, name in enumerate(names):
            if name and name in names[:position]:
                yield Problem(f"must be unique: server {name} is already defined", f"servers[{position}].name")
