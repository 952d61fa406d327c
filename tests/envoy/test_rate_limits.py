"""What the real Envoy counts, for limits as users write them, and what it changes in headers."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2
from hypothesis import given
from hypothesis import strategies as st

from lateen.envoy import unknown_fields
from lateen.envoy.http_filters import local_ratelimit
from lateen.plan.processing_types import HeaderAction, HeaderChange, HeaderChanges
from lateen.plan.types import Guards
from tests import tokens
from tests.envoy.guarded import Guarded, guarded, plan
from tests.plan import worlds

LIMITS = """
apiVersion: lateen.dev/v1
kind: RateLimit
metadata: {name: many.parts}
spec:
  limits:
  - {rate: 2/day, match: {paths: [/exact]}}
  - {rate: 2/day, match: {paths: [/prefix/*, "*.css", "/t/{*}/x"]}}
  - {rate: 2/day, match: {paths: [/headers], headers: {x-a: {prefix: b}, x-c: {}}}}
  - {rate: 2/day, match: {paths: [/query], queryParams: {q: {exact: "1"}}}}
  - {rate: 2/day, match: {paths: [/when], when: 'request.headers["x-a"] == "b"'}}
  - {rate: 2/day, match: {methods: [POST]}}
  - {rate: 2/day, match: {hosts: [other.example.com]}}
  - rate: 2/day
    match: {paths: [/by]}
    by: ["request.headers[x-user]", "request.query_params[page]"]
    overrides:
    - {values: {"request.headers[x-user]": vip, "request.query_params[page]": "9"}, rate: unlimited}
    - {values: {"request.headers[x-user]": ben, "request.query_params[page]": "9"}, rate: 1/day}
  - {rate: 2/day, match: {paths: [/expression]}, byExpressions: ['request.headers["x-user"]']}
  - {rate: 100/day, burst: 3, match: {paths: [/burst]}}
  - {rate: 5/day, cost: 2, match: {paths: [/cost]}}
"""


TOKENS = """
  - {rate: 1/day, match: {paths: [/claim]}, by: ["request.auth.claims[team][name]"]}
  - {rate: 1/day, match: {paths: [/principal]}, by: [request.auth.principal]}
"""


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(plan(LIMITS), tmp_path_factory.mktemp("limited")) as running:
        yield running


def passed(limited: Guarded, path: str, **headers: str) -> int:
    """How many of six equal requests pass; the others are refused as limits refuse."""
    statuses = [limited.ask(path, **headers).status for _ in range(6)]
    assert set(statuses) <= {200, 429}
    return statuses.count(200)


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/exact?any=query", {}, 2),
        ("/exactly", {}, 6),
        ("/exact/", {}, 6),
        ("/prefix/a?b", {}, 2),
        ("/prefix", {}, 6),
        ("/page?name=a.css", {}, 6),
        ("/headers", {"x_a": "bc", "x_c": "any"}, 2),
        ("/headers", {"x_a": "cb", "x_c": "any"}, 6),
        ("/headers", {"x_a": "bc"}, 6),
        ("/query?q=1", {}, 2),
        ("/query?q=2", {}, 6),
        ("/when", {"x_a": "b"}, 2),
        ("/when", {"x_a": "c"}, 6),
        ("/when", {}, 6),
        ("/any", {"host": "other.example.com"}, 2),
        ("/by", {}, 2),
        ("/by?page=1", {}, 2),
        ("/by", {"x_user": "anna"}, 2),
        ("/by?page=9", {"x_user": "ben"}, 1),
        ("/by?page=9", {"x_user": "vip"}, 6),
        ("/by?page=8", {"x_user": "vip"}, 2),
        ("/expression", {"x_user": "anna"}, 2),
        ("/expression", {}, 2),
        ("/burst", {}, 3),
        ("/cost", {}, 2),
    ],
)
def test_a_limit_counts_the_requests_that_it_means(
    limited: Guarded, path: str, headers: dict[str, str], expected: int
) -> None:
    assert passed(limited, path, **headers) == expected


def test_tokens_are_told_apart_by_what_they_claim(tmp_path: Path) -> None:
    rules = f"jwtRules: [{{issuer: {tokens.ISSUER}, jwks: '{tokens.key_set(tokens.ec_key())}'}}]"
    authentication = f"kind: RequestAuthentication\nmetadata: {{name: users}}\nspec:\n  {rules}"
    limits = LIMITS.partition("limits:")[0] + "limits:" + TOKENS
    made = plan(f"apiVersion: security.istio.io/v1\n{authentication}\n---\n{limits}")
    with guarded(made, tmp_path) as running:

        def allowed(path: str, *claims: dict[str, Any]) -> list[int]:
            held = [tokens.ec_key().token(one) for one in claims]
            return [sum(running.ask(path, one).status == 200 for _ in range(4)) for one in held]

        assert allowed("/claim", {"team": {"name": "a"}}, {"team": {"name": "b"}}, {}, {"team": "a"}) == [1, 1, 1, 0]
        assert allowed("/principal", {"sub": "anna"}, {"sub": "ben"}) == [1, 1]
        assert running.ask("/principal").status == 200
        assert running.ask("/principal").status == 429


def test_an_empty_value_is_counted_with_those_that_lack_it(limited: Guarded) -> None:
    assert passed(limited, "/by?page=empty", x_user="") + passed(limited, "/by?page=empty") == 2


def test_alternatives_of_one_limit_are_counted_together(limited: Guarded) -> None:
    assert passed(limited, "/a.css") + passed(limited, "/t/1/x") == 0, "what /prefix/a has used up"


def test_the_rest_is_told_and_when_there_is_more() -> None:
    made = plan(LIMITS).guards.everywhere.limits[0]
    wire = local_ratelimit.local_rate_limit(made).SerializeToString()
    quiet = local_ratelimit.local_rate_limit(replace(made, tells_rest=False)).SerializeToString()
    assert wire.endswith(b"\x98\x01\x01"), "the field enable_retry_after_header of Envoy 1.40"
    assert not quiet.endswith(b"\x98\x01\x01")


@given(st.integers(1, 2**29 - 1))
def test_a_field_is_written_by_its_number(number: int) -> None:
    message = local_rate_limit_pb2.LocalRateLimit()
    if number not in message.DESCRIPTOR.fields_by_number:
        unknown_fields.set_flag(message, number)
        assert message.SerializeToString().endswith(b"\x01")
        assert type(message).FromString(message.SerializeToString()) == message


def test_headers_are_changed_where_there_is_something_to_change(tmp_path: Path) -> None:
    replaced, appended, removed = HeaderAction.REPLACE, HeaderAction.APPEND, HeaderAction.REMOVE
    changes = HeaderChanges(
        request=(
            HeaderChange("x-user", replaced, "%CEL(request.path)%"),
            HeaderChange("x-more", appended, "new"),
            HeaderChange("x-gone", removed),
            HeaderChange("x-empty", replaced, "%REQ(x-nothing)%"),
        ),
        response=(HeaderChange("x-answer", replaced, "to %REQ(x-user)%"),),
    )
    made = plan(worlds.SHOP)
    guards = Guards(replace(made.guards.everywhere, headers=(changes,)))
    with guarded(replace(made, guards=guards), tmp_path) as running:
        answer = running.ask("/path", x_user="spoofed", x_more="old", x_gone="here", x_empty="kept")
    seen = json.loads(answer.body)["headers"]
    assert (seen["x-user"], "x-gone" in seen, seen["x-empty"]) == ("/path", False, "kept")
    assert "new" in seen["x-more"]
    assert answer.headers["x-answer"] == "to /path"
