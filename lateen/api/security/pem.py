"""Certificates and keys in PEM, as people write them."""

from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

UNREADABLE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What reading keys and certificates raises for bytes that are none, or that are of a kind nobody knows."""


def are_certificates(pem: bytes) -> bool:
    """Tell whether a text is certificates, and nothing that cannot be read."""
    try:
        found = x509.load_pem_x509_certificates(pem)
        return bool(found) and all(each.public_key() for each in found)
    except UNREADABLE:
        return False
