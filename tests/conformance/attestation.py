"""What every way to prove who one is must do; a method's test gives it good and bad evidence, and calls this."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pytest

from lateen.auth import attestation
from lateen.auth.attestation import Attested, Attestor, Evidence
from lateen.errors import NotPermitted


@dataclass(frozen=True)
class Candidate:
    """A method, evidence that it takes and whom that proves, and evidence that it must refuse, by reason."""

    attestor: Attestor
    good: Evidence
    proves: Attested
    bad: Mapping[str, Evidence]
    others: tuple[Evidence, ...]
    now: datetime


def check(candidate: Candidate) -> None:
    """Run the whole suite."""
    has_its_row(candidate)
    passes_over_what_is_for_others(candidate)
    refuses_what_is_bad(candidate)
    proves_what_is_good(candidate)
    decides_alone(candidate)


def has_its_row(candidate: Candidate) -> None:
    rows = {row.name: row.attestor for row in attestation.METHODS}
    assert rows[candidate.attestor.method] is type(candidate.attestor)


def passes_over_what_is_for_others(candidate: Candidate) -> None:
    for evidence in (Evidence(), *candidate.others):
        assert candidate.attestor.attest(evidence, candidate.now) is None


def refuses_what_is_bad(candidate: Candidate) -> None:
    """Bad evidence is refused in words, and never passed on to a method that might take it."""
    for reason, evidence in candidate.bad.items():
        with pytest.raises(NotPermitted) as refused:
            candidate.attestor.attest(evidence, candidate.now)
        assert reason in str(refused.value)


def proves_what_is_good(candidate: Candidate) -> None:
    assert candidate.attestor.attest(candidate.good, candidate.now) == candidate.proves


def decides_alone(candidate: Candidate) -> None:
    """In the family, its refusal is the last word, and nobody is let in without evidence."""
    family = (candidate.attestor,)
    for evidence in candidate.bad.values():
        with pytest.raises(NotPermitted):
            attestation.attest(family, evidence, candidate.now)
    with pytest.raises(NotPermitted, match="nothing proves who asks: show a certificate"):
        attestation.attest(family, Evidence(), candidate.now)
