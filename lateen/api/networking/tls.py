"""TLS as a client of an upstream uses it; a gateway's side of TLS is in `gateway`."""

from collections.abc import Iterator
from enum import StrEnum

from lateen.api.fields import Bool
from lateen.api.structs import Checked, Problem


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
