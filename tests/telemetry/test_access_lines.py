"""Lines of access logs, read again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.telemetry import access_lines

LINE = (
    '[2026-11-23T07:50:53.159Z] "GET /reviews/0 HTTP/1.1" 503 UF '
    "upstream_reset_before_response_started{connection_failure} - "
    '"delayed connect error: 111" 0 17 12 - "-" "curl/7.88.1 \\"x\\"" "ff30" "reviews:9080" "10.244.1.3:9080" '
    "outbound|9080||reviews.default.svc.cluster.local - 10.96.1.1:9080 10.244.1.2:40000 - default\n"
)


def test_a_line_of_text_is_read() -> None:
    found = access_lines.read_line(LINE)
    assert found is not None
    assert {name: found[name] for name in ("start_time", "method", "path", "response_code", "response_flags")} == {
        "start_time": "2026-11-23T07:50:53.159Z",
        "method": "GET",
        "path": "/reviews/0",
        "response_code": "503",
        "response_flags": "UF",
    }
    assert (found.service, found.caller_address, found.is_inbound) == (
        "reviews.default.svc.cluster.local",
        "10.244.1.2",
        False,
    )


def test_a_line_of_json_is_read() -> None:
    said = {"start_time": "2026", "response_code": 200, "upstream_cluster": "inbound|9080||", "authority": "a:80"}
    found = access_lines.read_line(json.dumps(said))
    assert found is not None
    assert (found["response_code"], found.service, found.is_inbound) == ("200", "a", True)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[2026-11-23 07:36:21.880][28667][warning][config] [source/x.cc:1] something: happened",
        '{"type": "audit", "start_time": "2026"}',
        "{",
        "[]",
    ],
)
def test_what_is_no_record_of_a_call_is_passed_over(line: str) -> None:
    assert access_lines.read_line(line) is None


@pytest.mark.parametrize(
    ("code", "wanted", "expected"),
    [
        ("503", "5xx", True),
        ("503", "503", True),
        ("404", "5xx,404", True),
        ("404", "400-403", False),
        ("403", "400-403", True),
        ("200", "5xx", False),
        ("", "5xx", False),
    ],
)
def test_a_status_is_as_a_filter_says(code: str, wanted: str, expected: bool) -> None:
    assert access_lines.status_matches(code, wanted) is expected


@given(st.text(alphabet=st.sampled_from('[]" -ab{}:\\1|')))
def test_no_line_breaks_the_reader(line: str) -> None:
    access_lines.read_line(line)
