"""What a request or connection has to be, in words that a proxy can check itself.

Most of it is compared natively, which costs next to nothing; only `Says` is an expression. Nothing here can fail: what
is missing fits no comparison, and so fits every negated one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lateen.api.expressions.tree import Node
from lateen.plan.types import TextMatch


@dataclass(frozen=True, slots=True)
class HeaderFits:
    """A header is there and its text fits; `:method`, `:authority` and `:path` are headers too."""

    name: str
    text: TextMatch


@dataclass(frozen=True, slots=True)
class PathFits:
    """The path without its query fits."""

    text: TextMatch


@dataclass(frozen=True, slots=True)
class PeerFits:
    """The caller's certificate has a name that fits; no connection without a certificate does."""

    text: TextMatch


@dataclass(frozen=True, slots=True)
class PeerIs:
    """A fact that the caller's certificate attests fits: `app`, `version`, `workload` or `namespace`."""

    fact: str
    text: TextMatch


@dataclass(frozen=True, slots=True)
class AddressIn:
    """The address of the connection, or the one that it was `forwarded` for, is in a block."""

    block: str
    forwarded: bool = False


@dataclass(frozen=True, slots=True)
class Says:
    """An expression in Envoy's attributes holds. It guards what may be missing itself: an error counts as false."""

    expression: Node


@dataclass(frozen=True, slots=True)
class AllOf:
    """All parts hold; of no parts, always."""

    parts: "tuple[Condition, ...]" = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the parts holds; of no parts, never."""

    parts: "tuple[Condition, ...]" = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Condition"


Condition = HeaderFits | PathFits | PeerFits | PeerIs | AddressIn | Says | AllOf | AnyOf | Not

ALWAYS: Final = AllOf()
NEVER: Final = AnyOf()


def all_of(parts: Iterable[Condition]) -> Condition:
    """Join conditions that all have to hold, as simply as possible."""
    flat: dict[Condition, None] = {}
    for part in parts:
        if part == NEVER:
            return NEVER
        flat.update(dict.fromkeys(part.parts if isinstance(part, AllOf) else (part,)))
    return next(iter(flat)) if len(flat) == 1 else AllOf(tuple(flat))


def any_of(parts: Iterable[Condition]) -> Condition:
    """Join conditions of which one has to hold, as simply as possible."""
    flat: dict[Condition, None] = {}
    for part in parts:
        if part == ALWAYS:
            return ALWAYS
        flat.update(dict.fromkeys(part.parts if isinstance(part, AnyOf) else (part,)))
    return next(iter(flat)) if len(flat) == 1 else AnyOf(tuple(flat))


def negated(part: Condition) -> Condition:
    """Say the opposite."""
    if part == ALWAYS:
        return NEVER
    if part == NEVER:
        return ALWAYS
    return part.part if isinstance(part, Not) else Not(part)
