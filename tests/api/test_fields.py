"""Single values as users write them."""

from datetime import timedelta

import pytest

from lateen.api import fields

DURATIONS = {
    "0s": timedelta(),
    "0": timedelta(),
    "100ms": timedelta(milliseconds=100),
    "1h30m": timedelta(minutes=90),
    "1.5s": timedelta(seconds=1.5),
    "2m0.25s": timedelta(minutes=2, milliseconds=250),
    "-1s": timedelta(seconds=-1),
}


@pytest.mark.parametrize(("text", "duration"), DURATIONS.items())
def test_durations_are_read_and_written(text: str, duration: timedelta) -> None:
    assert fields.parse_duration(text) == duration
    assert fields.parse_duration(fields.format_duration(duration)) == duration


@pytest.mark.parametrize("text", ["", "1", "s", "1d", "1 s", "1s ", "1e3s", 5, None, True, "9" * 400 + "h"])
def test_other_texts_are_no_durations(text: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        fields.parse_duration(text)


@pytest.mark.parametrize(
    "pattern",
    [
        ".*",
        r"^/api/v[0-9]+/(?P<id>\d+)$",
        r"(?i)get|post",
        r"\p{Greek}+",
        r"[[:alpha:]]+",
        r"a\z",
        r"(?U)a+",
        r"a(?i)b",
        r"\Qa.b\E",
        r"[(?=]",
    ],
)
def test_re2_expressions_are_accepted(pattern: str) -> None:
    assert fields.check_regex(pattern) == pattern


@pytest.mark.parametrize(
    "pattern", ["(", "a**", r"(a)\1", "(?!a)", "(?<=a)b", "(?P=x)", "(?>a)", "a++", "[b-a]", "*", r"a\Z"]
)
def test_what_re2_does_not_know_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="regular expression"):
        fields.check_regex(pattern)


HOSTS = {
    "reviews": True,
    "*.example.com": True,
    "*": True,
    "10.0.0.1": True,
    "a_b.c": True,
    "*-edge.example.com": True,
    "": False,
    "a b": False,
    "a.*.com": False,
    "http://a": False,
    "a:80": False,
    "-a": False,
}


@pytest.mark.parametrize(("host", "valid"), HOSTS.items())
def test_hosts(host: str, valid: bool) -> None:
    if valid:
        assert fields.check_wildcard_host(host) == host
    else:
        with pytest.raises(ValueError, match="must be a host name"):
            fields.check_wildcard_host(host)
