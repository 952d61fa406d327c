"""Routes, as Envoy reads them."""

from datetime import timedelta
from typing import Any

import pytest

from lateen.envoy.matching import route_match
from lateen.envoy.route_actions import redirect_action, route_action
from lateen.envoy.routes import route, virtual_host
from lateen.plan.types import (
    Forward,
    HashKey,
    MatchKind,
    NamedMatch,
    Redirect,
    RequestMatch,
    Retry,
    Rewrite,
    Route,
    Target,
    TextMatch,
    VirtualHost,
)

from .acceptance import as_json
from .plans import ANY, EVERY_ACTION, V1, exact, prefix, regex, to

TIMEOUTS = {"timeout": "0s", "max_stream_duration": {"grpc_timeout_header_max": "0s"}}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (None, {"prefix": "/"}),
        (exact("/a"), {"path": "/a"}),
        (prefix("/a"), {"prefix": "/a"}),
        (regex("/a.*"), {"safe_regex": {"regex": "/a.*"}}),
        (TextMatch(MatchKind.PREFIX, "/a", ignore_case=True), {"prefix": "/a", "case_sensitive": False}),
        (TextMatch(MatchKind.REGEX, "/a", ignore_case=True), {"safe_regex": {"regex": "(?i)/a"}}),
    ],
)
def test_paths_are_matched(path: TextMatch | None, said: dict[str, Any]) -> None:
    assert as_json(route_match(RequestMatch(path))) == said


@pytest.mark.parametrize(
    ("match", "said"),
    [
        (exact("a"), {"string_match": {"exact": "a"}}),
        (TextMatch(MatchKind.PRESENT), {"present_match": True}),
        (TextMatch(MatchKind.PRESENT, inverted=True), {"present_match": True, "invert_match": True}),
        (
            TextMatch(MatchKind.EXACT, "a", inverted=True),
            {"string_match": {"exact": "a"}, "invert_match": True, "treat_missing_header_as_empty": True},
        ),
    ],
)
def test_headers_are_matched(match: TextMatch, said: dict[str, Any]) -> None:
    assert as_json(route_match(RequestMatch(headers=(NamedMatch("x", match),))))["headers"] == [{"name": "x", **said}]


def test_a_plain_forward_has_no_timeout_and_an_operation() -> None:
    assert as_json(route(Route(ANY, to(V1), name="default"))) == {
        "name": "default",
        "match": {"prefix": "/"},
        "route": {"cluster": V1, **TIMEOUTS},
        "decorator": {"operation": "reviews.default.svc.cluster.local:9080/*"},
    }


def test_a_virtual_host_counts_attempts() -> None:
    said = as_json(virtual_host(VirtualHost("v", ("a", "b"), (), requires_tls=True)))
    assert said == {"name": "v", "domains": ["a", "b"], "require_tls": "ALL", "include_request_attempt_count": True}


def test_a_route_says_which_object_it_came_from() -> None:
    assert as_json(route(EVERY_ACTION[0]))["metadata"] == {
        "filter_metadata": {
            "istio": {"config": "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews"}
        }
    }


@pytest.mark.parametrize(
    ("rewrite", "said"),
    [
        (Rewrite(prefix="/n", authority="h"), {"prefix_rewrite": "/n", "host_rewrite_literal": "h"}),
        (Rewrite(path="/n"), {"regex_rewrite": {"pattern": {"regex": "^.*$"}, "substitution": "/n"}}),
        (Rewrite(path=r"/\1"), {"regex_rewrite": {"pattern": {"regex": "^.*$"}, "substitution": r"/\\1"}}),
        (
            Rewrite(regex="a(.)", substitution=r"\1"),
            {"regex_rewrite": {"pattern": {"regex": "a(.)"}, "substitution": r"\1"}},
        ),
    ],
)
def test_requests_are_rewritten(rewrite: Rewrite, said: dict[str, Any]) -> None:
    assert as_json(route_action(Forward((Target(V1),), rewrite=rewrite))) == {"cluster": V1, **TIMEOUTS, **said}


def test_a_retry_goes_to_another_endpoint() -> None:
    retry = Retry(2, ("connect-failure", "refused-stream"), backoff=timedelta(milliseconds=50))
    said = as_json(route_action(Forward((Target(V1),), retry=retry)))["retry_policy"]
    (predicate,) = said.pop("retry_host_predicate")
    assert predicate["name"] == "envoy.retry_host_predicates.previous_hosts"
    assert said == {
        "retry_on": "connect-failure,refused-stream",
        "num_retries": 2,
        "host_selection_retry_max_attempts": "5",
        "retry_back_off": {"base_interval": "0.050s"},
    }


def test_no_attempts_are_no_retries() -> None:
    assert "retry_policy" not in as_json(route_action(Forward((Target(V1),), retry=Retry(0, ()))))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (HashKey(header="x"), {"header": {"header_name": "x"}}),
        (HashKey(cookie="c", cookie_path="/"), {"cookie": {"name": "c", "path": "/"}}),
        (HashKey(cookie="c", cookie_ttl=timedelta(0)), {"cookie": {"name": "c", "ttl": "0s"}}),
        (HashKey(query="q"), {"query_parameter": {"name": "q"}}),
        (HashKey(source_ip=True), {"connection_properties": {"source_ip": True}}),
    ],
)
def test_hash_keys(key: HashKey, said: dict[str, Any]) -> None:
    assert as_json(route_action(Forward((Target(V1),), hash_keys=(key,))))["hash_policy"] == [said]


def test_a_redirect_keeps_what_is_empty() -> None:
    assert as_json(redirect_action(Redirect())) == {}
    assert as_json(redirect_action(Redirect(307, "https", "h", 8443, path="/p"))) == {
        "response_code": "TEMPORARY_REDIRECT",
        "scheme_redirect": "https",
        "host_redirect": "h",
        "port_redirect": 8443,
        "path_redirect": "/p",
    }
