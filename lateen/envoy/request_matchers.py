"""Which requests a policy is about, as comparisons of headers: path, method and host are headers as well."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import string_pb2

from lateen.envoy import access_texts, matching
from lateen.plan.rate_limit_types import CountedRequests
from lateen.plan.types import Comparison, Pattern

_LETTER: Final = "[^?#]"
_LETTER_IN_SEGMENT: Final = "[^/?#]"
_QUERY: Final = "([?#].*)?"


def header_matchers(requests: CountedRequests) -> Iterator[Any]:
    """Yield comparisons that all hold for the requests that are meant; none for all requests."""
    for name, expressions in (
        (":authority", [access_texts.host_expression(one) for one in _particular(requests.hosts)]),
        (":method", [_expression(one, ".") for one in _particular(requests.methods)]),
        (":path", [path_expression(one) for one in _particular(requests.paths)]),
    ):
        if expressions:
            yield _any_of(name, expressions)
    yield from map(matching.header_matcher, requests.headers)


def path_expression(pattern: Pattern) -> str:
    """Return a regular expression for a path with any query."""
    if pattern.comparison is Comparison.TEMPLATE:
        return access_texts.template_expression(pattern.value, _LETTER, _LETTER_IN_SEGMENT) + _QUERY
    return _expression(pattern, _LETTER) + _QUERY


def _particular(patterns: tuple[Pattern, ...]) -> tuple[Pattern, ...]:
    """Return the patterns, or none where one of them is `*`: every request has host, method and path."""
    return () if any(one.comparison is Comparison.PRESENT for one in patterns) else patterns


def _expression(pattern: Pattern, letter: str) -> str:
    text = re.escape(pattern.value)
    return {Comparison.PREFIX: f"{text}{letter}*", Comparison.SUFFIX: f"{letter}*{text}"}.get(pattern.comparison, text)


def _any_of(name: str, expressions: Iterable[str]) -> Any:
    joined = "|".join(f"(?:{one})" for one in expressions)
    text = string_pb2.StringMatcher(safe_regex=matching.regex(joined))
    return route_components_pb2.HeaderMatcher(name=name, string_match=text)
