"""Each way to prove who one is, against the suite of the family."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lateen.auth import requests, tokens, trust
from lateen.auth.attestation import (
    METHODS,
    CertificateAttestor,
    Evidence,
    LocalAttestor,
    TokenAttestor,
)
from lateen.auth.rotation import Rotation
from lateen.auth.tokens import SharedSecret, SpentTokens, TokenClaims, TokenVerifier
from lateen.auth.trust import Root, TrustDomain
from lateen.errors import NotPermitted
from lateen.names import Identity
from tests.auth.authorities import CONTROL_PLANE, KEY, NOW, RATINGS, REVIEWS, Memory, certify, ders, issuer, own
from tests.conformance import attestation as conformance

ROOT, STRANGER, PARTNER = own(now=NOW - timedelta(days=30)), own(), own("partner.example")
FOREIGN = Root("partner.example", trust.certificate_pem(PARTNER.root))
BUNDLE = Rotation(TrustDomain(), ROOT, foreign=(FOREIGN,)).bundle
SECRET = SharedSecret(b"s" * 32)
CLAIMS = TokenClaims("1", REVIEWS.identity, REVIEWS.workload, NOW + timedelta(hours=1), "reviews", "v1")
TOKEN = tokens.make_token(SECRET, CLAIMS)
CHAIN = ders(certify(ROOT))
ABROAD = replace(REVIEWS, identity=Identity("partner.example", "default", "bookinfo-reviews"))


def test_local() -> None:
    conformance.check(
        conformance.Candidate(
            LocalAttestor({REVIEWS.subject: REVIEWS}.get),
            good=Evidence(started=REVIEWS.subject),
            proves=REVIEWS,
            bad={"workload ratings.default was not started here": Evidence(started="ratings.default")},
            others=(Evidence(token=TOKEN), Evidence(chain=CHAIN)),
            now=NOW,
        )
    )


def test_certificate() -> None:
    conformance.check(
        conformance.Candidate(
            CertificateAttestor(lambda: BUNDLE),
            good=Evidence(chain=CHAIN),
            proves=REVIEWS,
            bad={
                "has expired": Evidence(chain=ders(certify(ROOT, now=NOW - timedelta(days=2)))),
                "is not valid before": Evidence(chain=ders(certify(ROOT, now=NOW + timedelta(hours=1)))),
                "is not signed by a root of this mesh": Evidence(chain=ders(certify(STRANGER))),
                "its own mesh renews it": Evidence(chain=ders(certify(PARTNER, ABROAD))),
                "the certificate cannot be read": Evidence(chain=(b"x",)),
            },
            others=(Evidence(token=TOKEN), Evidence(started=REVIEWS.subject)),
            now=NOW,
        )
    )


def test_token() -> None:
    conformance.check(
        conformance.Candidate(
            TokenAttestor(lambda: "cluster.local", TokenVerifier(SECRET), SpentTokens(Memory())),
            good=Evidence(token=TOKEN),
            proves=REVIEWS,
            bad={
                "is not signed by this mesh": Evidence(token=TOKEN + "x"),
                "has expired": Evidence(token=tokens.make_token(SECRET, replace(CLAIMS, expires=NOW))),
                "the token is for spiffe://partner.example/": Evidence(
                    token=tokens.make_token(SECRET, replace(CLAIMS, identity=ABROAD.identity))
                ),
            },
            others=(Evidence(chain=CHAIN), Evidence(started=REVIEWS.subject)),
            now=NOW,
        )
    )


def test_every_method_is_tested() -> None:
    assert all(f"test_{row.name}" in globals() for row in METHODS)


def test_a_token_does_not_work_twice() -> None:
    attestor = TokenAttestor(lambda: "cluster.local", TokenVerifier(SECRET), SpentTokens(Memory()))
    assert attestor.attest(Evidence(token=TOKEN), NOW) == REVIEWS
    with pytest.raises(NotPermitted, match="has been used before"):
        attestor.attest(Evidence(token=TOKEN), NOW)


@pytest.mark.parametrize("attested", [REVIEWS, CONTROL_PLANE, replace(REVIEWS, app="", version="")])
def test_renewal_keeps_the_names_and_adds_none(attested: object) -> None:
    first = certify(ROOT, attested)  # type: ignore[arg-type]
    found = CertificateAttestor(lambda: BUNDLE).attest(Evidence(chain=ders(first)), NOW)
    assert found is not None
    assert (found.identity, found.dns_names) == (attested.identity, attested.dns_names)  # type: ignore[attr-defined]


def test_a_certificate_renews_over_a_rotation_until_the_old_root_is_gone() -> None:
    rotation = Rotation(TrustDomain(), ROOT).begin(own(serial=9)).advance({})
    chain = ders(certify(ROOT))
    assert CertificateAttestor(lambda: rotation.bundle).attest(Evidence(chain=chain), NOW) == REVIEWS
    with pytest.raises(NotPermitted):
        CertificateAttestor(lambda: rotation.advance({}).bundle).attest(Evidence(chain=chain), NOW)


def test_before_anybody_is_believed_nobody_gets_a_certificate() -> None:
    running = issuer(attestors=())
    with pytest.raises(NotPermitted, match="nothing proves who asks"):
        running.issue(Evidence(started=REVIEWS.subject), requests.certificate_request(KEY))


def test_evidence_for_one_does_not_get_the_certificate_of_another() -> None:
    csr = requests.certificate_request(KEY, RATINGS.identity)
    with pytest.raises(NotPermitted, match="it may have its own only"):
        issuer().issue(Evidence(started=REVIEWS.subject), csr)


def test_tokens_are_not_in_what_is_printed() -> None:
    assert TOKEN not in repr(Evidence(token=TOKEN))
