"""Whose certificates are believed: trust domains, the roots of each, and the check of a chain against them."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from lateen import names
from lateen.api.security.pem import UNREADABLE
from lateen.auth.keys import examine
from lateen.errors import ConfigRejected, NotPermitted
from lateen.names import Identity

DEFAULT_TRUST_DOMAIN: Final = names.DEFAULT_DOMAIN
_LONGEST_CHAIN: Final = 8


@dataclass(frozen=True, slots=True)
class TrustDomain:
    """The mesh's own trust domain, and other names under which it was or will be known."""

    name: str = DEFAULT_TRUST_DOMAIN
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for each in (self.name, *self.aliases):
            if not names.is_trust_domain(each):
                raise ConfigRejected(
                    f"trust domain '{each}' is not usable: write lower-case letters, digits, dots, dashes and"
                    " underscores, beginning and ending with a letter or digit"
                )

    def is_local(self, identity: Identity) -> bool:
        """Tell whether an identity is of this mesh, under whichever of its names."""
        return identity.trust_domain == self.name or identity.trust_domain in self.aliases

    def names_of(self, identity: Identity) -> tuple[Identity, ...]:
        """List an identity under every name of the mesh, its own first; a foreign one stays alone."""
        if not self.is_local(identity):
            return (identity,)
        own = dict.fromkeys((identity.trust_domain, self.name, *self.aliases))
        return tuple(replace(identity, trust_domain=each) for each in own)


@dataclass(frozen=True, slots=True)
class Root:
    """A root certificate in PEM, trusted for the identities of one trust domain."""

    trust_domain: str
    pem: str

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate itself."""
        return x509.load_pem_x509_certificate(self.pem.encode())

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, in hex."""
        return fingerprint(self.certificate)


@dataclass(frozen=True, slots=True)
class TrustBundle:
    """Every root that is trusted, each for its own trust domain; equal bundles have equal digests."""

    domain: str
    roots: tuple[Root, ...]

    @property
    def pem(self) -> str:
        """All roots in PEM, in a stable order."""
        return "".join(dict.fromkeys(root.pem for root in self.roots))

    @property
    def own_pem(self) -> str:
        """The roots of the mesh's own trust domain in PEM."""
        return "".join(root.pem for root in self.roots_of(self.domain))

    @property
    def by_domain(self) -> dict[str, str]:
        """The roots of each trust domain in PEM."""
        domains = sorted({root.trust_domain for root in self.roots})
        return {domain: "".join(root.pem for root in self.roots_of(domain)) for domain in domains}

    @property
    def digest(self) -> str:
        """What tells two bundles apart; a proxy that has acknowledged it trusts exactly these roots."""
        told = "".join(f"{root.trust_domain}\n{root.pem}" for root in self.roots)
        return hashlib.sha256(told.encode()).hexdigest()

    def roots_of(self, trust_domain: str) -> tuple[Root, ...]:
        """List the roots that may vouch for identities of a trust domain."""
        return tuple(root for root in self.roots if root.trust_domain == trust_domain)

    def with_roots(self, roots: Iterable[Root]) -> "TrustBundle":
        """Trust more roots."""
        return bundle(self.domain, (*self.roots, *roots))


def bundle(domain: str, roots: Iterable[Root]) -> TrustBundle:
    """Make a bundle: the order in which roots are given, and saying one twice, make no difference."""
    return TrustBundle(domain, tuple(sorted(set(roots), key=lambda root: (root.trust_domain, root.pem))))


def read_roots(pem: str, trust_domain: str) -> tuple[Root, ...]:
    """Read root certificates of a trust domain; raises `ConfigRejected` for what is none."""
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
        for each in certificates:
            examine(each)
    except UNREADABLE:
        raise ConfigRejected(f"the roots of trust domain '{trust_domain}' are no certificates in PEM") from None
    return tuple(Root(trust_domain, certificate_pem(each)) for each in certificates)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, in hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def certificate_pem(certificate: x509.Certificate) -> str:
    """Write a certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def identity_of(certificate: x509.Certificate) -> Identity | None:
    """Return the identity in a certificate; None unless there is exactly one URI name, and it is a SPIFFE id."""
    uris = alternative_names(certificate, x509.UniformResourceIdentifier)
    return names.parse_identity(uris[0]) if len(uris) == 1 else None


def alternative_names(
    certificate: x509.Certificate, kind: type[x509.UniformResourceIdentifier] | type[x509.DNSName]
) -> tuple[str, ...]:
    """List the alternative names of one kind in a certificate."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ()
    return tuple(found.get_values_for_type(kind))


def verify_peer(chain: Sequence[bytes], trusted: TrustBundle, now: datetime) -> tuple[x509.Certificate, Identity]:
    """Check a peer's chain (DER, leaf first) up to a root of the identity's own trust domain.

    Raises `NotPermitted`, with the reason, for everything that is wrong with it.
    """
    leaf, *rest = _read_chain(chain)
    identity = identity_of(leaf)
    if identity is None:
        raise NotPermitted("the certificate carries no identity: expected one name spiffe://TRUST-DOMAIN/ns/NS/sa/NAME")
    roots = trusted.roots_of(identity.trust_domain)
    if not roots:
        raise NotPermitted(f"{identity} is of another trust domain; this mesh is {trusted.domain}")
    if reason := _out_of_time(leaf, now):
        raise NotPermitted(f"the certificate of {identity} {reason}")
    try:
        _verifier(roots, now).verify(leaf, rest)
    except verification.VerificationError as error:
        raise NotPermitted(f"the certificate of {identity} is not signed by a root of this mesh ({error})") from None
    return leaf, identity


def _read_chain(chain: Sequence[bytes]) -> list[x509.Certificate]:
    if not chain or len(chain) > _LONGEST_CHAIN:
        raise NotPermitted(f"expected a chain of 1 to {_LONGEST_CHAIN} certificates, got {len(chain)}")
    try:
        found = [x509.load_der_x509_certificate(each) for each in chain]
        for each in found:
            examine(each)
    except UNREADABLE:
        raise NotPermitted("the certificate cannot be read") from None
    return found


def _out_of_time(certificate: x509.Certificate, now: datetime) -> str | None:
    if now < certificate.not_valid_before_utc:
        return f"is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M:%S} UTC"
    if now > certificate.not_valid_after_utc:
        return f"has expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC"
    return None


def _verifier(roots: Iterable[Root], now: datetime) -> verification.ClientVerifier:
    """Return what checks a chain for mutual TLS: any authority that may sign, a leaf that may be a client."""
    at_least_signs = verification.ExtensionPolicy.permit_all().require_present(
        x509.BasicConstraints, verification.Criticality.AGNOSTIC, _is_authority
    )
    is_client = verification.ExtensionPolicy.permit_all().require_present(
        x509.ExtendedKeyUsage, verification.Criticality.AGNOSTIC, _is_client
    )
    return (
        verification.PolicyBuilder()
        .store(verification.Store([root.certificate for root in roots]))
        .time(now)
        .extension_policies(ca_policy=at_least_signs, ee_policy=is_client)
        .build_client_verifier()
    )


def _is_authority(_: verification.Policy, __: x509.Certificate, found: x509.BasicConstraints) -> None:
    if not found.ca:
        raise ValueError("signed by a certificate that is no authority")


def _is_client(_: verification.Policy, __: x509.Certificate, found: x509.ExtendedKeyUsage) -> None:
    if ExtendedKeyUsageOID.CLIENT_AUTH not in found:
        raise ValueError("not made for clients")
