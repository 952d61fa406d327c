"""Whose certificates are believed, and what is said about the others."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.auth import authority, keys, trust
from lateen.auth.trust import Root, TrustBundle, TrustDomain
from lateen.errors import ConfigRejected, NotPermitted
from lateen.names import Identity
from tests.auth.authorities import NOW, REVIEWS, by_hand, certify, ders, own

OURS, THEIRS = own(), own("partner.example", serial=8)
OUR_ROOT = Root("cluster.local", trust.certificate_pem(OURS.root))
THEIR_ROOT = Root("partner.example", trust.certificate_pem(THEIRS.root))
BUNDLE = trust.bundle("cluster.local", (OUR_ROOT,))
BOTH = trust.bundle("cluster.local", (OUR_ROOT, THEIR_ROOT))
PARTNER = replace(REVIEWS, identity=Identity("partner.example", "default", "bookinfo-reviews"))
HAND_MADE = by_hand("hand-made")


def shown(by: authority.Authority = OURS, **how: object) -> tuple[bytes, ...]:
    return ders(certify(by, **how))  # type: ignore[arg-type]


def test_a_good_certificate_is_believed() -> None:
    _, identity = trust.verify_peer(shown(), BUNDLE, NOW)
    assert identity == REVIEWS.identity


def test_a_root_vouches_for_its_own_trust_domain_only() -> None:
    assert trust.verify_peer(shown(THEIRS, attested=PARTNER), BOTH, NOW)[1] == PARTNER.identity
    with pytest.raises(NotPermitted, match="not signed by a root of this mesh"):
        trust.verify_peer(shown(THEIRS), BOTH, NOW)
    with pytest.raises(NotPermitted, match="not signed by a root of this mesh"):
        trust.verify_peer(shown(OURS, attested=PARTNER), BOTH, NOW)


ID = "spiffe://cluster.local/ns/default/sa/bookinfo-reviews"
WRONG: dict[str, tuple[tuple[bytes, ...], TrustBundle, datetime, str]] = {
    "expired": (
        shown(lifetime=timedelta(hours=1)),
        BUNDLE,
        NOW + timedelta(hours=1, seconds=1),
        f"the certificate of {ID} has expired on 2026-03-01 13:00:00 UTC",
    ),
    "not valid yet": (
        shown(),
        BUNDLE,
        NOW - timedelta(hours=1),
        f"the certificate of {ID} is not valid before 2026-03-01 11:58:00 UTC",
    ),
    "another trust domain": (
        shown(THEIRS, attested=PARTNER),
        BUNDLE,
        NOW,
        "spiffe://partner.example/ns/default/sa/bookinfo-reviews is of another trust domain; this mesh is"
        " cluster.local",
    ),
    "another root": (shown(own()), BUNDLE, NOW, f"the certificate of {ID} is not signed by a root of this mesh"),
    "self-signed": (
        ders(certify(by_self := own()))[:1],
        BUNDLE,
        NOW,
        f"the certificate of {ID} is not signed by a root of this mesh",
    ),
    "no identity": (
        (by_self.root.public_bytes(trust.serialization.Encoding.DER),),
        BUNDLE,
        NOW,
        "the certificate carries no identity: expected one name spiffe://TRUST-DOMAIN/ns/NS/sa/NAME",
    ),
    "a leaf that signs": (
        (*shown(authority.Authority(keys.make_key(), by_self.root, (), (by_self.root,))), shown()[0]),
        BUNDLE,
        NOW,
        "is not signed by a root of this mesh",
    ),
    "nothing": ((), BUNDLE, NOW, "expected a chain of 1 to 8 certificates, got 0"),
    "very much": ((b"",) * 9, BUNDLE, NOW, "expected a chain of 1 to 8 certificates, got 9"),
    "garbage": ((b"garbage",), BUNDLE, NOW, "the certificate cannot be read"),
}


@pytest.mark.parametrize(("chain", "bundle", "now", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_one_is_not(chain: tuple[bytes, ...], bundle: TrustBundle, now: datetime, message: str) -> None:
    with pytest.raises(NotPermitted) as refused:
        trust.verify_peer(chain, bundle, now)
    assert message in str(refused.value)


GOOD = shown()[0]


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_damaged_certificate_never_crashes_nor_is_it_believed(damage: list[tuple[int, int]]) -> None:
    content = bytearray(GOOD)
    for place, value in damage:
        content[place] = value
    if bytes(content) == GOOD:
        return
    with pytest.raises(NotPermitted):
        trust.verify_peer((bytes(content),), BUNDLE, NOW)


def test_bundles_are_sets_of_roots() -> None:
    assert trust.bundle("cluster.local", (THEIR_ROOT, OUR_ROOT, OUR_ROOT)) == BOTH
    assert BOTH.digest != BUNDLE.digest
    assert BUNDLE.with_roots([THEIR_ROOT]) == trust.TrustBundle("cluster.local", (OUR_ROOT, THEIR_ROOT))
    assert BOTH.pem.count("BEGIN CERTIFICATE") == 2
    assert BOTH.roots_of("partner.example") == (THEIR_ROOT,)
    assert trust.read_roots(THEIR_ROOT.pem, "partner.example") == (THEIR_ROOT,)
    with pytest.raises(ConfigRejected, match="the roots of trust domain 'x' are no certificates in PEM"):
        trust.read_roots("hello", "x")


def test_aliases_are_names_of_the_same_mesh() -> None:
    domain = TrustDomain("new.example", ("cluster.local",))
    identity, foreign = Identity("cluster.local", "a", "b"), Identity("other", "a", "b")
    assert (domain.is_local(identity), domain.is_local(foreign)) == (True, False)
    assert domain.names_of(identity) == (identity, Identity("new.example", "a", "b"))
    assert domain.names_of(foreign) == (foreign,)


@pytest.mark.parametrize("name", ["", "Cluster.Local", "a/b", "-a", "a..b", "a b", "x" * 256, "ä", "a:1"])
def test_a_wrong_trust_domain_is_refused(name: str) -> None:
    for make in (lambda: TrustDomain(name), lambda: TrustDomain(aliases=(name,))):
        with pytest.raises(ConfigRejected, match="write lower-case letters, digits, dots, dashes and underscores"):
            make()
