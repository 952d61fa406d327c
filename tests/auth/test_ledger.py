"""What was issued is remembered over a restart, and forgotten when it has expired."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.auth import renewal, requests
from lateen.auth.attestation import Evidence
from lateen.auth.certificate import Issued
from lateen.auth.ledger import Ledger
from lateen.auth.renewal import Urgency
from lateen.errors import Unavailable
from tests.auth.authorities import KEY, NOW, RATINGS, REVIEWS, Clock, Memory, issuer, own

HOUR = timedelta(hours=1)
ISSUED = Issued(1, REVIEWS.identity, REVIEWS.subject, NOW, NOW + 24 * HOUR, "signer")
CSR = requests.certificate_request(KEY)


def test_what_was_issued_is_listed_until_it_expires_also_after_a_restart() -> None:
    memory, clock = Memory(), Clock()
    running = issuer(memory, clock)
    running.issue(Evidence(started=REVIEWS.subject), CSR, HOUR)
    running.issue(Evidence(started=RATINGS.subject), CSR, HOUR / 2)
    for each in (running, issuer(memory, clock)):
        assert [found.workload for found in each.issued()] == [RATINGS.subject, REVIEWS.subject]
    clock.now += HOUR / 2
    assert [found.workload for found in running.issued()] == [REVIEWS.subject]


def test_a_certificate_that_cannot_be_written_down_is_not_handed_out() -> None:
    class Full(Memory):
        def add_issued(self, issued: Issued) -> None:
            raise Unavailable("disk full")

    running = issuer(Full())
    with pytest.raises(Unavailable, match="disk full"):
        running.issue(Evidence(started=REVIEWS.subject), CSR)
    assert not running.issued()


def test_a_day_of_minutes_stays_small() -> None:
    memory = Memory()
    ledger = Ledger(memory)
    for minute in range(5000):
        now = NOW + timedelta(minutes=minute)
        ledger.record(replace(ISSUED, serial=minute, not_before=now, not_after=now + HOUR), now)
        assert len(memory.issued) <= 512
    assert len(ledger.valid(now)) == 60
    assert Ledger(memory).valid(now) == ledger.valid(now)


def test_beyond_its_limit_the_first_to_expire_are_forgotten() -> None:
    memory = Memory()
    ledger = Ledger(memory, most=300)
    for serial in range(2000):
        ledger.record(replace(ISSUED, serial=serial, not_after=NOW + HOUR + timedelta(seconds=serial)), NOW)
        assert len(memory.issued) <= 600
    assert ledger.valid(NOW)[-1].serial == 1999


@given(st.floats(-1, 1), st.timedeltas(timedelta(seconds=1), timedelta(days=90)))
def test_renewal_is_near_half_life(jitter: float, life: timedelta) -> None:
    moment = renewal.renew_at(replace(ISSUED, not_after=NOW + life), jitter)
    assert life * 0.449 <= moment - NOW <= life * 0.551


URGENCIES = {
    "fresh": (HOUR, "signer", Urgency.NONE),
    "just before half life": (12 * HOUR - timedelta(seconds=1), "signer", Urgency.NONE),
    "half life": (12 * HOUR, "signer", Urgency.DUE),
    "another signs now": (HOUR, "other", Urgency.SIGNER_CHANGED),
    "expired": (24 * HOUR, "signer", Urgency.EXPIRED),
    "expired, and another signs": (25 * HOUR, "other", Urgency.EXPIRED),
}


@pytest.mark.parametrize(("age", "signer", "urgency"), URGENCIES.values(), ids=URGENCIES.keys())
def test_urgency(age: timedelta, signer: str, urgency: Urgency) -> None:
    assert renewal.urgency(ISSUED, NOW + age, signer, 0.0) == urgency


def test_a_short_lived_certificate_is_renewed_after_it_was_issued() -> None:
    from tests.auth.authorities import certify

    for seconds in (2, 5, 60):
        issued = certify(own(), lifetime=timedelta(seconds=seconds)).issued
        assert NOW < renewal.renew_at(issued, -1.0) < renewal.renew_at(issued, 1.0) < issued.not_after
