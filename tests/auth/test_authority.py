"""What the authority signs, for how long, and what it refuses."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from lateen.auth import authority, keys, requests
from lateen.auth.attestation import Attested
from lateen.auth.authority import Lifetimes
from lateen.auth.keys import KeyKind
from lateen.errors import LateenError, NotPermitted, ProtocolError, Unavailable
from lateen.names import Identity
from tests.auth.authorities import CONTROL_PLANE, KEY, NOW, RATINGS, REVIEWS, certify, own

ROOT = own()


def leaf_of(attested: Attested = REVIEWS, **how: Any) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certify(ROOT, attested, **how).chain[0].encode())


def sans(certificate: x509.Certificate) -> tuple[list[str], list[str], int]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return uris, names.get_values_for_type(x509.DNSName), len(list(names))


def test_a_leaf_says_who_and_nothing_else() -> None:
    leaf = leaf_of()
    assert sans(leaf) == (
        ["spiffe://cluster.local/ns/default/sa/bookinfo-reviews"],
        [
            "reviews-v1-5f7-abcde.x--a.reviews.x--v.v1.x--s.reviews.x--r.v1.x--i.reviews-v1-5f7-abcde"
            ".peer.lateen.internal",
            "reviews-v1-5f7-abcde.default.pod.lateen.internal",
        ],
        3,
    )
    assert leaf.subject == x509.Name([])
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.digital_signature, usage.value.key_encipherment) == (True, True)
    assert not usage.value.key_cert_sign
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }
    leaf.verify_directly_issued_by(ROOT.certificate)


def test_a_server_has_its_hosts_and_no_workload() -> None:
    uris, dns_names, _ = sans(leaf_of(CONTROL_PLANE))
    assert (uris, dns_names) == (
        ["spiffe://cluster.local/ns/istio-system/sa/istiod"],
        ["istiod.istio-system.svc"],
    )


def test_what_was_issued_is_told() -> None:
    certificate = certify(ROOT)
    issued = certificate.issued
    assert (issued.identity, issued.workload) == (REVIEWS.identity, "reviews-v1-5f7-abcde.default")
    assert issued.signer == ROOT.fingerprint
    assert certificate.root == certificate.chain[-1]
    assert certificate.leaf_and_intermediates == certificate.chain[0]


def test_a_root_lives_ten_years_and_cannot_have_authorities_below() -> None:
    root = ROOT.certificate
    assert root.not_valid_after_utc - NOW == timedelta(days=3650)
    assert root.not_valid_before_utc < NOW
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)


LIFETIMES = {
    "none": (None, timedelta(hours=24)),
    "zero, as clients write it that want the default": (timedelta(0), timedelta(hours=24)),
    "negative": (timedelta(hours=-1), timedelta(hours=24)),
    "five seconds": (timedelta(seconds=5), timedelta(seconds=5)),
    "less than can be": (timedelta(milliseconds=1), timedelta(seconds=1)),
    "a month": (timedelta(days=30), timedelta(days=30)),
    "more than is allowed": (timedelta(days=365), timedelta(days=90)),
    "more than a clock can count": (timedelta(days=99999), timedelta(days=90)),
}


@pytest.mark.parametrize(("wanted", "given_"), LIFETIMES.values(), ids=LIFETIMES.keys())
def test_a_lifetime_is_capped(wanted: timedelta | None, given_: timedelta) -> None:
    issued = certify(ROOT, lifetime=wanted).issued
    assert issued.not_after - NOW == given_
    backdated = NOW - issued.not_before
    assert timedelta(0) <= backdated <= min(timedelta(minutes=2), given_ / 10 + timedelta(seconds=1))


def test_a_certificate_does_not_outlive_its_signer() -> None:
    short = authority.self_signed("cluster.local", KEY, NOW, 1, timedelta(hours=1))
    assert certify(short).issued.not_after == short.not_after
    with pytest.raises(Unavailable, match=r"valid from .* only: rotate it with `lateen ca rotate`"):
        certify(short, now=NOW + timedelta(hours=1))


def test_a_certificate_is_not_older_than_its_signer() -> None:
    new = authority.self_signed("cluster.local", KEY, NOW, 1, backdate=timedelta(0))
    assert certify(new).issued.not_before == NOW
    with pytest.raises(Unavailable):
        certify(new, now=NOW - timedelta(seconds=1))


@pytest.mark.parametrize("kind", KeyKind)
def test_every_kind_of_key_can_be_root_and_leaf(kind: KeyKind) -> None:
    key = keys.make_key(kind)
    root = authority.self_signed("cluster.local", key, NOW, 1)
    leaf = x509.load_pem_x509_certificate(certify(root, key=key).chain[0].encode())
    leaf.verify_directly_issued_by(root.certificate)
    assert keys.read_key(keys.key_pem(key)).public_key() == key.public_key()


def test_keys_are_not_in_what_is_printed() -> None:
    assert "key=" not in repr(ROOT)


def request_for(*names: x509.GeneralName, key: Any = KEY, ca: bool = False) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "admin")])
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    hash_ = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, hash_).public_bytes(Encoding.PEM)


def sign(csr: bytes) -> x509.Certificate:
    certificate = authority.sign(ROOT, requests.read_request(csr), REVIEWS, NOW, 1)
    return x509.load_pem_x509_certificate(certificate.chain[0].encode())


URI, DNS = x509.UniformResourceIdentifier, x509.DNSName
OWN_URI = URI(str(REVIEWS.identity))

REFUSALS: dict[str, tuple[tuple[x509.GeneralName, ...], str]] = {
    "another account": (
        (URI(str(RATINGS.identity)),),
        "spiffe://cluster.local/ns/default/sa/bookinfo-reviews asks for a certificate of"
        " spiffe://cluster.local/ns/default/sa/bookinfo-ratings; it may have its own only",
    ),
    "another trust domain": ((URI("spiffe://other/ns/default/sa/bookinfo-reviews"),), "it may have its own only"),
    "its own and another": ((OWN_URI, URI(str(RATINGS.identity))), "asks for a certificate of spiffe://cluster"),
    "a web page": ((OWN_URI, URI("https://example.com/")), "asks for a certificate of https://example.com/"),
    "another workload": (
        (OWN_URI, DNS("ratings-v1-77c-fghij.default.pod.lateen.internal")),
        "asks for the DNS name ratings-v1-77c-fghij.default.pod.lateen.internal, which is not its own; leave it out",
    ),
    "every host": ((DNS("*"),), "asks for the DNS name *, which is not its own"),
    "a mail address": ((x509.RFC822Name("root@example.com"),), "asks for the name root@example.com; leave it out"),
    "an object id": ((x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),), "asks for the name"),
}


@pytest.mark.parametrize(("names", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_request_for_other_names_is_refused(names: tuple[x509.GeneralName, ...], message: str) -> None:
    with pytest.raises(NotPermitted) as refused:
        sign(request_for(*names))
    assert message in str(refused.value)


def test_a_request_to_be_an_authority_is_refused() -> None:
    with pytest.raises(NotPermitted, match="asks for an authority's certificate; leave basic constraints out"):
        sign(request_for(OWN_URI, ca=True))


@pytest.mark.parametrize("names", [(), (OWN_URI,), (OWN_URI, DNS(REVIEWS.dns_names[0]))])
def test_a_request_for_less_gets_the_same_and_its_subject_is_dropped(names: tuple[x509.GeneralName, ...]) -> None:
    leaf = sign(request_for(*names))
    assert sans(leaf) == sans(leaf_of())
    assert leaf.subject == x509.Name([])


WEAK: dict[str, tuple[Any, str]] = {
    "rsa 1024": (rsa.generate_private_key(65537, 1024), "RSA of 1024 bits; use ECDSA P-256"),
    "rsa with exponent 3": (rsa.generate_private_key(3, 2048), "RSA with the exponent 3; use 65537"),
    "secp256k1": (ec.generate_private_key(ec.SECP256K1()), "on the curve secp256k1; use ECDSA P-256"),
    "secp224r1": (ec.generate_private_key(ec.SECP224R1()), "on the curve secp224r1"),
    "secp521r1": (ec.generate_private_key(ec.SECP521R1()), "on the curve secp521r1"),
    "ed25519": (ed25519.Ed25519PrivateKey.generate(), "neither ECDSA nor RSA; use"),
}


@pytest.mark.parametrize(("key", "message"), WEAK.values(), ids=WEAK.keys())
def test_a_weak_key_is_refused(key: Any, message: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        requests.read_request(request_for(OWN_URI, key=key))
    assert str(refused.value).startswith(f"the key of the certificate request is {message}")


def test_a_request_for_somebody_elses_key_is_refused() -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    ours = x509.load_pem_x509_csr(request_for(key=ec.generate_private_key(ec.SECP256R1())))
    theirs = x509.load_pem_x509_csr(request_for(key=ec.generate_private_key(ec.SECP256R1())))
    point = Encoding.X962
    from cryptography.hazmat.primitives.serialization import PublicFormat

    swapped = ours.public_bytes(Encoding.DER).replace(
        ours.public_key().public_bytes(point, PublicFormat.UncompressedPoint),
        theirs.public_key().public_bytes(point, PublicFormat.UncompressedPoint),
    )
    with pytest.raises(ProtocolError, match="not signed with its own key"):
        requests.read_request(pem(swapped))


def pem(der: bytes) -> bytes:
    import base64

    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE REQUEST-----\n"


@pytest.mark.parametrize("garbage", [b"", b"x", b"\xff" * 100, pem(b""), pem(b"\x30\x00"), KEY and keys.key_pem(KEY)])
def test_garbage_is_no_request(garbage: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"this is no certificate request: send PKCS #10 in PEM"):
        requests.read_request(garbage)


def test_a_huge_request_is_not_even_read() -> None:
    with pytest.raises(ProtocolError, match="at most 65536 are read"):
        requests.read_request(b"x" * 65537)


def good_der() -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return x509.load_pem_x509_csr(request_for(OWN_URI, DNS("a.example"), ca=True)).public_bytes(Encoding.DER)


GOOD_DER = good_der()


@given(st.binary(max_size=300))
def test_random_bytes_never_crash(content: bytes) -> None:
    for each in (content, pem(content)):
        with pytest.raises(ProtocolError):
            requests.read_request(each)


@given(st.lists(st.tuples(st.integers(0, len(GOOD_DER) - 1), st.integers(0, 255)), max_size=4), st.booleans())
def test_a_damaged_request_never_crashes_nor_gets_other_names(damage: list[tuple[int, int]], cut: bool) -> None:
    content = bytearray(GOOD_DER)
    for place, value in damage:
        content[place] = value
    try:
        leaf = sign(pem(bytes(content[: len(content) - 5] if cut else content)))
    except LateenError:
        return
    assert sans(leaf) == sans(leaf_of())


LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?", fullmatch=True)
ANYTHING = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@given(LABEL, LABEL, LABEL, LABEL, ANYTHING, ANYTHING, st.sets(LABEL, max_size=3))
def test_a_certificate_has_exactly_the_attested_names(
    domain: str, namespace: str, account: str, workload: str, app: str, version: str, asked: set[str]
) -> None:
    attested = Attested(Identity(domain, namespace, account), workload, app, version)
    try:
        request = requests.read_request(request_for(*(DNS(each) for each in sorted(asked))))
        leaf = authority.sign(ROOT, request, attested, NOW, 1, limits=Lifetimes())
    except NotPermitted:
        assert asked - set(attested.dns_names)
        return
    uris, dns_names, total = sans(x509.load_pem_x509_certificate(leaf.chain[0].encode()))
    assert (uris, tuple(dns_names), total) == ([str(attested.identity)], attested.dns_names, 3)


@pytest.mark.parametrize(
    "names",
    [
        {"identity": Identity("a b", "default", "x")},
        {"identity": Identity("cluster.local", "default/sa/admin", "x")},
        {"identity": Identity("cluster.local", "", "x")},
        {"workload": "*"},
        {"workload": "Reviews"},
        {"workload": "a\0b"},
        {"hosts": ("",)},
        {"hosts": ("exämple.com",)},
    ],
)
def test_names_that_no_certificate_can_carry_cannot_be_attested(names: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        Attested(**{"identity": REVIEWS.identity, **names})
