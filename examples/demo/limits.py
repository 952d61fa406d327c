"""What came of a caller in a hurry, beside what a step promises. Pure."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from access import Finding
from checks import Problem
from steps import Hurry

_PASSED: Final = 200
_REFUSED: Final = 429


class Hasty(NamedTuple):
    """The answer to one of many calls.

    `retry_after` is empty where nobody was told to come back, `limit` where no limit has counted it.
    """

    status: int
    limit: str
    retry_after: str


def hurried(hurry: Hurry, answers: Sequence[Hasty]) -> Finding:
    """Judge how many calls passed, and whether all others were refused and told when to come back."""
    seen = Counter(one.status for one in answers)
    wanted = Counter({_PASSED: hurry.passed, _REFUSED: hurry.calls - hurry.passed})
    told = [one.retry_after for one in answers if one.status == _REFUSED]
    problems = [Problem(_listed(wanted), _listed(seen))] if seen != wanted else []
    if not all(text.isdigit() for text in told):
        problems.append(Problem("who is refused is told when to come back", ", ".join(told)))
    facts = [f"{hurry.caller.rpartition('/')[2]} calls {hurry.service} {len(answers)} times: {_listed(seen)}"]
    facts += [f"it is told to come back in {told[0]} s"] if told else []
    return Finding(tuple(facts), _listed(seen), tuple(problems))


def freed(file: str, answers: Sequence[Hasty]) -> Finding:
    """Judge whether all calls pass when the file with the limit is removed."""
    seen, wanted = Counter(one.status for one in answers), Counter({_PASSED: len(answers)})
    problems = (Problem(f"{_listed(wanted)} when {file} is removed", _listed(seen)),) if seen != wanted else ()
    return Finding((f"{file} removed: {_listed(seen)}",), f"{_listed(seen)} without it", problems)


def _listed(statuses: Counter[int]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
