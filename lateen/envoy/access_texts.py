"""How rules compare texts, in Envoy's words: identities, hosts, paths, and any of many at once."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from envoy.type.matcher.v3 import string_pb2

from lateen.envoy.matching import regex
from lateen.plan.types import Attribute, Comparison, Pattern

_PART: Final = "[^/]"
_ANY_BYTES: Final = r"\C*"
"""Anything at all; a dot would leave out bytes that are no UTF-8."""

_WORTH_AN_EXPRESSION: Final = 4
_LONGEST_EXPRESSION: Final = 16 * 1024


def text(pattern: Pattern) -> Any:
    """Say how a text is compared; a text that is there but empty counts as missing."""
    match pattern.comparison:
        case Comparison.EXACT:
            return string_pb2.StringMatcher(exact=pattern.value)
        case Comparison.PREFIX:
            return string_pb2.StringMatcher(prefix=pattern.value)
        case Comparison.SUFFIX:
            return string_pb2.StringMatcher(suffix=pattern.value)
        case _:
            return _regex(".+")


def any_of(matchers: Sequence[Any]) -> Sequence[Any]:
    """Say any of several comparisons with as few as possible: an expression costs the same for few words and many."""
    if len(matchers) < _WORTH_AN_EXPRESSION:
        return matchers
    return [_regex("|".join(words)) for words in _bounded(map(_expression, matchers))]


def _bounded(words: Iterable[str]) -> Iterator[list[str]]:
    """Yield the words in lists that are not too long for one expression."""
    found: list[str] = []
    size = 0
    for word in words:
        if found and size + len(word) > _LONGEST_EXPRESSION:
            yield found
            found, size = [], 0
        found.append(word)
        size += len(word)
    yield found


def _expression(matcher: Any) -> str:
    """Say a comparison as an expression for the whole text."""
    match matcher.WhichOneof("match_pattern"):
        case "exact":
            return re.escape(str(matcher.exact))
        case "prefix":
            return re.escape(str(matcher.prefix)) + _ANY_BYTES
        case "suffix":
            return _ANY_BYTES + re.escape(str(matcher.suffix))
        case _:
            return f"(?:{matcher.safe_regex.regex})"


def identity(attribute: Attribute, pattern: Pattern) -> Any:
    """Say which SPIFFE ids a pattern of one of the attributes in `IDENTITIES` means."""
    return IDENTITIES[attribute](pattern)


def _principal_name(pattern: Pattern) -> Any:
    """Say a SPIFFE id; the end of one is compared without its beginning."""
    if pattern.comparison is Comparison.SUFFIX:
        return _regex(f"spiffe://.*{re.escape(pattern.value)}")
    if pattern.comparison is Comparison.EXACT:
        return string_pb2.StringMatcher(exact=f"spiffe://{pattern.value}")
    return string_pb2.StringMatcher(prefix=f"spiffe://{pattern.value}")


def _namespace(pattern: Pattern) -> Any:
    return _regex(f"spiffe://{_PART}+/ns/{_in_part(pattern)}/sa/{_PART}+")


def _account(pattern: Pattern) -> Any:
    """Say a service account as `namespace/name`; a wildcard may reach over the slash."""
    if pattern.comparison is Comparison.EXACT:
        namespace, _, name = pattern.value.partition("/")
        return _regex(f"spiffe://{_PART}+/ns/{re.escape(namespace)}/sa/{re.escape(name)}")
    namespace, slash, name = pattern.value.partition("/")
    if pattern.comparison is Comparison.PREFIX:
        rest = f"{re.escape(namespace)}/sa/{re.escape(name)}{_PART}*"
        return _regex(f"spiffe://{_PART}+/ns/" + (rest if slash else f"{re.escape(namespace)}{_PART}*/sa/{_PART}+"))
    if pattern.comparison is Comparison.SUFFIX:
        rest = f"{_PART}*{re.escape(namespace)}/sa/{re.escape(name)}"
        return _regex(f"spiffe://{_PART}+/ns/" + (rest if slash else f"{_PART}+/sa/{_PART}*{re.escape(namespace)}"))
    return _regex(f"spiffe://{_PART}+/ns/{_PART}+/sa/{_PART}+")


def _trust_domain(pattern: Pattern) -> Any:
    return _regex(f"spiffe://{_in_part(pattern)}/.*")


IDENTITIES: Final[Mapping[Attribute, Callable[[Pattern], Any]]] = {
    Attribute.PRINCIPAL: _principal_name,
    Attribute.NAMESPACE: _namespace,
    Attribute.ACCOUNT: _account,
    Attribute.TRUST_DOMAIN: _trust_domain,
}


def _in_part(pattern: Pattern) -> str:
    """Return an expression for a part of a SPIFFE id, which has no slash."""
    return {
        Comparison.EXACT: re.escape(pattern.value),
        Comparison.PREFIX: f"{re.escape(pattern.value)}{_PART}*",
        Comparison.SUFFIX: f"{_PART}*{re.escape(pattern.value)}",
    }.get(pattern.comparison, f"{_PART}+")


def host(pattern: Pattern) -> Any:
    """Say a host in any case; one that is written without a port counts with every port."""
    return text(pattern) if pattern.comparison is Comparison.PRESENT else _regex(host_expression(pattern))


def host_expression(pattern: Pattern) -> str:
    """Return a regular expression for a host in any case; one without a port fits with every port."""
    port = "" if re.search(r":[0-9]+$", pattern.value) else "(:[0-9]*)?"
    found = {
        Comparison.EXACT: f"{re.escape(pattern.value)}{port}",
        Comparison.PREFIX: f"{re.escape(pattern.value)}.*",
        Comparison.SUFFIX: f".*{re.escape(pattern.value)}{port}",
    }[pattern.comparison]
    return f"(?i){found}"


def path(pattern: Pattern) -> Any:
    """Say a path; a template as an expression and not by Envoy's own matcher, which fits no path with rarer letters."""
    is_template = pattern.comparison is Comparison.TEMPLATE
    return _regex(template_expression(pattern.value)) if is_template else text(pattern)


def template_expression(template: str, letter: str = ".", letter_in_segment: str = _PART) -> str:
    """Return a regular expression for a path template: `{*}` is one segment, `{**}` any number of them."""
    wild = {"{*}": f"{letter_in_segment}+", "{**}": f"{letter}*"}
    return "".join(wild.get(part, re.escape(part)) for part in re.split(r"(\{\*\*?\})", template))


def _regex(expression: str) -> Any:
    return string_pb2.StringMatcher(safe_regex=regex(expression))
