"""Certificate signing requests (PKCS #10): made by who needs a certificate, read with suspicion by who signs it."""

from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lateen.api.security.pem import UNREADABLE
from lateen.auth import keys
from lateen.auth.keys import Key, PublicKey
from lateen.errors import ProtocolError
from lateen.names import Identity

_MOST_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A public key whose owner proved to hold it, and the names that were asked for.

    Everything else in the request (subject, usages) has no effect, so it is not kept.
    """

    public_key: PublicKey
    uris: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    other_names: tuple[str, ...] = ()
    asks_for_authority: bool = False


def certificate_request(key: Key, identity: Identity | None = None) -> bytes:
    """Make a request in PEM, for the identity if one is given; the authority knows better in any case."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    if identity is not None:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(identity))])
        builder = builder.add_extension(names, critical=True)
    return builder.sign(key, keys.digest_for(key)).public_bytes(serialization.Encoding.PEM)


def read_request(pem: bytes) -> CertificateRequest:
    """Read a request in PEM; raises `ProtocolError` for anything else, and for a key that is weak or not its own."""
    if len(pem) > _MOST_BYTES:
        raise ProtocolError(f"the certificate request has {len(pem)} bytes; at most {_MOST_BYTES} are read")
    try:
        return _read(x509.load_pem_x509_csr(pem))
    except (TypeError, *UNREADABLE):
        raise ProtocolError("this is no certificate request: send PKCS #10 in PEM") from None


def _read(request: x509.CertificateSigningRequest) -> CertificateRequest:
    public_key = request.public_key()
    if weakness := keys.weakness_of(public_key):
        raise ProtocolError(f"the key of the certificate request is {weakness}")
    if not request.is_signature_valid:
        raise ProtocolError("the certificate request is not signed with its own key")
    assert isinstance(public_key, PublicKey)
    names = _alternative_names(request.extensions)
    return CertificateRequest(
        public_key,
        tuple(str(name.value) for name in names if isinstance(name, x509.UniformResourceIdentifier)),
        tuple(str(name.value) for name in names if isinstance(name, x509.DNSName)),
        tuple(
            str(name.value) for name in names if not isinstance(name, (x509.UniformResourceIdentifier, x509.DNSName))
        ),
        _asks_for_authority(request.extensions),
    )


def _alternative_names(extensions: x509.Extensions) -> tuple[x509.GeneralName, ...]:
    try:
        return tuple(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return ()


def _asks_for_authority(extensions: x509.Extensions) -> bool:
    try:
        return extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
