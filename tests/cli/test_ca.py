"""`lateen ca`: what it prints, and a rotation as its user sees it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lateen.auth import requests
from lateen.auth.attestation import Evidence
from lateen.auth.issuer import Issuer
from lateen.auth.minting import TokenMint
from lateen.auth.plugged_in import plugged_in
from lateen.auth.rotation import Proof, Proofs, Stage
from lateen.auth.tokens import SharedSecret, TokenVerifier
from lateen.cli import ca
from lateen.platforms.local.ca_files import read_authority_files
from lateen.serving.api import Api
from lateen.serving.ca_routes import CaRoutes
from tests.auth.authorities import KEY, NOW, REVIEWS, Clock, Memory, issuer
from tests.cli.conftest import Machine, running
from tests.serving.small_mesh import SmallMesh

SECRET = SharedSecret(b"s" * 32)


@dataclass
class TrustingMesh(SmallMesh):
    """A mesh with an authority and one proxy, which follows when it has been asked `patience` times."""

    issuer: Issuer = field(default_factory=issuer)
    patience: int = 1
    asked: int = 0
    proof: Proof = field(default_factory=Proof)

    def api(self, name: str = "test", directory: str = "/run/lateen/test") -> Api:
        routes = CaRoutes(
            self.issuer,
            self.proofs,
            lambda path: plugged_in(read_authority_files(path), NOW),
            mint=TokenMint(SECRET, Memory(), lambda: "cluster.local", Clock(), lambda: "1"),
            lifetime=lambda: timedelta(hours=1),
        )
        return replace(super().api(name, directory), ca=routes)

    def proofs(self) -> Proofs:
        self.asked += 1
        if self.asked % (self.patience + 1) == 0:
            self.proof = Proof(self.issuer.bundle.digest, self.issuer.signer)
        return {"reviews-v1-1.default": self.proof}


@pytest.fixture
def trusting(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrustingMesh]:
    monkeypatch.setattr(ca, "_POLL_SECONDS", 0.01)
    mesh = TrustingMesh()
    mesh.issuer.issue(Evidence(started=REVIEWS.subject), requests.certificate_request(KEY))
    with running(machine, "test", mesh):
        yield mesh


def test_show_says_who_signs_and_whom_all_trust(machine: Machine, trusting: TrustingMesh) -> None:
    result = machine.run("ca", "show")
    assert result.exit_code == 0
    fingerprint = trusting.issuer.signer
    assert [line.split("  ")[0] for line in result.stdout.splitlines()[:4]] == [
        "trust domain",
        "signer",
        "certificates",
        "rotation",
    ]
    assert "CN=Lateen root 00000007,O=cluster.local, ECDSA P-256, until 2036-02-27 12:00:00Z" in result.stdout
    assert "certificates  1 valid, 60m each" in result.stdout
    assert result.stdout.splitlines()[-1].endswith(fingerprint)
    assert machine.run_json("ca", "show", "-o", "json")["signer"]["fingerprint"] == fingerprint


def test_issued_lists_certificates(machine: Machine, trusting: TrustingMesh) -> None:
    header, row = machine.run("ca", "issued").stdout.splitlines()
    assert header.split() == ["WORKLOAD", "IDENTITY", "SERIAL", "NOT", "BEFORE", "NOT", "AFTER", "SIGNER"]
    assert row.split()[:3] == [REVIEWS.subject, str(REVIEWS.identity), "3e8"]
    assert machine.run_json("ca", "issued", "-n", "other", "-o", "json") == []


def test_root_cert_prints_pem_for_other_tools(machine: Machine, trusting: TrustingMesh) -> None:
    assert machine.run("ca", "root-cert").stdout == trusting.issuer.bundle.pem


def test_rotate_goes_through_every_step(machine: Machine, trusting: TrustingMesh) -> None:
    before = trusting.issuer.signer
    trusting.patience = 5
    result = machine.run("ca", "rotate")
    assert result.exit_code == 0, result.output
    lacks_roots = "  reviews-v1-1.default: has not acknowledged the roots that are to be trusted now"
    lines = result.stderr.splitlines()
    assert lines[0] == "both roots are trusted; waiting for 1 proxies"
    assert "the new authority signs; waiting for 1 proxies" in lines
    assert lacks_roots in lines
    assert "  reviews-v1-1.default: has no certificate of the authority that signs now" in lines
    assert result.stdout.endswith("signs, and no other authority of ours is trusted\n")
    assert trusting.issuer.signer != before
    assert trusting.issuer.rotation.stage is Stage.STEADY


def test_rotate_that_is_not_followed_stays_in_its_step_and_is_taken_up(
    machine: Machine, trusting: TrustingMesh
) -> None:
    trusting.patience = 10**9
    result = machine.run("ca", "rotate", "--timeout", "50ms")
    assert result.exit_code == 1
    assert "error: not every proxy has followed within 0.05 s; the mesh stays in its step\n" in result.stderr
    assert trusting.issuer.rotation.stage is Stage.BOTH_TRUSTED
    shown = machine.run("ca", "show").stdout
    assert (
        "both roots are trusted; 0 of 1 proxies have followed; `lateen ca rotate` goes on, --abort goes back" in shown
    )

    trusting.patience = 1
    result = machine.run("ca", "rotate", "-o", "json")
    assert result.exit_code == 0
    assert result.stderr.startswith("taking up the rotation that is under way\n")
    assert trusting.issuer.rotation.stage is Stage.STEADY


@pytest.mark.parametrize("steps", [0, 1])
def test_abort_goes_back_from_any_step(machine: Machine, trusting: TrustingMesh, steps: int) -> None:
    before = trusting.issuer.signer
    trusting.issuer.begin_own_rotation(KEY)
    for _ in range(steps):
        trusting.issuer.advance_rotation({})
    result = machine.run("ca", "rotate", "--abort")
    assert result.exit_code == 0, result.output
    assert (trusting.issuer.signer, trusting.issuer.rotation.stage) == (before, Stage.STEADY)


REFUSED = {
    "nothing to abort": (("--abort",), 2, "no rotation is under way, so there is nothing to abort"),
    "two things at once": (("--abort", "--key", "rsa-2048"), 2, "--abort takes neither --ca-dir nor --key"),
    "an unknown kind of key": (("--key", "dsa"), 2, "there is no kind of key 'dsa'; there are ecdsa-p256"),
    "a directory without files": (("--ca-dir", "."), 2, "ca-cert.pem of the plugged-in certificate authority"),
    "no duration": (("--timeout", "soon"), 2, "--timeout soon is no duration"),
}


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals(
    machine: Machine, trusting: TrustingMesh, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = machine.run("ca", "rotate", *arguments)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
    assert trusting.issuer.rotation.stage is Stage.STEADY


def test_another_authority_is_not_mixed_into_a_rotation(
    machine: Machine, trusting: TrustingMesh, tmp_path: Path
) -> None:
    trusting.issuer.begin_own_rotation(KEY)
    result = machine.run("ca", "rotate", "--ca-dir", str(tmp_path))
    assert result.exit_code == 1
    assert "a rotation is under way; run without --ca-dir and --key to go on with it, or with --abort" in result.stderr


def test_the_group_explains_itself(machine: Machine) -> None:
    result = machine.run("ca", "--help")
    assert result.exit_code == 0
    assert all(word in result.stdout for word in ("show", "issued", "rotate", "root-cert", "Exit codes"))


def test_a_token_is_printed_alone_and_what_it_is_for_beside_it(machine: Machine, trusting: TrustingMesh) -> None:
    result = machine.run("ca", "token", "cart-1", "-n", "shop", "--service-account", "cart", "--ttl", "1m")
    assert result.exit_code == 0, result.output
    claims = TokenVerifier(SECRET).verify(result.stdout.strip(), NOW)
    assert (str(claims.identity), claims.workload) == ("spiffe://cluster.local/ns/shop/sa/cart", "cart-1")
    assert claims.expires == NOW + timedelta(minutes=1)
    assert result.stderr.splitlines()[0] == (
        "for spiffe://cluster.local/ns/shop/sa/cart, workload cart-1, once, until 2026-03-01 12:01:00Z"
    )
    assert result.stdout.strip() not in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--ttl", "soon"), "--ttl soon is no duration"),
        (("--ttl", "25h"), "a bootstrap token lives for more than nothing and at most 24h"),
        (("-n", "No Such"), "is no identity"),
    ],
)
def test_a_token_that_cannot_be(machine: Machine, trusting: TrustingMesh, options: tuple[str, str], said: str) -> None:
    result = machine.run("ca", "token", "cart-1", *options)
    assert result.exit_code == 2
    assert said in result.stderr


def test_waiting_tells_everything_that_is_lacking() -> None:
    lacks = [
        *({"proxy": f"a-{number}.default", "lack": "has no certificate"} for number in range(5)),
        {"proxy": "b.default", "lack": "has not acknowledged the roots"},
    ]
    assert ca._waiting(lacks).splitlines() == [
        "  a-0.default, a-1.default, a-2.default and 2 more: has no certificate",
        "  b.default: has not acknowledged the roots",
    ]


@pytest.mark.parametrize(
    ("renewal", "said"),
    [
        (
            {"first_expiry": 3600, "failing": 0, "problem": "", "since": None},
            "in order; the first certificate expires in 60m unless it is renewed",
        ),
        (
            {"first_expiry": 3600, "failing": 3, "problem": "no disk", "since": -60},
            "3 certificates cannot be renewed for 60s: no disk; the first certificate expires in 60m, and nothing "
            "fails before",
        ),
    ],
)
def test_how_renewal_goes(renewal: dict[str, Any], said: str) -> None:
    assert ca._renewal(renewal, 0) == said
