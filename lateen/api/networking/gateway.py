"""Gateway: the ports of the proxies at the mesh's edge, the hosts they serve and the TLS they speak."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field, Strict

from lateen.api.fields import EMPTY_MAP, Bool, Labels, NamespacedHost, NonEmpty, Port, is_address
from lateen.api.networking.tls import CipherSuites
from lateen.api.objects import ConfigObject
from lateen.api.structs import Checked, Problem, Struct, alias

HTTP3_ANNOTATION: Final = "lateen.dev/http3"
"""On a Gateway: `true` has its HTTPS servers speak HTTP/3 too, on the same port of UDP."""


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


_UNIX: Final = "unix://"


class ServerPort(Struct):
    """The port that a server listens on; 0 where it listens on a socket."""

    number: Annotated[int, Strict(), Field(ge=0, le=65535)]
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


def _check_certificate_hash(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31}", text):
        raise ValueError(f"must be the SHA-256 of a certificate in 64 hexadecimal digits, not {text!r}")
    return text


def _check_key_hash(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9+/]{43}=", text):
        raise ValueError(f"must be the SHA-256 of a public key in base64, 44 characters, not {text!r}")
    return text


class TlsCertificate(Checked):
    """A certificate with its key, as files of the gateway."""

    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""

    def problems(self) -> Iterator[Problem]:
        if not self.server_certificate:
            yield Problem("must be set: the file of a certificate", "serverCertificate")
        if not self.private_key:
            yield Problem("must be set beside serverCertificate", "privateKey")


Fingerprint = Annotated[str, AfterValidator(_check_certificate_hash)]
KeyHash = Annotated[str, AfterValidator(_check_key_hash)]


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
    subject_alt_names: tuple[NonEmpty, ...] = ()
    verify_certificate_spki: tuple[KeyHash, ...] = ()
    verify_certificate_hash: tuple[Fingerprint, ...] = ()
    min_protocol_version: TlsVersion = TlsVersion.TLS_AUTO
    max_protocol_version: TlsVersion = TlsVersion.TLS_AUTO
    cipher_suites: CipherSuites = ()
    insecure_skip_verify: Bool | None = None

    @property
    def credentials(self) -> tuple[str, ...]:
        """The Secrets with the server's certificates."""
        return (self.credential_name,) if self.credential_name else self.credential_names

    @property
    def ends_below_tls13(self) -> bool:
        """True where clients may not speak TLS 1.3."""
        return self.max_protocol_version not in (TlsVersion.TLS_AUTO, TlsVersion.TLSV1_3)

    @property
    def asks_for_certificate(self) -> bool:
        """True where clients may or must show a certificate that is verified here."""
        return self.mode in (ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL)

    def problems(self) -> Iterator[Problem]:
        yield from self._source_problems()
        if self.asks_for_certificate:
            yield from self._client_problems()
        lowest, highest = _limit(self.min_protocol_version, TlsVersion.TLSV1_2), self.max_protocol_version
        if highest is not TlsVersion.TLS_AUTO and lowest > highest:
            if self.min_protocol_version is TlsVersion.TLS_AUTO:
                yield Problem(f"must not be below minProtocolVersion, which is {lowest}", "maxProtocolVersion")
            else:
                yield Problem(f"must not be above maxProtocolVersion {highest}", "minProtocolVersion")

    def _source_problems(self) -> Iterator[Problem]:
        """Yield what is wrong with where the server's certificate comes from."""
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
        if self.mode is ServerTlsMode.ISTIO_MUTUAL:
            yield from self._mesh_problems()
        if self.mode in _TERMINATING and not sources:
            yield Problem(f"must have credentialName, or serverCertificate and privateKey, in mode {self.mode}")
        if self.server_certificate and not self.private_key:
            yield Problem("must be set beside serverCertificate", "privateKey")
        if self.private_key and not self.server_certificate:
            yield Problem("must be set beside privateKey", "serverCertificate")

    def _mesh_problems(self) -> Iterator[Problem]:
        """Yield what cannot be asked of clients that show the mesh's certificates."""
        for name in ("subject_alt_names", "verify_certificate_spki", "verify_certificate_hash", "insecure_skip_verify"):
            if getattr(self, name):
                yield Problem(
                    "must not be set in mode ISTIO_MUTUAL: say in an AuthorizationPolicy who may call", alias(name)
                )

    def _client_problems(self) -> Iterator[Problem]:
        """Yield what is missing, or of no use, for verifying clients."""
        authorities = [self.ca_certificates, self.ca_cert_credential_name]
        authorities += [one.ca_certificates for one in self.tls_certificates]
        has_files = bool(self.server_certificate or self.tls_certificates)
        if self.insecure_skip_verify:
            if self.ca_certificates or self.ca_cert_credential_name or self.ca_crl:
                yield Problem(
                    "must not be set beside caCertificates, caCertCredentialName or caCrl, which it would ignore",
                    "insecureSkipVerify",
                )
            if self.subject_alt_names:
                yield Problem(
                    "must not be set beside insecureSkipVerify: names that nobody vouches for prove nothing",
                    "subjectAltNames",
                )
        elif has_files and not any(authorities):
            yield Problem(f"must be set in mode {self.mode}, to verify clients with", "caCertificates")
        if self.ca_certificates and self.ca_cert_credential_name:
            yield Problem("must not be set beside caCertificates: choose one of both", "caCertCredentialName")
        if self.ca_certificates and self.credentials:
            yield Problem(
                "must not be set beside credentialName: put the authorities into the Secret, or one NAME-cacert",
                "caCertificates",
            )
        if self.ca_crl and (self.credentials or self.ca_cert_credential_name):
            yield Problem("must not be set beside credentialName: put the list into the Secret as ca.crl", "caCrl")


_TERMINATING = (ServerTlsMode.SIMPLE, ServerTlsMode.MUTUAL, ServerTlsMode.OPTIONAL_MUTUAL)


def is_socket(bind: str) -> bool:
    """Tell whether a bind is a unix socket: a path, or a name without a file."""
    return bind.startswith((f"{_UNIX}/", f"{_UNIX}@")) and len(bind) > len(_UNIX) + 1


def _limit(written: TlsVersion, otherwise: TlsVersion) -> TlsVersion:
    return otherwise if written is TlsVersion.TLS_AUTO else written


_PLAIN = (ServerProtocol.HTTP, ServerProtocol.HTTP2, ServerProtocol.GRPC)


class Server(Checked):
    """One port of a gateway with the hosts that it serves."""

    port: ServerPort
    bind: str = ""
    hosts: Annotated[tuple[NamespacedHost, ...], Field(min_length=1)]
    tls: ServerTls | None = None
    default_endpoint: str = ""
    name: str = ""

    @property
    def socket(self) -> str:
        """The unix socket that it listens on instead of a port."""
        return self.bind if is_socket(self.bind) else ""

    @property
    def can_speak_http3(self) -> bool:
        """True where requests come in TLS of the server's own, in a version that QUIC can have."""
        tls = self.tls
        if self.port.protocol is not ServerProtocol.HTTPS or tls is None or tls.mode not in _TERMINATING or self.socket:
            return False
        return not tls.ends_below_tls13

    def problems(self) -> Iterator[Problem]:
        protocol = self.port.protocol
        if self.bind and not is_address(self.bind) and not is_socket(self.bind):
            yield Problem(f"must be an IP address, unix:///path or unix://@name, not {self.bind!r}", "bind")
        if self.port.number == 0 and not self.socket:
            yield Problem("must be between 1 and 65535, or bind a socket such as unix:///path", "port.number")
        if protocol in (ServerProtocol.TCP, ServerProtocol.MONGO) and self.tls is not None:
            yield Problem(f"must not be set for protocol {protocol}: use TLS", "tls")
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
        ports = [server.port.name for server in self.servers]
        for position, name in enumerate(ports):
            if name in ports[:position]:
                yield Problem(f"must be unique: port {name} is already defined", f"servers[{position}].port.name")
        names = [server.name for server in self.servers]
        for position, name in enumerate(names):
            if name and name in names[:position]:
                yield Problem(f"must be unique: server {name} is already defined", f"servers[{position}].name")


def wants_http3(gateway: ConfigObject[Gateway]) -> bool:
    """Tell whether a Gateway asks for HTTP/3 at those of its servers that can speak it."""
    return gateway.metadata.annotations.get(HTTP3_ANNOTATION, "").lower() == "true"
