"""What requests are called in public, and where they carry their API keys: HTTPAPISpecs of the called service."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from lateen.api.mixer.services import ApiKeyPlace, ApiPattern, HttpApiSpec
from lateen.mixer import patterns

DEFAULT_PLACES: Final = (
    ApiKeyPlace(query="key"),
    ApiKeyPlace(query="api_key"),
    ApiKeyPlace(header="x-api-key"),
)
"""Where API keys are looked for, in this order, where no HTTPAPISpec says another place."""

_VARIABLE: Final = re.compile(r"\{([+#./;?&]?)([^}]*)\}")
_NO_SLASH: Final = "[^/?#]+"
_ANYTHING: Final = "[^?#]+"


def attributes(specs: Iterable[HttpApiSpec], method: str, path: str) -> Mapping[str, str]:
    """Return the attributes that specs give a request: their own, and those of the first pattern that fits.

    The path is without query; what a later spec says of the same attribute does not count.
    """
    found: dict[str, str] = {}
    for spec in specs:
        pattern = next((each for each in spec.patterns if _fits(each, method, path)), None)
        said = {**spec.attributes, **(pattern.attributes if pattern is not None else {})}
        found = {**said, **found}
    return found


def key_places(specs: Iterable[HttpApiSpec]) -> tuple[ApiKeyPlace, ...]:
    """Return where a request may carry its API key, in the order in which the places are looked at."""
    return tuple(place for spec in specs for place in spec.api_keys) or DEFAULT_PLACES


def api_key(
    places: Iterable[ApiKeyPlace], query: Mapping[str, str], headers: Mapping[str, str], cookies: Mapping[str, str]
) -> str:
    """Return the API key of a request; empty where it has none."""
    return next(_keys(places, query, headers, cookies), "")


def _keys(
    places: Iterable[ApiKeyPlace], query: Mapping[str, str], headers: Mapping[str, str], cookies: Mapping[str, str]
) -> Iterator[str]:
    for place in places:
        found = (
            query.get(place.query or ""),
            headers.get((place.header or "").lower()),
            cookies.get(place.cookie or ""),
        )
        yield from filter(None, found)


def path_regex(pattern: ApiPattern) -> str:
    """Return the regular expression that the whole path of a request must fit."""
    return pattern.regex if pattern.regex is not None else template_regex(pattern.uri_template or "/")


@lru_cache(maxsize=1024)
def template_regex(template: str) -> str:
    """Return a template of RFC 6570 as a regular expression for a path without query."""
    parts: list[str] = []
    at = 0
    for found in _VARIABLE.finditer(template):
        parts.append(re.escape(template[at : found.start()]))
        parts.append(_variable(found[1], found[2].split(",")))
        at = found.end()
    return "".join(parts) + re.escape(template[at:])


def _variable(operator: str, names: list[str]) -> str:
    """Return what the variables of one expression may be; those of queries and fragments are no part of a path."""
    if operator in ("?", "&", "#"):
        return ""
    if operator == "+":
        return _ANYTHING
    sign = {"/": "/", ".": r"\.", ";": ";"}.get(operator, "")
    one = sign + (_ANYTHING if names[-1].endswith("*") else _NO_SLASH)
    return one if sign else ",".join([_NO_SLASH] * len(names)) if len(names) > 1 else one


def _fits(pattern: ApiPattern, method: str, path: str) -> bool:
    if pattern.http_method and pattern.http_method.upper() != method:
        return False
    try:
        return patterns.regex(path_regex(pattern)).fullmatch(path) is not None
    except ValueError:
        return False
