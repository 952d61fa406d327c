"""Keys and certificates of workloads: made, renewed in time, and what happens when the authority is another or fails."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lateen.auth import keys
from lateen.auth.attestation import Attested, Evidence, LocalAttestor
from lateen.auth.certificate import Certificate
from lateen.auth.credentials import Credentials
from lateen.auth.issuer import Issuer
from lateen.auth.requests import certificate_request
from lateen.auth.rotation import Proof, Rotation
from lateen.auth.trust import TrustDomain
from lateen.errors import NotPermitted, Unavailable
from lateen.platforms.local.identities import Identities, Outlook
from tests.auth.authorities import RATINGS, REVIEWS, Memory, issuer, own

LIMIT_SECONDS = 10
NAME = REVIEWS.subject


@dataclass
class Door:
    """Remembers what it was offered."""

    socket: Path
    offered: list[Credentials] = field(default_factory=list)
    is_open: bool = False

    @property
    def proof(self) -> Proof:
        return Proof(
            *((self.offered[-1].bundle.digest, self.offered[-1].certificate.issued.signer) if self.offered else ())
        )

    async def open(self) -> None:
        self.is_open = True

    def offer(self, credentials: Credentials) -> None:
        self.offered.append(credentials)

    async def close(self) -> None:
        self.is_open = False


@dataclass
class Node:
    """An agent's identities, and everything about them that a test turns."""

    running: Issuer
    identities: Identities
    doors: list[Door]
    told: list[str]
    lifetimes: list[timedelta | None]

    @property
    def door(self) -> Door:
        return self.doors[0]

    async def admit(self, attested: Attested = REVIEWS) -> None:
        def describe(domain: str) -> Attested:
            return replace(attested, identity=replace(attested.identity, trust_domain=domain))

        await self.identities.admit(attested.subject, describe, Path("/nowhere"))
        await until(lambda: self.doors[-1].offered)


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    # the clock is the machine's: renewal sleeps
    started = datetime.now(UTC) - timedelta(hours=1)
    running = issuer(Memory(), lambda: datetime.now(UTC), rotation=Rotation(TrustDomain(), own(now=started)))  # type: ignore[arg-type]
    doors: list[Door] = []
    told: list[str] = []
    lifetimes: list[timedelta | None] = [None]

    def door(socket: Path) -> Door:
        doors.append(Door(socket))
        return doors[-1]

    identities = Identities(running, door, told.append, lambda: lifetimes[-1])
    running.believe((LocalAttestor(identities.started),))
    yield Node(running, identities, doors, told, lifetimes)
    await identities.close()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_workload_gets_a_certificate_of_its_own_key_with_its_own_names(node: Node) -> None:
    await node.admit()
    (given,) = node.door.offered
    assert given.certificate.issued.identity == REVIEWS.identity
    assert node.door.is_open
    from cryptography import x509

    leaf = x509.load_pem_x509_certificate(given.certificate.chain[0].encode())
    assert leaf.public_key() == keys.read_key(given.key_pem).public_key()
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(san.get_values_for_type(x509.DNSName)) == REVIEWS.dns_names
    assert node.identities.proofs() == {NAME: node.door.proof}


async def test_a_short_certificate_is_renewed_at_half_its_life_with_another_key(node: Node) -> None:
    node.lifetimes.append(timedelta(seconds=2))
    await node.admit()
    await until(lambda: len(node.door.offered) >= 2)
    first, second = node.door.offered[:2]
    renewed = second.certificate.issued.not_before - first.certificate.issued.not_before
    assert timedelta() <= renewed <= timedelta(seconds=2)
    assert first.key_pem != second.key_pem
    assert datetime.now(UTC) < first.certificate.issued.not_after


async def test_another_lifetime_holds_at_once(node: Node) -> None:
    await node.admit()
    node.lifetimes.append(timedelta(minutes=1))
    node.identities.look_again()
    await until(lambda: len(node.door.offered) == 2)
    issued = node.door.offered[-1].certificate.issued
    assert timedelta(seconds=59) < issued.not_after - datetime.now(UTC) < timedelta(minutes=1)


async def test_a_rotation_brings_the_roots_first_and_then_the_certificate(node: Node) -> None:
    await node.admit()
    node.running.begin_own_rotation(keys.make_key())
    await until(lambda: len(node.door.offered) == 2)
    before, both = node.door.offered
    assert (before.certificate, before.key_pem) == (both.certificate, both.key_pem)
    assert len(both.bundle.roots) == 2
    node.running.advance_rotation(node.identities.proofs())
    await until(lambda: node.door.offered[-1].certificate.issued.signer == node.running.signer)
    node.running.advance_rotation(node.identities.proofs())
    await until(lambda: len(node.door.offered[-1].bundle.roots) == 1)
    assert not node.running.lacks(node.identities.proofs())


async def test_another_trust_domain_gives_another_identity(node: Node) -> None:
    await node.admit()
    node.running.trust(TrustDomain("corp.example", ("cluster.local",)), ())
    await until(lambda: node.door.offered[-1].certificate.issued.identity.trust_domain == "corp.example")


async def test_an_authority_that_fails_is_asked_again_and_people_are_told_once(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue, failures = node.running.issue, [1, 2]

    def failing(*arguments: Any) -> Certificate:
        if failures:
            failures.pop()
            raise Unavailable("the authority sleeps")
        return issue(*arguments)

    monkeypatch.setattr(node.running, "issue", failing)
    await node.admit()
    assert node.told == [f"{NAME} has no certificate: the authority sleeps", "certificates are renewed again"]


async def test_while_nobody_signs_it_says_for_how_long_nothing_fails(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await node.admit()
    has = node.door.offered[-1].certificate.issued
    assert node.identities.outlook() == Outlook(has.not_after)
    issue = node.running.issue

    def failing(*_: Any) -> Certificate:
        raise Unavailable("the authority sleeps")

    monkeypatch.setattr(node.running, "issue", failing)
    node.lifetimes.append(timedelta(minutes=1))
    node.identities.look_again()
    await until(lambda: node.identities.outlook().failing == 1)
    outlook = node.identities.outlook()
    assert (outlook.first_expiry, outlook.problem) == (has.not_after, "the authority sleeps")
    assert outlook.since is not None
    assert node.told == [
        "certificates cannot be renewed; nothing fails before the first of them expires: the authority sleeps"
    ]
    monkeypatch.setattr(node.running, "issue", issue)
    await until(lambda: node.told[-1] == "certificates are renewed again")
    assert node.identities.outlook() == Outlook(node.door.offered[-1].certificate.issued.not_after)


async def test_only_what_was_started_here_is_vouched_for(node: Node) -> None:
    await node.admit()
    csr = certificate_request(keys.make_key())
    with pytest.raises(NotPermitted, match="was not started here"):
        node.running.issue(Evidence(started=RATINGS.subject), csr)
    foreign = certificate_request(keys.make_key(), RATINGS.identity)
    with pytest.raises(NotPermitted, match="may have its own only"):
        node.running.issue(Evidence(started=NAME), foreign)
    await node.identities.dismiss(NAME)
    with pytest.raises(NotPermitted, match="was not started here"):
        node.running.issue(Evidence(started=NAME), csr)
    assert not node.door.is_open
    assert node.identities.proofs() == {}


async def test_keys_are_made_outside_of_the_loop(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    make, threads = keys.make_key, set[str]()

    def watched() -> keys.Key:
        threads.add(threading.current_thread().name)
        return make()

    monkeypatch.setattr(keys, "make_key", watched)
    await node.admit()
    assert threads
    assert threading.main_thread().name not in threads
