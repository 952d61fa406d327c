"""Who calls, by what certificates say; what they do not say, the directory of workloads knows of whom they name."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from lateen import names
from lateen.mixer.operands import CALLER_KNOWN, Alternative, Alternatives, Known, Peer, PeerFact, PeerPart, Unsayable
from lateen.mixer.places import Place
from lateen.model.callers import ATTESTED_LABELS, Caller
from lateen.names import UNKNOWN
from lateen.plan.conditions import NEVER, Condition, Not, PeerFits, PeerIs, all_of, any_of
from lateen.plan.types import MatchKind, TextMatch

_FACTS: Final = {
    "source.namespace": "namespace",
    "source.workload.namespace": "namespace",
    "source.workload.name": "workload",
    "source.name": "instance",
}
_PARTS: Final = {part.value: part for part in PeerPart}
_UID: Final = "kubernetes://"
_SPIFFE: Final = "spiffe://"
_NOBODY: Final = TextMatch(MatchKind.EXACT, UNKNOWN)


def attribute(name: str) -> Alternatives:
    """Say an attribute of the caller."""
    if name in _FACTS:
        return _attested(_FACTS[name])
    if name not in _PARTS:
        raise Unsayable(f"certificates do not say {name}")
    return (Alternative(Peer(_PARTS[name]), there=CALLER_KNOWN),)


def label(key: str, place: Place) -> Alternatives:
    """Say a label of the caller; certificates say `app` and `version`."""
    return _attested(key) if key in ATTESTED_LABELS else _of_directory(key, place)


def _attested(fact: str) -> Alternatives:
    there = all_of((CALLER_KNOWN, Not(PeerIs(fact, _NOBODY))))
    return (Alternative(PeerFact(fact), there=there),)


def fact_fits(fact: str, text: TextMatch) -> Condition:
    """Say when a fact of the caller fits a text; what is not attested fits none."""
    written = names.peer_text(text.value)
    if text.kind is MatchKind.EXACT:
        return NEVER if text.value in ("", UNKNOWN) else PeerIs(fact, replace(text, value=written))
    if written != text.value and text.kind is not MatchKind.REGEX:
        raise Unsayable(f"certificates write {text.value!r} in another way where a label begins or ends with it")
    return all_of((PeerIs(fact, text), CALLER_KNOWN, Not(PeerIs(fact, _NOBODY))))


def fits(part: PeerPart, kind: MatchKind, text: str) -> Condition:
    """Say when a name in the caller's certificate fits; raises `Unsayable` for what cannot be told from it."""
    if kind is MatchKind.REGEX or (part is PeerPart.UID and kind is not MatchKind.EXACT):
        raise Unsayable(f"{part} is compared as a whole, or by its beginning or end")
    return _instance(text) if part is PeerPart.UID else _principal(kind, text.removeprefix(_SPIFFE))


def _principal(kind: MatchKind, text: str) -> Condition:
    if kind is MatchKind.SUFFIX:
        return PeerFits(TextMatch(MatchKind.REGEX, f"{_SPIFFE}.*{re.escape(text)}"))
    return PeerFits(TextMatch(kind, f"{_SPIFFE}{text}"))


def _instance(uid: str) -> Condition:
    name, _, namespace = uid.removeprefix(_UID).rpartition(".")
    return _all_are({"namespace": namespace, "instance": name}) if uid.startswith(_UID) and name else NEVER


def _of_directory(key: str, place: Place) -> Alternatives:
    """Say a label of callers by who they are, as the directory knows them."""
    by_value: defaultdict[str, list[Condition]] = defaultdict(list)
    for caller in place.callers:
        value = dict(caller.labels).get(key)
        if value is not None:
            by_value[value].append(_is_caller(caller))
    values = tuple((value, any_of(by_value[value])) for value in sorted(by_value))
    known = Known(f'source.labels["{key}"]', values)
    return (Alternative(known, there=any_of(callers for _, callers in values)),)


def _is_caller(caller: Caller) -> Condition:
    if caller.name:
        return _all_are({"namespace": caller.namespace, "instance": caller.name})
    return _all_are({"namespace": caller.namespace, "app": caller.app, "version": caller.version})


def _all_are(facts: Mapping[str, str]) -> Condition:
    return all_of(PeerIs(fact, TextMatch(MatchKind.EXACT, names.peer_text(text))) for fact, text in facts.items())
