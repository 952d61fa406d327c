"""RateLimit as users write it, and what is told to those who write it wrongly."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.api.decode import decode_yaml
from lateen.api.policy.dimensions import Aspect, Dimension, parse_dimension
from lateen.api.policy.rate_limit import RateLimit, Scope
from lateen.api.policy.rates import Rate, parse_rate

LIMIT = """
apiVersion: lateen.dev/v1
kind: RateLimit
metadata: {name: reviews}
spec:
  selector: {matchLabels: {app: reviews}}
  limits:
  - rate: 100/minute
"""

WRONG = {
    "100/minute|100": "spec.limits[0].rate: must be a rate like 100/minute or 5/10s, not 100",
    "100/minute|100/minuet": "must have one of second, minute, hour, day or a duration like 10s behind the slash",
    "100/minute|0/minute": "must let at least 1 request pass",
    "100/minute|5/1ms": "must have a window between 100ms and 366 days",
    "100/minute|unlimited": "must be a rate like 100/minute",
    "limits:\n  - rate: 100/minute|limits: []": "spec.limits: must not be an empty list: write at least one",
    "100/minute|100/minute\n    by: [source.prinzipal]": "did you mean source.principal?",
    "100/minute|100/minute\n    by: [request.headers]": "must be one of",
    "100/minute|100/minute\n    by: ['request.headers[a:b]']": "must be one of",
    "100/minute|100/minute\n    by: []": "leave `by` out to count all requests together",
    "100/minute|100/minute\n    by: [source.ip, source.ip]": "spec.limits[0].by[1]: must not name 'source.ip' twice",
    "100/minute|100/minute\n    byExpressions: ['request.path ==']": "must be an expression in CEL",
    "100/minute|100/minute\n    byExpressions: ['size(request.path)%2']": "must have a space before %",
    "100/minute|100/minute\n    byExpressions: ['request.path.matches(\"[\")']": "must compare with an RE2 expression",
    "100/minute|100/minute\n    byExpressions: ['request.path.matches(\".{99}\")']": "a shorter regular expression",
    "100/minute|100/minute\n    byExpressions: ['request.path + \"-\"']": "must not join texts with +",
    "100/minute|100/minute\n    overrides: [{values: {a: b}, rate: 1/second}]": "overrides[0].values.a: must be one of",
    "100/minute|100/minute\n    overrides: [{values: {}, rate: 1/second}]": "must name at least one value",
    "100/minute|100/minute\n    by: [source.ip, request.path]\n    overrides: [{values: {source.ip: 10.0.0.1}, rate: 1/day}]": (
        "spec.limits[0].overrides[0].values: must also have request.path"
    ),
    "100/minute|100/minute\n    cost: 101": "must be at least the cost of one request, 101, or none passes",
    "100/minute|100/minute\n    burst: 0": "spec.limits[0].burst: must be at least 1",
    "100/minute|100/minute\n    algorithm: ROLLING_WINDOW": "spec.limits[0].algorithm: must be left out",
    "100/minute|100/minute\n    match: {}": "leave `match` out to mean every request",
    "100/minute|100/minute\n    match: {paths: [a]}": "must begin with / or *",
    "100/minute|100/minute\n    match: {methods: [get]}": "must be in upper case",
    "100/minute|100/minute\n  onFailure: DENY": "spec.onFailure: must not be set with scope LOCAL",
    "100/minute|100/minute\n  store: {name: counts}": "spec.store: must not be set with scope LOCAL",
    "100/minute|100/minute\n  status: 200": "spec.status: must be the status of a failure",
    "100/minute|100/minute\n  status: 599": "spec.status: must be the status of a failure",
    "100/minute|100/minute\n  responseHeaders: {':status': '200'}": "must be a header that proxies may write",
    '100/minute|100/minute\n  responseHeaders: {x-a: "b\\nc"}': "must be one line without control characters",
    "100/minute|100/minute\n    match: {queryParams: {'': {}}}": "must not be empty",
    "100/minute|100/minute\n    match: {headers: {x a: {}}}": "must be a header name",
    "100/minute|100/minute\n    cost: 1000000001": "spec.limits[0].cost: must be at most 1000000000",
    "100/minute|100/minute\n  selectr: {}": "did you mean selector?",
    "100/minute|100/minute\n  scope: MESH": "must be one of LOCAL, GLOBAL",
    "limits:|scope: GLOBAL\n  limits:\n  - {rate: 1/second, burst: 2, algorithm: FIXED_WINDOW}": "must not come together",
}


def test_five_lines_are_enough() -> None:
    decoded = decode_yaml(LIMIT, "limit.yaml")
    assert decoded.violations == ()
    spec = decoded.objects[0].spec
    assert isinstance(spec, RateLimit)
    assert (spec.scope, spec.status, spec.headers, spec.dry_run) == (Scope.LOCAL, 429, True, False)
    assert spec.limits[0].rate == Rate(100, timedelta(minutes=1))


@pytest.mark.parametrize(("change", "told"), WRONG.items())
def test_what_is_wrong_is_told(change: str, told: str) -> None:
    old, new = change.split("|")
    assert old in LIMIT
    decoded = decode_yaml(LIMIT.replace(old, new), "limit.yaml")
    assert told in "\n".join(map(str, decoded.errors))


@given(st.integers(1, 2**31 - 1), st.sampled_from(["second", "minute", "hour", "day", "10s", "1h30m", "0.25s"]))
def test_a_rate_is_written_as_it_is_read(requests: int, window: str) -> None:
    rate = parse_rate(f"{requests}/{window}")
    assert parse_rate(str(rate)) == rate


@pytest.mark.parametrize(
    ("key", "dimension"),
    [
        ("source.principal", Dimension(Aspect.PRINCIPAL)),
        ("request.headers[X-User]", Dimension(Aspect.HEADER, ("x-user",))),
        ('request.headers["x-user"]', Dimension(Aspect.HEADER, ("x-user",))),
        ("request.query_params[Page]", Dimension(Aspect.QUERY, ("Page",))),
        ("request.auth.claims[a][b]", Dimension(Aspect.CLAIM, ("a", "b"))),
        ("request.headers[a][b]", None),
        ("request.path[a]", None),
        ("request.auth.claims[a:b]", None),
        ("expression", None),
    ],
)
def test_keys_are_those_of_conditions_and_a_few_more(key: str, dimension: Dimension | None) -> None:
    assert parse_dimension(key) == dimension


@given(st.text(max_size=40))
def test_no_text_makes_a_key_that_cannot_be_said_to_envoy(text: str) -> None:
    found = parse_dimension(f"request.headers[{text}]")
    assert found is None or not set(found.names[0]) & set("%()[]: \n")
