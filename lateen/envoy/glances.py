"""One glance at a request that tells, for many conditions at once, that none of them holds.

A condition that asks for one of some texts is joined with others that ask for texts in the same place: one regular
expression looks for all of them, and its cost does not grow with their number. A glance may see something where no
condition holds, but never nothing where one does.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Final

from lateen.plan.conditions import (
    ALWAYS,
    AddressIn,
    AllOf,
    AnyOf,
    Condition,
    HeaderFits,
    Not,
    PathFits,
    PeerFits,
    PeerIs,
    all_of,
    any_of,
)
from lateen.plan.types import MatchKind, TextMatch

Telling = HeaderFits | PathFits | PeerFits | PeerIs
_Place = tuple[type, str]
_MOST_ALTERNATIVES: Final = 64
_LONGEST: Final = 16 * 1024
_AROUND: Final = {
    MatchKind.EXACT: ("", ""),
    MatchKind.PREFIX: ("", "(?s:.*)"),
    MatchKind.SUFFIX: ("(?s:.*)", ""),
}


def glance(conditions: Iterable[Condition]) -> Condition:
    """Return a condition that holds wherever one of these does, and is cheaper to ask."""
    ways = [way for condition in conditions for way in _ways(condition)]
    values: defaultdict[_Place, set[str]] = defaultdict(set)
    for way in ways:
        for part in _telling(way):
            values[_place(part)].add(part.text.value)
    groups: defaultdict[_Place, list[Telling]] = defaultdict(list)
    others: list[Condition] = []
    for way in ways:
        # Of several places, the one in which requests differ most.
        best = max(_telling(way), key=lambda part: len(values[_place(part)]), default=None)
        if best is None:
            others.append(next((part for part in way if isinstance(part, AddressIn)), all_of(way)))
        else:
            groups[_place(best)].append(best)
    return any_of((*map(_joined, groups.values()), *others))


def _ways(condition: Condition) -> Iterator[tuple[Condition, ...]]:
    """Take apart in which ways a condition may hold; one with too many stays as it is."""
    match condition:
        case AnyOf(parts):
            for part in parts:
                yield from _ways(part)
        case AllOf(parts):
            split = [tuple(_ways(part)) for part in parts]
            count = 1
            for each in split:
                count *= len(each)
            if count > _MOST_ALTERNATIVES:
                split = [((part,),) for part in parts]
            for chosen in product(*split):
                yield tuple(one for each in chosen for one in each)
        case Not(AllOf(parts)):
            for part in parts:
                yield from _ways(part.part if isinstance(part, Not) else Not(part))
        case _:
            yield (condition,)


def _telling(parts: Sequence[Condition]) -> Iterator[Telling]:
    for part in parts:
        if isinstance(part, Telling) and part.text.kind in (*_AROUND, MatchKind.REGEX):
            yield part


def _place(part: Telling) -> _Place:
    match part:
        case HeaderFits(name) | PeerIs(name):
            return type(part), name
        case _:
            return type(part), ""


def _joined(parts: Sequence[Telling]) -> Condition:
    """Look for any of the texts in one place."""
    if len(parts) == 1:
        return _as_header(parts[0])
    whole = "|".join(dict.fromkeys(map(_expression, parts)))
    if len(whole) > _LONGEST:
        return _anything(parts[0])
    return _as_header(replace(parts[0], text=TextMatch(MatchKind.REGEX, whole)))


def _as_header(part: Telling) -> Condition:
    """Look for a path in the header that has it, in front of a query that there may be."""
    if not isinstance(part, PathFits):
        return part
    return HeaderFits(":path", TextMatch(MatchKind.REGEX, f"(?:{_expression(part)})(?:[?#](?s:.*))?"))


def _anything(part: Telling) -> Condition:
    """Look only whether there is anything in a place."""
    if isinstance(part, HeaderFits | PeerFits):
        return replace(part, text=replace(part.text, kind=MatchKind.PRESENT, value="", ignore_case=False))
    return ALWAYS


def _expression(part: Telling) -> str:
    text = part.text
    case = "(?i)" if text.ignore_case else ""
    if text.kind is MatchKind.REGEX:
        return f"(?:{case}{text.value})"
    before, after = _AROUND[text.kind]
    return f"(?:{case}{before}{re.escape(text.value)}{after})"
