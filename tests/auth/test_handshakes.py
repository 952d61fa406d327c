"""Issued certificates in real TLS handshakes and before `openssl verify`: others agree on who is believed."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lateen.auth import authority, keys, trust
from lateen.auth.attestation import Attested
from lateen.auth.authority import Authority
from lateen.auth.certificate import Certificate
from lateen.auth.keys import Key, KeyKind
from lateen.auth.plugged_in import plugged_in
from lateen.names import Identity
from tests.auth.authorities import CONTROL_PLANE, NOW, RATINGS, REVIEWS, by_hand, certify, files, own

TODAY = datetime.now(UTC)
HOST = CONTROL_PLANE.hosts[0]


@dataclass
class Holder:
    """A certificate with its key, as files that TLS libraries read."""

    folder: Path
    certificate: Certificate
    key: Key

    @property
    def file(self) -> Path:
        file = self.folder / f"{self.certificate.issued.serial}.pem"
        file.write_bytes(keys.key_pem(self.key) + self.certificate.leaf_and_intermediates.encode())
        return file


def holder(
    folder: Path,
    by: Authority,
    attested: Attested,
    now: datetime = TODAY,
    lifetime: timedelta | None = None,
    kind: KeyKind = KeyKind.EC_P256,
) -> Holder:
    key = keys.make_key(kind)
    return Holder(folder, certify(by, attested, key=key, now=now, lifetime=lifetime), key)


def shake_hands(client: Holder, server: Holder, roots: str, host: str = HOST) -> tuple[str, str]:
    """Let two ends shake hands in memory, both verifying; return the URI names that each saw of the other."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.verify_mode = ssl.CERT_REQUIRED
    for context, own_ in ((client_context, client), (server_context, server)):
        context.load_verify_locations(cadata=roots)
        context.load_cert_chain(own_.file)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client_context.wrap_bio(to_client, to_server, server_hostname=host),
        server_context.wrap_bio(to_server, to_client, server_side=True),
    )
    done = [False, False]
    while not all(done):
        for place, end in enumerate(ends):
            try:
                end.do_handshake()
                done[place] = True
            except ssl.SSLWantReadError:
                pass
    return uri(ends[0].getpeercert()), uri(ends[1].getpeercert())


def uri(peer: object) -> str:
    return next(value for kind, value in peer["subjectAltName"] if kind == "URI")  # type: ignore[index]


@pytest.mark.parametrize("kind", [KeyKind.EC_P256, KeyKind.EC_P384, KeyKind.RSA_2048])
def test_both_ends_see_who_the_other_is(tmp_path: Path, kind: KeyKind) -> None:
    root = authority.self_signed("cluster.local", keys.make_key(kind), TODAY, 7)
    client, server = (holder(tmp_path, root, each, kind=kind) for each in (REVIEWS, CONTROL_PLANE))
    assert shake_hands(client, server, trust.certificate_pem(root.root)) == (
        str(CONTROL_PLANE.identity),
        str(REVIEWS.identity),
    )


def test_a_chain_with_intermediates_is_sent_whole(tmp_path: Path) -> None:
    root = by_hand("root", begin=timedelta(0), end=timedelta(days=9999))
    upper = by_hand("upper", root, begin=timedelta(0), end=timedelta(days=9999))
    lower = by_hand("lower", upper, begin=timedelta(0), end=timedelta(days=9999), path_length=0)
    plugged = plugged_in(files(lower, upper, root=root), NOW)
    client, server = (holder(tmp_path, plugged, each) for each in (REVIEWS, CONTROL_PLANE))
    assert shake_hands(client, server, root.pem.decode())


def test_in_the_middle_of_a_rotation_old_and_new_shake_hands(tmp_path: Path) -> None:
    old, new = own(now=TODAY, serial=1), own(now=TODAY, serial=2)
    both = trust.certificate_pem(old.root) + trust.certificate_pem(new.root)
    ends = {by.fingerprint: (holder(tmp_path, by, REVIEWS), holder(tmp_path, by, CONTROL_PLANE)) for by in (old, new)}
    for client, _ in ends.values():
        for _, server in ends.values():
            assert shake_hands(client, server, both)


AGO, AHEAD = TODAY - timedelta(days=40), TODAY + timedelta(days=1)
OURS = own(now=TODAY - timedelta(days=90))
ROOTS = trust.certificate_pem(OURS.root)

REFUSED = {
    "expired": ({"now": AGO}, "certificate has expired"),
    "not valid yet": ({"now": AHEAD}, "certificate is not yet valid"),
    "of another root": ({"by": own(now=TODAY)}, "unable to get local issuer certificate"),
    "of another trust domain": (
        {
            "by": own("other.example", TODAY),
            "attested": Attested(Identity("other.example", "istio-system", "istiod"), hosts=CONTROL_PLANE.hosts),
        },
        "unable to get local issuer certificate",
    ),
    "of another name": ({"attested": REVIEWS}, "Hostname mismatch"),
}


@pytest.mark.parametrize(("how", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_server_that_is_wrong_is_refused(tmp_path: Path, how: dict[str, object], reason: str) -> None:
    server = holder(tmp_path, **{"by": OURS, "attested": CONTROL_PLANE, **how})  # type: ignore[arg-type]
    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        shake_hands(holder(tmp_path, OURS, REVIEWS), server, ROOTS)


@pytest.mark.parametrize(("how", "reason"), list(REFUSED.values())[:4], ids=list(REFUSED)[:4])
def test_a_client_that_is_wrong_is_refused(tmp_path: Path, how: dict[str, object], reason: str) -> None:
    client = holder(tmp_path, **{"by": OURS, "attested": REVIEWS, **how})  # type: ignore[arg-type]
    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        shake_hands(client, holder(tmp_path, OURS, CONTROL_PLANE), ROOTS)


def test_a_leaf_cannot_sign(tmp_path: Path) -> None:
    """A workload that uses its certificate as an authority is not believed."""
    mallory = holder(tmp_path, OURS, REVIEWS)
    leaf = trust.x509.load_pem_x509_certificate(mallory.certificate.chain[0].encode())
    forged = holder(tmp_path, Authority(mallory.key, leaf, (), (leaf,)), CONTROL_PLANE, TODAY + timedelta(seconds=1))
    forged.certificate = Certificate(
        (forged.certificate.chain[0], mallory.certificate.chain[0], ""), forged.certificate.issued
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(holder(tmp_path, OURS, RATINGS), forged, ROOTS)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")
@pytest.mark.parametrize("kind", [KeyKind.EC_P256, KeyKind.RSA_2048])
def test_openssl_agrees(tmp_path: Path, kind: KeyKind) -> None:
    root = authority.self_signed("cluster.local", keys.make_key(kind), TODAY, 7)
    certificate = certify(root, REVIEWS, now=TODAY)
    (tmp_path / "root.pem").write_text(certificate.root)
    (tmp_path / "leaf.pem").write_text(certificate.chain[0])
    for purpose in ("sslclient", "sslserver"):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "root.pem", "leaf.pem"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
        assert done.stdout == "leaf.pem: OK\n", done.stderr
    shown = subprocess.run(
        ["openssl", "x509", "-in", "leaf.pem", "-noout", "-ext", "subjectAltName,keyUsage,extendedKeyUsage"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    assert "X509v3 Subject Alternative Name: critical" in shown
    assert f"URI:{REVIEWS.identity}, DNS:{REVIEWS.dns_names[0]}, DNS:{REVIEWS.dns_names[1]}" in shown
    assert "Digital Signature, Key Encipherment" in shown
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in shown
