"""The keys of `when`: what a condition can ask about a request or a connection."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Subject(StrEnum):
    """What a condition asks about."""

    SOURCE_IP = "source.ip"
    REMOTE_IP = "remote.ip"
    SOURCE_NAMESPACE = "source.namespace"
    SOURCE_ACCOUNT = "source.serviceAccount"
    SOURCE_TRUST_DOMAIN = "source.trustDomain"
    SOURCE_PRINCIPAL = "source.principal"
    REQUEST_PRINCIPAL = "request.auth.principal"
    AUDIENCES = "request.auth.audiences"
    PRESENTER = "request.auth.presenter"
    CLAIM = "request.auth.claims"
    HEADER = "request.headers"
    DESTINATION_IP = "destination.ip"
    DESTINATION_PORT = "destination.port"
    SNI = "connection.sni"
    FILTER_METADATA = "experimental.envoy.filters."


@dataclass(frozen=True, slots=True)
class ConditionKey:
    """A key taken apart: `request.auth.claims[a][b]` is CLAIM of a, b; `request.headers[x]` is HEADER of x."""

    subject: Subject
    names: tuple[str, ...] = ()


_PARTS: Final = re.compile(r"\[([^\[\]]+)\]")
_INDEXED: Final = re.compile(r"(?P<base>[^\[\]]+)(?P<parts>(?:\[[^\[\]]+\])+)")
_PLAIN: Final = frozenset(Subject) - {Subject.CLAIM, Subject.HEADER, Subject.FILTER_METADATA}


def parse_key(text: str) -> ConditionKey | None:
    """Take a key apart; None for one that nobody knows."""
    if text in _PLAIN:
        return ConditionKey(Subject(text))
    found = _INDEXED.fullmatch(text)
    if found is None:
        return None
    base, names = found["base"], tuple(_PARTS.findall(found["parts"]))
    if base == Subject.CLAIM:
        return ConditionKey(Subject.CLAIM, names)
    if base == Subject.HEADER and len(names) == 1:
        return ConditionKey(Subject.HEADER, (names[0].lower(),))
    if base.startswith(Subject.FILTER_METADATA) and base != Subject.FILTER_METADATA:
        return ConditionKey(Subject.FILTER_METADATA, (base.removeprefix("experimental."), *names))
    return None


def known_keys() -> tuple[str, ...]:
    """List the keys as users write them."""
    shown = {Subject.CLAIM: "request.auth.claims[NAME]", Subject.HEADER: "request.headers[NAME]"}
    return tuple(shown.get(subject, subject.value) for subject in Subject if subject is not Subject.FILTER_METADATA)
