"""Texts against patterns: RE2's regular expressions and Mixer's globs.

The engine is RE2 itself, which Envoy uses too: what fits here fits there, and no text makes it slow.
"""

from functools import lru_cache
from typing import Final, Protocol

import re2


class Pattern(Protocol):
    """A compiled regular expression."""

    def search(self, text: str) -> object | None:
        """Return something if the pattern fits some part of the text."""
        ...

    def fullmatch(self, text: str) -> object | None:
        """Return something if the pattern fits the whole text."""
        ...


_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False


@lru_cache(maxsize=4096)
def regex(pattern: str) -> Pattern:
    """Return a compiled pattern; raises `ValueError` for a text that is none."""
    try:
        compiled: Pattern = re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        raise ValueError(f"must be a regular expression of RE2: {_reason(error)}: {pattern!r}") from None
    except UnicodeEncodeError:
        raise ValueError(f"must be a regular expression of Unicode text, not {pattern!r}") from None
    return compiled


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)


def is_found(pattern: str, text: str) -> bool:
    """Tell whether a regular expression fits some part of a text; one that is none fits nothing."""
    try:
        return regex(pattern).search(text) is not None
    except ValueError:
        return False


def fits_glob(text: str, pattern: str) -> bool:
    """Tell whether a text fits Mixer's `match`: `*` at the end is any end, else `*` at the beginning any beginning."""
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    return text == pattern
