"""TLS as a client of an upstream uses it; a gateway's side of TLS is in `gateway`."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator

from lateen.api.fields import Bool
from lateen.api.structs import Checked, Problem

CIPHER_SUITES: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-SHA",
    "AES128-SHA",
)
"""The names, as OpenSSL has them, of the suites up to TLS 1.2 that proxies know; those of TLS 1.3 cannot be chosen."""


def _check_cipher_suites(suites: tuple[str, ...]) -> tuple[str, ...]:
    for position, suite in enumerate(suites):
        if suite not in CIPHER_SUITES:
            raise ValueError(
                f"must be cipher suites of TLS 1.2 by OpenSSL's names, like {CIPHER_SUITES[0]}: not {suite!r}"
            )
        if suite in suites[:position]:
            raise ValueError(f"must not name {suite} twice")
    return suites


CipherSuites = Annotated[tuple[str, ...], AfterValidator(_check_cipher_suites)]


class ClientTlsMode(StrEnum):
    """Whether connections to an upstream use TLS, and with whose certificates."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


class ClientTls(Checked):
    """TLS settings of connections to an upstream."""

    mode: ClientTlsMode = ClientTlsMode.DISABLE
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    credential_name: str = ""
    subject_alt_names: tuple[str, ...] = ()
    sni: str = ""
    insecure_skip_verify: Bool | None = None
    ca_crl: str = ""

    def problems(self) -> Iterator[Problem]:
        files = [name for name in ("client_certificate", "private_key", "ca_certificates") if getattr(self, name)]
        if self.mode is ClientTlsMode.ISTIO_MUTUAL and (files or self.credential_name):
            yield Problem("must have no certificates in mode ISTIO_MUTUAL: the mesh issues them")
        if self.credential_name and files:
            yield Problem("must have either credentialName or certificate files, not both", "credentialName")
        if self.mode is ClientTlsMode.MUTUAL and not self.credential_name:
            if not self.client_certificate:
                yield Problem("must be set in mode MUTUAL, or use credentialName", "clientCertificate")
            if not self.private_key:
                yield Problem("must be set in mode MUTUAL, or use credentialName", "privateKey")
        if self.insecure_skip_verify and (self.ca_certificates or self.ca_crl):
            yield Problem("must not be set beside caCertificates or caCrl, which it would ignore", "insecureSkipVerify")
