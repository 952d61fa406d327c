"""The certificate authority: makes its own root, and signs certificates that say what was attested and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lateen.auth import keys, trust
from lateen.auth.attestation import Attested
from lateen.auth.certificate import Certificate, Issued
from lateen.auth.keys import Key
from lateen.auth.requests import CertificateRequest
from lateen.errors import NotPermitted, Unavailable

ROOT_LIFETIME: Final = timedelta(days=3650)
_BACKDATE: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long certificates live. `backdate` lets clocks differ; short-lived ones are backdated by a tenth only."""

    default: timedelta = timedelta(hours=24)
    shortest: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(days=90)
    backdate: timedelta = _BACKDATE


LIFETIMES: Final = Lifetimes()


@dataclass(frozen=True, slots=True)
class Authority:
    """A key that signs, its certificate, the intermediates from there up, and the root that they lead to.

    `roots` begins with that root; further ones are trusted besides.
    """

    key: Key = field(repr=False, compare=False)
    certificate: x509.Certificate
    intermediates: tuple[x509.Certificate, ...] = ()
    roots: tuple[x509.Certificate, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the signing certificate, in hex."""
        return trust.fingerprint(self.certificate)

    @property
    def root(self) -> x509.Certificate:
        """The root at the end of its chain."""
        return self.roots[0]

    @property
    def above_leaf(self) -> tuple[x509.Certificate, ...]:
        """What follows a leaf in a chain: the signing certificate first, the root last, none twice."""
        is_root = self.certificate == self.root
        return (self.root,) if is_root else (self.certificate, *self.intermediates, self.root)

    @property
    def not_before(self) -> datetime:
        """When the last certificate of the chain has become valid."""
        return max(each.not_valid_before_utc for each in self.above_leaf)

    @property
    def not_after(self) -> datetime:
        """When the first certificate of the chain expires: nothing that it signs lives longer."""
        return min(each.not_valid_after_utc for each in self.above_leaf)


def self_signed(
    trust_domain: str,
    key: Key,
    now: datetime,
    serial: int,
    lifetime: timedelta = ROOT_LIFETIME,
    backdate: timedelta = _BACKDATE,
) -> Authority:
    """Make a root that signs leaves itself. Two roots of a trust domain differ in name: chains are told apart."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Lateen root {serial & 0xFFFF_FFFF:08x}"),
        ]
    )
    public_key = key.public_key()
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=public_key, serial_number=serial)
        .not_valid_before(_whole_seconds(now - backdate))
        .not_valid_after(_whole_seconds(now + lifetime))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(key, keys.digest_for(key))
    )
    return Authority(key, certificate, (), (certificate,))


def sign(
    authority: Authority,
    request: CertificateRequest,
    attested: Attested,
    now: datetime,
    serial: int,
    lifetime: timedelta | None = None,
    limits: Lifetimes = LIFETIMES,
) -> Certificate:
    """Certify the request's key for who was attested; without a `lifetime` (or of zero) for the default one.

    It ends no later than `limits` and the authority's own chain allow. Raises `NotPermitted` when the request asks
    for other names than the attested ones, `Unavailable` when the authority itself is out of time.
    """
    refuse_foreign_names(request, attested)
    not_before, not_after = _validity(authority, now, lifetime, limits)
    leaf = (
        x509.CertificateBuilder(
            issuer_name=authority.certificate.subject,
            subject_name=x509.Name([]),
            public_key=request.public_key,
            serial_number=serial,
        )
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(_alternative_names(attested), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True, key_encipherment=True), critical=True)
        .add_extension(_BOTH_SIDES, critical=False)
        .add_extension(_authority_key(authority.certificate), critical=False)
        .sign(authority.key, keys.digest_for(authority.key))
    )
    issued = Issued(
        serial, attested.identity, attested.subject, not_before, not_after, trust.fingerprint(authority.certificate)
    )
    return Certificate(tuple(map(trust.certificate_pem, (leaf, *authority.above_leaf))), issued)


def refuse_foreign_names(request: CertificateRequest, attested: Attested) -> None:
    """Raise `NotPermitted` if the request asks for anything that was not attested; asking for nothing is fine."""
    who = str(attested.identity)
    if foreign := [uri for uri in request.uris if uri != who]:
        raise NotPermitted(f"{who} asks for a certificate of {_listed(foreign)}; it may have its own only")
    if foreign := [name for name in request.dns_names if name not in attested.dns_names]:
        raise NotPermitted(f"{who} asks for the DNS name {_listed(foreign)}, which is not its own; leave it out")
    if request.other_names:
        raise NotPermitted(f"{who} asks for the name {_listed(request.other_names)}; leave it out")
    if request.asks_for_authority:
        raise NotPermitted(f"{who} asks for an authority's certificate; leave basic constraints out")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name if name.isprintable() else repr(name) for name in names)


def _validity(
    authority: Authority, now: datetime, lifetime: timedelta | None, limits: Lifetimes
) -> tuple[datetime, datetime]:
    if not authority.not_before <= now < authority.not_after:
        raise Unavailable(
            f"the certificate authority is valid from {authority.not_before:%Y-%m-%d %H:%M:%S} to"
            f" {authority.not_after:%Y-%m-%d %H:%M:%S} UTC only: rotate it with `lateen ca rotate`"
        )
    wanted = lifetime if lifetime and lifetime > timedelta(0) else limits.default
    wanted = min(max(wanted, limits.shortest), limits.longest)
    begin = max(now - min(limits.backdate, wanted / 10), authority.not_before)
    return _whole_seconds(begin), _whole_seconds(min(now + wanted, authority.not_after))


def _whole_seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _alternative_names(attested: Attested) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(str(attested.identity))]
    return x509.SubjectAlternativeName([*names, *map(x509.DNSName, attested.dns_names)])


_BOTH_SIDES: Final = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


def _authority_key(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        public_key = certificate.public_key()
        assert isinstance(public_key, keys.PublicKey)
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _key_usage(**used: bool) -> x509.KeyUsage:
    unused = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**{**unused, **used})
