"""What proxies do of Mixer's rules, as plain structures that people read."""

from lateen.api.expressions import cel
from lateen.plan.conditions import (
    ALWAYS,
    NEVER,
    AddressIn,
    AllOf,
    AnyOf,
    Condition,
    HeaderFits,
    Not,
    PathFits,
    PeerFits,
    PeerIs,
    Says,
)
from lateen.plan.mixer_types import Checks, MixerGuard, Reply, Shown
from lateen.plan.plain import Plain, filled
from lateen.plan.types import MatchKind, TextMatch

_SIGNS = {MatchKind.EXACT: "=", MatchKind.PREFIX: "begins with", MatchKind.SUFFIX: "ends with", MatchKind.REGEX: "~"}


def mixer(described: MixerGuard) -> dict[str, Plain]:
    """Describe what is refused and what is asked."""
    return filled({"requests": checks(described.requests), "connections": checks(described.connections)})


def checks(described: Checks) -> dict[str, Plain]:
    """Describe denials with their answers, and what Mixer is asked about."""
    asked = described.remote.rules if described.remote else ()
    return filled(
        {
            "denied": {
                one.name: {"when": condition(one.when), "answer": _answer(one.reply)} for one in described.denials
            },
            "asked": {one.name: condition(one.when) for one in asked},
        }
    )


def condition(described: Condition) -> str:
    """Say a condition in a line."""
    if described in (ALWAYS, NEVER):
        return "always" if described == ALWAYS else "never"
    match described:
        case AllOf(parts):
            return " and ".join(map(_part, parts))
        case AnyOf(parts):
            return " or ".join(map(_part, parts))
        case Not(part):
            return f"not {_part(part)}"
        case HeaderFits(name, text):
            return _compared(f"header {name}", text)
        case PathFits(text):
            return _compared("path", text)
        case PeerFits(text):
            return (
                "the caller has a certificate" if text.kind is MatchKind.PRESENT else _compared("a caller's name", text)
            )
        case PeerIs(fact, text):
            return _compared(f"caller's {fact}", text)
        case AddressIn(block, forwarded):
            return f"{'forwarded ' if forwarded else ''}address in {block}"
        case Says(expression):
            return cel.render(expression)


def _part(described: Condition) -> str:
    said = condition(described)
    return f"({said})" if isinstance(described, AllOf | AnyOf | Says) else said


def _compared(what: str, text: TextMatch) -> str:
    if text.kind is MatchKind.PRESENT:
        return f"{what} is there"
    return f"{what} {_SIGNS[text.kind]} {text.value!r}" + (" in any case" if text.ignore_case else "")


def _answer(reply: Reply) -> str:
    return f"{reply.status} " + "".join(_shown(part) if isinstance(part, Shown) else part for part in reply.text)


def _shown(part: Shown) -> str:
    if part.header:
        return f"{{header {part.header}}}"
    if part.expression is not None:
        return f"{{{cel.render(part.expression)}}}"
    return "{principal}" if part.principal else "{address}"
