"""TLS that a proxy ends with certificates of its own: of a gateway's servers, and of ports that a Sidecar names."""

from collections.abc import Iterator
from typing import Protocol

from lateen import names
from lateen.api.networking.gateway import ServerTls, ServerTlsMode, TlsVersion
from lateen.plan import secrets
from lateen.plan.diagnostics import Doubt, Notes, below
from lateen.plan.secrets import Fault, Keyring
from lateen.plan.types import ClientCheck, EndedTls, Origin, Secret, ServedCertificate, TlsBounds, TrustedAuthorities


class TlsServer(Protocol):
    """What is written of a server's TLS, and where the server is written."""

    @property
    def tls(self) -> ServerTls: ...

    @property
    def origin(self) -> Origin: ...


def ended_tls(
    server: TlsServer, bounds: TlsBounds, keyring: Keyring, needed: list[Secret], notes: Notes
) -> EndedTls | None:
    """Settle the TLS of a server with certificates of its own; None if there is no certificate, or nobody to trust.

    What it takes from secrets is added to `needed`. Where it does not say how good TLS has to be, `bounds` do.
    """
    written = server.tls
    certificates = tuple(_certificates(server, keyring, notes))
    client = _client(server, keyring, needed, notes) if written.asks_for_certificate else None
    if not certificates or (client is None and written.asks_for_certificate):
        return None
    needed += certificates
    highest = _otherwise(written.max_protocol_version, TlsVersion.TLSV1_3)
    return EndedTls(
        tuple(certificate.name for certificate in certificates),
        client,
        _otherwise(written.min_protocol_version, min(bounds.min_version, highest)),
        highest,
        written.cipher_suites or bounds.cipher_suites,
        bounds.curves,
    )


def _certificates(server: TlsServer, keyring: Keyring, notes: Notes) -> Iterator[ServedCertificate]:
    """Yield the certificates of a server; of two, one that is of no use leaves the other."""
    written = server.tls
    if written.server_certificate:
        yield _from_files(written.server_certificate, written.private_key, server)
    for pair in written.tls_certificates:
        yield _from_files(pair.server_certificate, pair.private_key, server)
    found = [keyring.certificate(credential) for credential in written.credentials]
    some_are_good = any(isinstance(one, ServedCertificate) for one in found)
    for position, one in enumerate(found):
        if isinstance(one, ServedCertificate):
            yield one
        else:
            field_name = "credentialName" if written.credential_name else f"credentialNames[{position}]"
            consequence = "is not served" if some_are_good else "connections are refused"
            secrets.note(one, below(server.origin, f"tls.{field_name}"), notes, consequence, Doubt.CREDENTIAL)


def _client(server: TlsServer, keyring: Keyring, needed: list[Secret], notes: Notes) -> ClientCheck | None:
    """Settle what clients prove; None if nobody is there to vouch for them, so that none can be let in."""
    written = server.tls
    authorities = ""
    if not written.insecure_skip_verify:
        found = _authorities(server, keyring)
        if isinstance(found, Fault):
            secrets.note(found, below(server.origin, "tls"), notes, code=Doubt.CREDENTIAL)
            return None
        needed.append(found)
        authorities = found.name
    return ClientCheck(
        required=written.mode is ServerTlsMode.MUTUAL,
        authorities=authorities,
        accepted_names=tuple(sorted(written.subject_alt_names)),
        key_hashes=written.verify_certificate_spki,
        certificate_hashes=written.verify_certificate_hash,
    )


def _authorities(server: TlsServer, keyring: Keyring) -> TrustedAuthorities | Fault:
    """Find who vouches for clients: a Secret of their own, files, or the Secrets with the certificates."""
    written = server.tls
    if written.ca_cert_credential_name:
        return keyring.authorities(written.ca_cert_credential_name)
    if file := _authority_file(written):
        name = names.authority_files(file, written.ca_crl)
        return TrustedAuthorities(name, file, written.ca_crl or b"", server.origin)
    found = [keyring.authorities(credential) for credential in written.credentials]
    return next((one for one in found if isinstance(one, TrustedAuthorities)), found[0])


def _authority_file(written: ServerTls) -> str:
    files = (written.ca_certificates, *(pair.ca_certificates for pair in written.tls_certificates))
    return next(filter(None, files), "")


def _from_files(certificate: str, key: str, server: TlsServer) -> ServedCertificate:
    return ServedCertificate(names.certificate_files(certificate, key), certificate, key, origin=server.origin)


def _otherwise(written: TlsVersion, usual: TlsVersion) -> TlsVersion:
    return usual if written is TlsVersion.TLS_AUTO else written
