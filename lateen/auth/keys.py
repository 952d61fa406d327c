"""Private keys: made, written and read; and which public keys are strong enough to be certified."""

from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lateen.api.security.pem import UNREADABLE
from lateen.errors import ConfigRejected

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

CURVES: Final = (ec.SECP256R1.name, ec.SECP384R1.name)
LEAST_RSA_BITS: Final = 2048
MOST_RSA_BITS: Final = 8192
_LEAST_RSA_EXPONENT: Final = 65537
_STRONG: Final = "use ECDSA P-256 or P-384, or RSA of 2048 to 8192 bits"


class KeyKind(StrEnum):
    """The kinds of keys that can be made."""

    EC_P256 = "ecdsa-p256"
    EC_P384 = "ecdsa-p384"
    RSA_2048 = "rsa-2048"
    RSA_4096 = "rsa-4096"


def make_key(kind: KeyKind = KeyKind.EC_P256) -> Key:
    """Make a new private key. An elliptic one takes 30 microseconds, RSA 0.1 s and more: call that in a thread."""
    match kind:
        case KeyKind.EC_P256:
            return ec.generate_private_key(ec.SECP256R1())
        case KeyKind.EC_P384:
            return ec.generate_private_key(ec.SECP384R1())
        case KeyKind.RSA_2048:
            return rsa.generate_private_key(_LEAST_RSA_EXPONENT, 2048)
        case KeyKind.RSA_4096:
            return rsa.generate_private_key(_LEAST_RSA_EXPONENT, 4096)


def examine(certificate: x509.Certificate) -> None:
    """Read every part of a certificate that is read only when it is asked for; raises one of `UNREADABLE`."""
    certificate.public_key()
    _ = (certificate.subject, certificate.issuer, certificate.extensions, certificate.signature_hash_algorithm)
    _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.tbs_certificate_bytes)


def key_pem(key: Key) -> bytes:
    """Write a private key as PEM (PKCS #8, not encrypted)."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(pem: bytes) -> Key:
    """Read a private key in PEM; raises `ConfigRejected` for what is none, is encrypted or too weak."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise ConfigRejected("the private key is encrypted; write it without a passphrase") from None
    except UNREADABLE:
        raise ConfigRejected("this is no private key in PEM") from None
    if not isinstance(key, Key):
        raise ConfigRejected(f"the private key is of a kind that proxies cannot use; {_STRONG}")
    if weakness := weakness_of(key.public_key()):
        raise ConfigRejected(f"the private key is {weakness}")
    return key


def weakness_of(key: object) -> str | None:
    """Say why a public key is not certified, and what would be right; None for a good one."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return None if key.curve.name in CURVES else f"on the curve {key.curve.name}; {_STRONG}"
    if not isinstance(key, rsa.RSAPublicKey):
        return f"neither ECDSA nor RSA; {_STRONG}"
    if not LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
        return f"RSA of {key.key_size} bits; {_STRONG}"
    exponent = key.public_numbers().e
    return f"RSA with the exponent {exponent}; use 65537" if exponent < _LEAST_RSA_EXPONENT else None


def digest_for(key: Key) -> hashes.SHA256 | hashes.SHA384:
    """Return the hash that a key signs with: as strong as the key."""
    is_stronger = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > 256
    return hashes.SHA384() if is_stronger else hashes.SHA256()


def kind_of(key: PublicKey) -> str:
    """Name the kind of a public key for people: `ECDSA P-256`, `RSA 2048`."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return f"ECDSA P-{key.curve.key_size}"
