"""Patterns, with the engine that Envoy has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.mixer import patterns

FITS = [
    ("a", "xay"),
    ("^a$", "a"),
    (r"^\d+\z", "123"),
    (r"\Qa.b\E", "xa.by"),
    ("[[:alpha:]]+[[:digit:]]", "abc1"),
    ("x(?i)ABC", "xabc"),
    ("(?m)^b$", "a\nb\nc"),
    ("(?P<n>a)", "a"),
    (r"\pL", "é"),
    ("a|b$", "cb"),
]
MISSES = [("a$", "a\n"), (r"\w", "é"), ("^b$", "a\nb"), (r"\Qa.b\E", "axb"), ("(", "("), ("a", "\ud800a")]


@pytest.mark.parametrize(("pattern", "text"), FITS)
def test_a_pattern_fits(pattern: str, text: str) -> None:
    assert patterns.is_found(pattern, text)


@pytest.mark.parametrize(("pattern", "text"), MISSES)
def test_a_pattern_does_not_fit(pattern: str, text: str) -> None:
    assert not patterns.is_found(pattern, text)


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "a{5000}", "\ud800"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="must be a regular expression"):
        patterns.regex(pattern)


def test_no_text_makes_a_pattern_slow() -> None:
    assert not patterns.is_found("(a+)+$", "a" * 50_000 + "b")


@given(st.text("ab()[]{}|*+?.^$\\QEpPdz-:,<>i1", max_size=15), st.text(max_size=5))
def test_no_pattern_breaks_anything(pattern: str, text: str) -> None:
    assert patterns.is_found(pattern, text) in (True, False)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("a*", "abc", True),
        ("*c", "abc", True),
        ("*", "", True),
        ("*b*", "*bc", True),
        ("*b*", "abc", False),
        ("abc", "abc", True),
        ("ab", "abc", False),
    ],
)
def test_a_glob_has_one_star_at_an_end(pattern: str, text: str, fits: bool) -> None:
    assert patterns.fits_glob(text, pattern) is fits
