"""Authorities, clocks and stores for tests: everything that a test may want to turn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lateen.auth import authority, keys, requests, trust
from lateen.auth.attestation import Attested, Attestor, LocalAttestor
from lateen.auth.authority import Authority, Lifetimes
from lateen.auth.certificate import Certificate, Issued
from lateen.auth.issuer import Issuer
from lateen.auth.keys import Key
from lateen.auth.ledger import Ledger
from lateen.auth.plugged_in import AuthorityFiles
from lateen.auth.ports import StoredRotation
from lateen.auth.rotation import Rotation
from lateen.auth.tokens import TokenClaims
from lateen.auth.trust import TrustDomain
from lateen.names import Identity

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = keys.make_key()
"""A workload's key; tests that tell keys apart make their own."""

REVIEWS = Attested(Identity("cluster.local", "default", "bookinfo-reviews"), "reviews-v1-5f7-abcde", "reviews", "v1")
RATINGS = Attested(Identity("cluster.local", "default", "bookinfo-ratings"), "ratings-v1-77c-fghij", "ratings", "v1")
CONTROL_PLANE = Attested(Identity("cluster.local", "istio-system", "istiod"), hosts=("istiod.istio-system.svc",))


def own(trust_domain: str = "cluster.local", now: datetime = NOW, serial: int = 7) -> Authority:
    """Make a self-signed authority."""
    return authority.self_signed(trust_domain, keys.make_key(), now, serial)


def certify(
    by: Authority,
    attested: Attested = REVIEWS,
    *,
    key: Key = KEY,
    now: datetime = NOW,
    lifetime: timedelta | None = None,
    limits: Lifetimes = authority.LIFETIMES,
) -> Certificate:
    """Sign a certificate as the authority does."""
    request = requests.read_request(requests.certificate_request(key, attested.identity))
    return authority.sign(by, request, attested, now, x509.random_serial_number(), lifetime, limits)


def ders(certificate: Certificate) -> tuple[bytes, ...]:
    """What a peer shows of its certificate."""
    return tuple(trust_der(pem) for pem in certificate.chain[:-1])


def trust_der(pem: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)


@dataclass
class Clock:
    """A clock that moves when it is told to."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Memory:
    """Every store of an authority, in memory; what it holds survives the authority."""

    rotation: StoredRotation | None = None
    issued: list[Issued] = field(default_factory=list)
    spent: dict[str, datetime] = field(default_factory=dict)
    minted: list[TokenClaims] = field(default_factory=list)

    def load_rotation(self) -> StoredRotation | None:
        return self.rotation

    def save_rotation(self, stored: StoredRotation) -> None:
        self.rotation = stored

    def load_issued(self) -> Sequence[Issued]:
        return list(self.issued)

    def add_issued(self, issued: Issued) -> None:
        self.issued.append(issued)

    def replace_issued(self, issued: Iterable[Issued]) -> None:
        self.issued = list(issued)

    def add_minted(self, claims: TokenClaims, now: datetime) -> None:
        self.minted.append(claims)

    def load_spent(self) -> Sequence[tuple[str, datetime]]:
        return list(self.spent.items())

    def add_spent(self, token_id: str, until: datetime) -> None:
        self.spent[token_id] = until

    def replace_spent(self, spent: Iterable[tuple[str, datetime]]) -> None:
        self.spent = dict(spent)


def issuer(
    memory: Memory | None = None,
    clock: Clock | None = None,
    attestors: Sequence[Attestor] | None = None,
    rotation: Rotation | None = None,
) -> Issuer:
    """Make an authority that runs, and believes that this machine has started reviews and ratings."""
    memory = memory or Memory()
    serials = count(1000)
    found = Issuer(
        rotation or Rotation(TrustDomain(), own()), memory, Ledger(memory), clock or Clock(), lambda: next(serials)
    )
    started = {each.subject: each for each in (REVIEWS, RATINGS)}
    found.believe((LocalAttestor(started.get),) if attestors is None else attestors)
    return found


@dataclass
class Certified:
    """A certificate made by hand, right or wrong, with its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return trust.certificate_pem(self.certificate).encode()


def by_hand(
    name: str,
    issuer: Certified | None = None,
    *,
    ca: bool | None = True,
    path_length: int | None = None,
    may_sign: bool = True,
    begin: timedelta = timedelta(days=-1),
    end: timedelta = timedelta(days=365),
    key: Key | None = None,
) -> Certified:
    """Make a certificate for an authority as a user might, with any mistake that he might make."""
    key = key or keys.make_key()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + begin)
        .not_valid_after(NOW + end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority._key_usage(key_cert_sign=may_sign, digital_signature=True), critical=True)
    )
    if ca is not None:
        constraints = x509.BasicConstraints(ca=ca, path_length=path_length if ca else None)
        builder = builder.add_extension(constraints, critical=True)
    return Certified(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def files(signer: Certified, *above: Certified, root: Certified, key: Key | None = None) -> AuthorityFiles:
    """Write an authority of the user's own as he would."""
    return AuthorityFiles(signer.pem, keys.key_pem(key or signer.key), root.pem, b"".join(each.pem for each in above))
