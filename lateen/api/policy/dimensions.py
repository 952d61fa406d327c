"""What requests are told apart by: keys as in `when` of an AuthorizationPolicy, and a few more."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator

from lateen.api.parsing import near


class Aspect(StrEnum):
    """What of a request is looked at. HEADER, QUERY and CLAIM also have names; EXPRESSION is written in CEL."""

    PRINCIPAL = "source.principal"
    SOURCE_IP = "source.ip"
    REMOTE_IP = "remote.ip"
    REQUEST_PRINCIPAL = "request.auth.principal"
    CLAIM = "request.auth.claims"
    HEADER = "request.headers"
    QUERY = "request.query_params"
    PATH = "request.path"
    METHOD = "request.method"
    HOST = "request.host"
    EXPRESSION = "expression"


@dataclass(frozen=True, slots=True)
class Dimension:
    """An aspect of a request, whose values are counted apart; for an EXPRESSION, `names` is its one text."""

    aspect: Aspect
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.aspect is Aspect.EXPRESSION:
            return self.names[0]
        return self.aspect.value + "".join(f"[{name}]" for name in self.names)


_NAMED: Final = frozenset({Aspect.CLAIM, Aspect.HEADER, Aspect.QUERY})
_PLAIN: Final = frozenset(Aspect) - _NAMED - {Aspect.EXPRESSION}
_PARTS: Final = re.compile(r"\[([^\[\]]+)\]")
_INDEXED: Final = re.compile(r"(?P<base>[a-z_.]+)(?P<parts>(?:\[[^\[\]]+\])+)")
_QUOTED: Final = re.compile(r"(['\"])(.*)\1")
_NAME: Final = re.compile(r"[!#$&'*+\-.^_`|~0-9A-Za-z]+")
"""What header names consist of; others would have to be escaped where Envoy reads them."""

_CLAIM_NAME: Final = re.compile(r"[^:%()\s\[\]]+")


def parse_dimension(text: str) -> Dimension | None:
    """Take a key apart; None for one that nobody knows."""
    if text in _PLAIN:
        return Dimension(Aspect(text))
    found = _INDEXED.fullmatch(text)
    if found is None or found["base"] not in _NAMED:
        return None
    aspect = Aspect(found["base"])
    names = tuple(_unquoted(part) for part in _PARTS.findall(found["parts"]))
    allowed = _CLAIM_NAME if aspect is Aspect.CLAIM else _NAME
    if (aspect is not Aspect.CLAIM and len(names) != 1) or not all(map(allowed.fullmatch, names)):
        return None
    return Dimension(aspect, tuple(map(str.lower, names)) if aspect is Aspect.HEADER else names)


def known_keys() -> tuple[str, ...]:
    """List the keys as users write them."""
    shown = (f"{aspect.value}[NAME]" if aspect in _NAMED else aspect.value for aspect in Aspect)
    return tuple(key for key in shown if key != Aspect.EXPRESSION)


def check_key(text: str) -> str:
    """Return the text if it is a key that requests can be told apart by."""
    if parse_dimension(text) is None:
        known = ", ".join(known_keys())
        raise ValueError(f"must be one of {known}, not {text!r}{near(text, list(known_keys()), listed=0)}")
    return text


def _unquoted(text: str) -> str:
    found = _QUOTED.fullmatch(text)
    return found[2] if found else text


Key = Annotated[str, AfterValidator(check_key)]
