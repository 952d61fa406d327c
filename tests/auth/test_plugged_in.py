"""An authority of the user's own: what is taken, and what is said about each way to get it wrong."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from lateen.auth import keys, trust
from lateen.auth.plugged_in import AuthorityFiles, plugged_in
from lateen.errors import ConfigRejected
from tests.auth.authorities import NOW, Certified, by_hand, certify, ders, files

ROOT = by_hand("root")
UPPER = by_hand("upper", ROOT)
LOWER = by_hand("lower", UPPER, path_length=0)
STRANGER = by_hand("stranger")


def named(*certificates: x509.Certificate) -> list[str]:
    return [each.subject.rfc4514_string() for each in certificates]


CHAINS = {
    "a root alone": (files(ROOT, root=ROOT), ["CN=root"]),
    "a root, named in the chain too": (files(ROOT, ROOT, root=ROOT), ["CN=root"]),
    "an intermediate without a chain file": (files(UPPER, root=ROOT), ["CN=upper", "CN=root"]),
    "two intermediates": (files(LOWER, UPPER, root=ROOT), ["CN=lower", "CN=upper", "CN=root"]),
    "a chain as Istio's tools write it": (
        files(LOWER, LOWER, UPPER, ROOT, root=ROOT),
        ["CN=lower", "CN=upper", "CN=root"],
    ),
    "a chain in another order": (files(LOWER, ROOT, UPPER, LOWER, root=ROOT), ["CN=lower", "CN=upper", "CN=root"]),
}


@pytest.mark.parametrize(("given_", "chain"), CHAINS.values(), ids=CHAINS.keys())
def test_a_good_chain_is_taken_and_signs(given_: AuthorityFiles, chain: list[str]) -> None:
    authority = plugged_in(given_, NOW)
    assert named(*authority.above_leaf) == chain
    certificate = certify(authority)
    assert named(*(x509.load_pem_x509_certificate(pem.encode()) for pem in certificate.chain[1:])) == chain
    bundle = trust.bundle("cluster.local", [trust.Root("cluster.local", certificate.root)])
    assert trust.verify_peer(ders(certificate), bundle, NOW)


def test_further_roots_are_trusted_besides() -> None:
    authority = plugged_in(AuthorityFiles(UPPER.pem, keys.key_pem(UPPER.key), STRANGER.pem + ROOT.pem), NOW)
    assert named(*authority.roots) == ["CN=root", "CN=stranger"]


def old(name: str, issuer: Certified | None = None) -> Certified:
    return by_hand(name, issuer, begin=timedelta(days=-9), end=timedelta(days=-2))


OLD_ROOT = old("old root")
EARLY = by_hand("early", ROOT, begin=timedelta(days=1))
TIGHT = by_hand("tight", ROOT, path_length=0)
WEAK_KEY = rsa.generate_private_key(65537, 1024)


def with_key(pem: bytes) -> AuthorityFiles:
    return AuthorityFiles(UPPER.pem, pem, ROOT.pem)


ED25519 = ed25519.Ed25519PrivateKey.generate().private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
ENCRYPTED = UPPER.key.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.BestAvailableEncryption(b"secret"),
)
ODD_CURVE = keys.key_pem(ec.generate_private_key(ec.SECP521R1()))

WRONG: dict[str, tuple[AuthorityFiles, list[str]]] = {
    "the key of another certificate": (
        files(UPPER, root=ROOT, key=STRANGER.key),
        ["ca-key.pem is not the key of ca-cert.pem"],
    ),
    "no key": (with_key(b"nothing"), ["ca-key.pem: this is no private key in PEM"]),
    "a certificate for a key": (with_key(UPPER.pem), ["ca-key.pem: this is no private key in PEM"]),
    "an encrypted key": (
        with_key(ENCRYPTED),
        ["ca-key.pem: the private key is encrypted; write it without a passphrase"],
    ),
    "a key that proxies cannot use": (
        with_key(ED25519),
        [
            "ca-key.pem: the private key is of a kind that proxies cannot use;"
            " use ECDSA P-256 or P-384, or RSA of 2048 to 8192 bits"
        ],
    ),
    "an odd curve": (
        with_key(ODD_CURVE),
        [
            "ca-key.pem: the private key is on the curve secp521r1;"
            " use ECDSA P-256 or P-384, or RSA of 2048 to 8192 bits"
        ],
    ),
    "a weak key": (
        with_key(keys.key_pem(WEAK_KEY)),
        ["ca-key.pem: the private key is RSA of 1024 bits; use ECDSA P-256 or P-384, or RSA of 2048 to 8192 bits"],
    ),
    "everything empty": (
        AuthorityFiles(b"", b"", b""),
        [
            "ca-cert.pem holds no certificates in PEM",
            "root-cert.pem holds no certificates in PEM",
            "ca-key.pem: this is no private key in PEM",
        ],
    ),
    "a chain of something else": (
        AuthorityFiles(UPPER.pem, keys.key_pem(UPPER.key), ROOT.pem, b"hello"),
        ["cert-chain.pem holds no certificates in PEM"],
    ),
    "the whole chain in the first file": (
        AuthorityFiles(LOWER.pem + UPPER.pem, keys.key_pem(LOWER.key), ROOT.pem),
        ["ca-cert.pem holds 2 certificates; write those above the first in cert-chain.pem"],
    ),
    "a missing intermediate": (
        files(LOWER, root=ROOT),
        ["'CN=lower' is signed by 'CN=upper', whose certificate is neither in cert-chain.pem nor in root-cert.pem"],
    ),
    "another root": (
        files(UPPER, root=STRANGER),
        ["'CN=upper' is signed by 'CN=root', whose certificate is neither in cert-chain.pem nor in root-cert.pem"],
    ),
    "a root in the place of the authority": (
        files(ROOT, root=STRANGER),
        ["root-cert.pem does not hold the root 'CN=root', to which the chain leads"],
    ),
    "a root of the same name with another key": (
        files(UPPER, root=by_hand("root")),
        ["'CN=upper' is signed by 'CN=root', whose certificate is neither in cert-chain.pem nor in root-cert.pem"],
    ),
    "an intermediate for a root": (
        files(LOWER, root=UPPER),
        ["root-cert.pem: 'CN=upper' is not self-signed; write the root there"],
    ),
    "something that is no part of the chain": (
        files(LOWER, UPPER, STRANGER, root=ROOT),
        ["cert-chain.pem: 'CN=stranger' is no part of the chain; leave it out"],
    ),
    "a leaf that signs": (
        files(by_hand("leaf", ROOT, ca=False), root=ROOT),
        ["'CN=leaf' is no authority: it needs the basic constraint CA:TRUE, and says CA:FALSE"],
    ),
    "no constraints": (
        files(by_hand("plain", ROOT, ca=None), root=ROOT),
        ["'CN=plain' is no authority: it needs the basic constraint CA:TRUE"],
    ),
    "an authority that may not sign certificates": (
        files(by_hand("mute", ROOT, may_sign=False), root=ROOT),
        ["'CN=mute' may not sign certificates: its key usage lacks keyCertSign"],
    ),
    "a path that is too long": (
        files(by_hand("below", TIGHT), TIGHT, root=ROOT),
        ["'CN=tight' allows 0 authorities below it and there are 1: its path length is too short"],
    ),
    "expired": (files(old("late", ROOT), root=ROOT), ["'CN=late' has expired on 2026-02-27 12:00:00 UTC"]),
    "an expired root": (
        files(by_hand("fresh", OLD_ROOT), root=OLD_ROOT),
        ["'CN=old root' has expired on 2026-02-27 12:00:00 UTC"],
    ),
    "not valid yet": (files(EARLY, root=ROOT), ["'CN=early' is not valid before 2026-03-02 12:00:00 UTC"]),
    "two things at once": (
        files(old("late", ROOT), root=ROOT, key=STRANGER.key),
        ["ca-key.pem is not the key of ca-cert.pem", "'CN=late' has expired on 2026-02-27 12:00:00 UTC"],
    ),
}


@pytest.mark.parametrize(("given_", "faults"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_one_is_refused_with_every_fault(given_: AuthorityFiles, faults: list[str]) -> None:
    with pytest.raises(ConfigRejected) as refused:
        plugged_in(given_, NOW)
    assert list(refused.value.violations) == faults
    assert str(refused.value) == f"the plugged-in certificate authority is not usable: {'; '.join(faults)}"


GOOD = files(LOWER, UPPER, root=ROOT)


@given(st.integers(0, 3), st.integers(0, 2000), st.binary(min_size=1, max_size=4))
def test_damaged_files_never_crash(which: int, place: int, damage: bytes) -> None:
    contents = [GOOD.ca_cert, GOOD.ca_key, GOOD.root_cert, GOOD.cert_chain]
    contents[which] = contents[which][:place] + damage + contents[which][place + len(damage) :]
    try:
        plugged_in(AuthorityFiles(*contents), NOW)
    except ConfigRejected as refused:
        assert refused.violations
