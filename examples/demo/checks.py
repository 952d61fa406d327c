"""Compares what a step promises with what traffic really did: the answers, and what the Envoys counted. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Final, NamedTuple

from answers import JASON, Answer, Stars
from readings import Reading
from steps import STARS, Fault, Split, Step

from lateen.telemetry.readings import Reading as Metrics

# A step has at most four shares with two ends each: one is found wrong by chance less than once in a million steps.
_CHANCE_OF_EACH_END: Final = 1e-7
_REVIEWS: Final = "reviews.default.svc.cluster.local"
_WHO: Final = {JASON: "jason", "": "others"}


class Problem(NamedTuple):
    """One thing that is not as promised."""

    expected: str
    seen: str


class Evidence(NamedTuple):
    """What happened in a step: the answers while the change went live, those after it, and the Envoys' counts of these.

    `is_ours` tells that nobody else used the mesh: then Envoys must have counted exactly what we have seen. `metrics`
    are the mesh's before these answers, where a step needs them.
    """

    during_change: Sequence[Answer]
    answers: Sequence[Answer]
    counted: Reading
    is_ours: bool
    metrics: Metrics | None = None


def problems(step: Step, evidence: Evidence) -> tuple[Problem, ...]:
    """List everything that is not as the step promises."""
    return (
        *_failures(evidence),
        *(problem for split in step.splits for problem in _wrong_shares(split, evidence.answers)),
        *_wrong_stars(step.fault, evidence.answers),
        *_wrong_durations(step.fault, evidence.answers),
        *_wrong_counts(step.fault, evidence),
    )


def observed(step: Step, found: Sequence[Answer]) -> str:
    """Say in a few words who got what."""
    parts = [_observed_split(split, found) for split in step.splits]
    if step.fault is not None:
        parts.append(_observed_fault(step.fault, found))
    return " · ".join(parts)


def bounds(requests: int, share: float, chance: float = _CHANCE_OF_EACH_END) -> tuple[int, int]:
    """The least and the most of so many requests that a fair draw gives, but for this small chance at each end."""
    if share in (0.0, 1.0):
        return round(requests * share), round(requests * share)
    weights = [_binomial(requests, hits, share) for hits in range(requests + 1)]
    return _first_beyond(weights, chance), requests - _first_beyond(weights[::-1], chance)


def _first_beyond(weights: Iterable[float], chance: float) -> int:
    total = 0.0
    for place, weight in enumerate(weights):
        total += weight
        if total > chance:
            return place
    raise AssertionError("the weights of all outcomes sum to 1")


def _binomial(requests: int, hits: int, share: float) -> float:
    ways = math.lgamma(requests + 1) - math.lgamma(hits + 1) - math.lgamma(requests - hits + 1)
    return math.exp(ways + hits * math.log(share) + (requests - hits) * math.log(1 - share))


def _failures(evidence: Evidence) -> Iterator[Problem]:
    for when, found in (
        ("while the change went live", evidence.during_change),
        ("after the change", evidence.answers),
    ):
        bad = Counter(f"status {each.status or 'none'}" for each in found if not each.is_good)
        if bad:
            yield Problem(f"every page comes, with reviews, {when}", f"{_listed(bad)} of {len(found)}")
    if not evidence.answers:
        yield Problem("answers", "none")


def _wrong_shares(split: Split, found: Sequence[Answer]) -> Iterator[Problem]:
    mine = _of(split.users, found)
    versions = Counter(each.version for each in mine)
    for version in STARS:
        share = split.shares.get(version, 0.0)
        least, most = bounds(len(mine), share)
        if not least <= versions[version] <= most:
            amount = f"{least} to {most}" if least < most else f"{least}"
            yield Problem(
                f"{_named(split.users)}: {amount} of {len(mine)} answers from reviews {version}",
                f"{versions[version]}",
            )


def _wrong_stars(fault: Fault | None, found: Sequence[Answer]) -> Iterator[Problem]:
    wrong: Counter[tuple[str, str, Stars, Stars]] = Counter()
    for each in (each for each in found if each.is_good):
        expected = _stars(fault, each)
        if each.stars != expected:
            wrong[_WHO[each.user], each.version, expected, each.stars] += 1
    for (who, version, stars, seen), count in sorted(wrong.items()):
        yield Problem(f"{who}: stars of reviews {version}: {stars}", f"{seen} in {count} answers")


def _stars(fault: Fault | None, answer: Answer) -> Stars:
    own = STARS[answer.version]
    is_hit = fault is not None and fault.kind == "abort" and fault.user == answer.user and own != "none"
    return "missing" if is_hit else own


def _wrong_durations(fault: Fault | None, found: Sequence[Answer]) -> Iterator[Problem]:
    if fault is None or fault.kind != "delay":
        return
    hit, spared = _durations(fault, found)
    if hit and min(hit) < fault.seconds:
        yield Problem(
            f"{_WHO[fault.user]}: every answer takes {fault.seconds:g} s or more", f"one took {min(hit):.3f} s"
        )
    if spared and median(spared) >= fault.seconds:
        yield Problem(f"others: answers in less than {fault.seconds:g} s", f"half took {median(spared):.3f} s or more")


def _wrong_counts(fault: Fault | None, evidence: Evidence) -> Iterator[Problem]:
    seen = Counter(each.version for each in evidence.answers)
    sent = evidence.counted.sent("productpage", _REVIEWS)
    yield from _count_problems("productpage's Envoy: {} requests sent to reviews {}", seen, sent, evidence.is_ours)
    is_abort = fault is not None and fault.kind == "abort"
    lost = sum(each.stars == "missing" for each in evidence.answers) if is_abort else 0
    failed = {"failed": evidence.counted.failed_calls}
    yield from _count_problems("all Envoys: {} requests {}", {"failed": lost}, failed, evidence.is_ours)


def _count_problems(
    sentence: str, seen: Mapping[str, int], counted: Mapping[str, int], is_ours: bool
) -> Iterator[Problem]:
    """Compare our count of each thing with the Envoys'; others may add to what is there, but bring nothing new."""
    for what in sorted({*seen, *counted}):
        ours, theirs = seen.get(what, 0), counted.get(what, 0)
        if ours != theirs and (is_ours or theirs < ours or not ours):
            yield Problem(sentence.format(ours, what), f"{theirs}")


def _observed_split(split: Split, found: Sequence[Answer]) -> str:
    mine = _of(split.users, found)
    versions = Counter(each.version or "failed" for each in mine)
    shares = ", ".join(f"{version} {count / len(mine):.0%}" for version, count in sorted(versions.items()))
    return f"{_named(split.users)} {shares}"


def _observed_fault(fault: Fault, found: Sequence[Answer]) -> str:
    if fault.kind == "abort":
        lost = Counter(each.stars == "missing" for each in _of((fault.user,), found))
        return f"{_WHO[fault.user]} without stars {lost[True]}/{lost.total()}"
    hit, spared = _durations(fault, found)
    return f"{_WHO[fault.user]} {_milliseconds(hit)}, others {_milliseconds(spared)}"


def _milliseconds(durations: Sequence[float]) -> str:
    return f"{median(durations) * 1000:.0f} ms" if durations else "no answers"


def _durations(fault: Fault, found: Sequence[Answer]) -> tuple[list[float], list[float]]:
    """The durations of the answers to the user whom the fault hits, and to all others."""
    hit = [each.seconds for each in found if each.user == fault.user]
    return hit, [each.seconds for each in found if each.user != fault.user]


def _of(users: Sequence[str], found: Iterable[Answer]) -> list[Answer]:
    return [each for each in found if each.user in users]


def _named(users: Sequence[str]) -> str:
    return "everybody" if len(users) == len(_WHO) else ", ".join(_WHO[user] for user in users)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} x {what}" for what, count in counts.most_common())
