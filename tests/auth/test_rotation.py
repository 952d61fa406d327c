"""The change of roots: no step without proof, back at any moment before the last, and no proxy ever cut off."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lateen.auth import issuer, trust
from lateen.auth.authority import Authority
from lateen.auth.issuer import Issuer
from lateen.auth.ledger import Ledger
from lateen.auth.rotation import Proof, Rotation, Stage
from lateen.auth.trust import Root, TrustDomain
from lateen.errors import ConfigRejected, LateenError, Unavailable
from tests.auth.authorities import KEY, NOW, Clock, Memory, by_hand, certify, files, own
from tests.auth.authorities import issuer as make_issuer

OLD, NEW = own(serial=1), own(serial=2)
STEADY = Rotation(TrustDomain(), OLD)
BOTH = STEADY.begin(NEW)


def proof(rotation: Rotation) -> Proof:
    """What a proxy has that follows this stage."""
    return Proof(rotation.bundle.digest, rotation.signer.fingerprint)


def test_a_whole_rotation() -> None:
    assert (BOTH.stage, BOTH.signer) == (Stage.BOTH_TRUSTED, OLD)
    assert {root.fingerprint for root in BOTH.bundle.roots} == {OLD.fingerprint, NEW.fingerprint}
    signing = BOTH.advance({"a": proof(BOTH)})
    assert (signing.stage, signing.signer, signing.bundle) == (Stage.NEW_SIGNS, NEW, BOTH.bundle)
    done = signing.advance({"a": proof(signing)})
    assert done == Rotation(TrustDomain(), NEW)
    assert [root.fingerprint for root in done.bundle.roots] == [NEW.fingerprint]


def test_trusting_both_needs_no_new_certificate_but_forgetting_does() -> None:
    old_certificate = Proof(BOTH.bundle.digest, OLD.fingerprint)
    signing = BOTH.advance({"a": old_certificate})
    with pytest.raises(Unavailable, match="a has no certificate of the authority that signs now"):
        signing.advance({"a": old_certificate})


def test_every_proxy_that_holds_it_up_is_named() -> None:
    late = Proof(STEADY.bundle.digest, OLD.fingerprint)
    proofs = {"c.ns": late, "a.ns": proof(BOTH), "b.ns": Proof()}
    assert [str(each) for each in BOTH.lacks(proofs)] == [
        "b.ns has not acknowledged the roots that are to be trusted now",
        "c.ns has not acknowledged the roots that are to be trusted now",
    ]
    with pytest.raises(Unavailable) as refused:
        BOTH.advance(proofs)
    assert str(refused.value) == (
        "the rotation cannot go on: b.ns has not acknowledged the roots that are to be trusted now (and 1 others)"
    )


def test_back_before_the_new_one_signs_is_at_once() -> None:
    assert BOTH.abort() == STEADY


def test_back_after_it_has_signed_waits_until_nobody_shows_its_certificates() -> None:
    signing = BOTH.advance({})
    withdrawing = signing.abort()
    assert (withdrawing.stage, withdrawing.signer, withdrawing.bundle) == (Stage.WITHDRAWING, OLD, BOTH.bundle)
    with pytest.raises(Unavailable):
        withdrawing.advance({"a": Proof(BOTH.bundle.digest, NEW.fingerprint)})
    assert withdrawing.advance({"a": proof(withdrawing)}) == STEADY
    assert withdrawing.abort() == withdrawing


REFUSALS = {
    "a second one": (lambda: BOTH.begin(own()), "a rotation is under way (both-trusted): let it end, or abort it"),
    "to itself": (lambda: STEADY.begin(OLD), "the new certificate authority is the one in use; bring another"),
    "going on with none": (lambda: STEADY.advance({}), "no rotation is under way; begin one with `lateen ca rotate`"),
    "aborting none": (STEADY.abort, "no rotation is under way, so there is nothing to abort"),
    "another root at the start": (
        lambda: STEADY.plug_in(NEW),
        "the plugged-in certificate authority has another root than the mesh: bring it in with"
        " `lateen ca rotate --ca-dir DIR`, which fails no request",
    ),
}


@pytest.mark.parametrize(("step", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_steps_that_make_no_sense_are_refused(step: object, message: str) -> None:
    with pytest.raises(ConfigRejected) as refused:
        step()  # type: ignore[operator]
    assert str(refused.value) == message


def test_a_renewed_intermediate_under_the_same_root_is_taken_at_the_start() -> None:
    from lateen.auth.plugged_in import plugged_in

    root = by_hand("root")
    first, renewed = (plugged_in(files(by_hand(name, root), root=root), NOW) for name in ("first", "renewed"))
    assert Rotation(TrustDomain(), first).plug_in(renewed).current == renewed
    under_way = STEADY.begin(first)
    assert under_way.plug_in(renewed).next == renewed


def test_aliases_and_partners_are_in_the_bundle() -> None:
    partner = Root("partner.example", trust.certificate_pem(own("partner.example").root))
    rotation = replace(STEADY, domain=TrustDomain("new.example", ("cluster.local",)), foreign=(partner,))
    assert [root.trust_domain for root in rotation.bundle.roots] == ["cluster.local", "new.example", "partner.example"]
    assert rotation.bundle.pem.count("BEGIN") == 2


def test_it_is_kept_before_anybody_sees_it_and_taken_up_after_a_restart() -> None:
    memory = Memory()
    running = make_issuer(memory, rotation=issuer.resumed(memory, TrustDomain(), own))
    seen = []
    running.subscribe(
        lambda: seen.append((memory.rotation.stage if memory.rotation else "", len(running.bundle.roots)))
    )
    running.begin_own_rotation(KEY)
    running.advance_rotation({})
    running.advance_rotation({})
    assert seen == [("both-trusted", 2), ("new-signs", 2), ("steady", 1)]

    running.begin_own_rotation(KEY)
    again = issuer.resumed(memory, TrustDomain(), not_asked)
    assert again == running.rotation
    assert make_issuer(memory, rotation=again).bundle == running.bundle


def not_asked() -> Authority:
    raise AssertionError("a new authority was made although one is kept")


def test_a_change_that_cannot_be_kept_has_no_effect() -> None:
    class Full(Memory):
        def save_rotation(self, stored: object) -> None:
            raise Unavailable("disk full")

    running = make_issuer(Full())
    before = running.rotation
    with pytest.raises(Unavailable):
        running.begin_own_rotation(KEY)
    assert running.rotation == before


def test_a_damaged_state_is_said_to_be_damaged() -> None:
    memory = Memory()
    issuer.resumed(memory, TrustDomain(), own)
    assert memory.rotation is not None
    memory.rotation = replace(memory.rotation, stage="dancing")
    with pytest.raises(Unavailable, match="the kept certificate authority is damaged"):
        issuer.resumed(memory, TrustDomain(), own)


class Mesh(RuleBasedStateMachine):
    """Proxies that come, follow at their own pace and talk to each other, while an operator rotates as he likes."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory()
        self.restart()
        self.proxies: dict[str, tuple[object, str]] = {}
        self.serial = 100

    @rule()
    def restart(self) -> None:
        self.issuer: Issuer = Issuer(
            issuer.resumed(self.memory, TrustDomain(), own), self.memory, Ledger(self.memory), Clock(), lambda: 1
        )

    @rule(name=st.sampled_from("abc"))
    def come(self, name: str) -> None:
        self.proxies[name] = (self.issuer.bundle, self.issuer.signer)

    @rule(name=st.sampled_from("abc"))
    def take_the_roots(self, name: str) -> None:
        if name in self.proxies:
            self.proxies[name] = (self.issuer.bundle, self.proxies[name][1])

    @rule(name=st.sampled_from("abc"))
    def renew(self, name: str) -> None:
        if name in self.proxies:
            self.proxies[name] = (self.proxies[name][0], self.issuer.signer)

    @precondition(lambda self: self.issuer.rotation.stage is Stage.STEADY)
    @rule()
    def begin(self) -> None:
        self.serial += 1
        self.issuer.begin_rotation(own(serial=self.serial))

    @rule()
    def advance(self) -> None:
        proofs = {name: Proof(bundle.digest, signer) for name, (bundle, signer) in self.proxies.items()}  # type: ignore[attr-defined]
        with contextlib.suppress(LateenError):
            self.issuer.advance_rotation(proofs)

    @rule()
    def abort(self) -> None:
        with contextlib.suppress(LateenError):
            self.issuer.abort_rotation()

    @invariant()
    def everybody_trusts_what_anybody_may_show(self) -> None:
        shown = {signer for _, signer in self.proxies.values()} | {self.issuer.signer}
        for bundle, _ in self.proxies.values():
            trusted = {root.fingerprint for root in bundle.roots}  # type: ignore[attr-defined]
            assert shown <= trusted


TestNobodyIsCutOff = Mesh.TestCase


@given(st.sampled_from(["BOTH_TRUSTED", "NEW_SIGNS", "WITHDRAWING"]))
def test_certificates_of_both_are_good_in_the_middle(stage: str) -> None:
    rotation = replace(BOTH, stage=Stage[stage])
    from tests.auth.authorities import ders

    for authority in (OLD, NEW):
        assert trust.verify_peer(ders(certify(authority)), rotation.bundle, NOW)
