"""The authority's state on disk: private, whole, and the same after a restart."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from lateen.auth import issuer, requests
from lateen.auth.attestation import Evidence, LocalAttestor
from lateen.auth.issuer import Issuer
from lateen.auth.ledger import Ledger
from lateen.auth.rotation import Proof
from lateen.auth.tokens import SpentTokens
from lateen.auth.trust import TrustDomain
from lateen.errors import ConfigRejected, NotPermitted, Unavailable
from lateen.platforms.local.ca_files import CaFiles, read_authority_files
from tests.auth.authorities import KEY, NOW, REVIEWS, Clock, own

CSR = requests.certificate_request(KEY)
SHOWN = Evidence(started=REVIEWS.subject)


def start(directory: Path) -> Issuer:
    """Start an authority as the control plane does."""
    files = CaFiles(directory)
    rotation = issuer.resumed(files, TrustDomain(), own)
    running = Issuer(rotation, files, Ledger(files), Clock(), x509.random_serial_number)
    running.believe([LocalAttestor({REVIEWS.subject: REVIEWS}.get)])
    return running


def test_everything_is_private_and_survives(tmp_path: Path) -> None:
    ca = tmp_path / "ca"
    running = start(ca)
    issued = running.issue(SHOWN, CSR).issued
    running.begin_own_rotation(KEY)
    SpentTokens(CaFiles(ca)).spend("1", NOW + timedelta(hours=1), NOW)
    assert stat.S_IMODE(ca.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in ca.iterdir()} == {0o600}
    assert sorted(file.name for file in ca.iterdir()) == ["authority.json", "issued.jsonl", "spent-tokens.jsonl"]

    again = start(ca)
    assert again.rotation == running.rotation
    assert again.rotation.next is not None
    assert again.rotation.next.key.public_key() == KEY.public_key()
    assert list(again.issued()) == [issued]
    with pytest.raises(NotPermitted):
        SpentTokens(CaFiles(ca)).spend("1", NOW + timedelta(hours=1), NOW)


def test_a_line_that_a_crash_cut_short_is_gone_and_the_next_is_whole(tmp_path: Path) -> None:
    running = start(tmp_path)
    first = running.issue(SHOWN, CSR).issued
    with (tmp_path / "issued.jsonl").open("a") as file:
        file.write('{"serial":"12')
    again = start(tmp_path)
    second = again.issue(SHOWN, CSR).issued
    assert {each.serial for each in start(tmp_path).issued()} == {first.serial, second.serial}


def test_the_list_is_rewritten_when_most_of_it_has_expired(tmp_path: Path) -> None:
    running = start(tmp_path)
    lines = []
    for _ in range(600):
        running._clock.now += timedelta(seconds=2)  # type: ignore[attr-defined]
        running.issue(SHOWN, CSR, timedelta(seconds=1))
        lines.append(len((tmp_path / "issued.jsonl").read_text().splitlines()))
    assert max(lines) <= 512


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "cannot read"),
        (b"[]", "is of another release"),
        (b'{"version": 0}', "is of another release"),
    ],
)
def test_strange_state_is_not_overwritten(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "authority.json").write_bytes(content)
    with pytest.raises(Unavailable, match=message):
        start(tmp_path)
    assert (tmp_path / "authority.json").read_bytes() == content


def test_a_damaged_list_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "issued.jsonl").write_text("hello\n")
    with pytest.raises(Unavailable, match=r"issued.jsonl is damaged at the line b'hello'"):
        start(tmp_path)


def test_a_rotation_goes_on_after_a_restart_in_any_step(tmp_path: Path) -> None:
    running = start(tmp_path)
    old = running.signer
    running.begin_own_rotation(KEY)
    for stage in ("both-trusted", "new-signs", "steady"):
        running = start(tmp_path)
        assert running.rotation.stage == stage
        if stage != "steady":
            running.advance_rotation({"a.ns": Proof(running.bundle.digest, running.signer)})
    assert running.signer != old


def test_a_missing_file_of_the_users_own_authority_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigRejected, match=r"cannot read .*ca-cert.pem of the plugged-in certificate authority: No such"
    ):
        read_authority_files(tmp_path)
