"""A real Envoy lets pass what the policies allow, and nothing else."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lateen.plan import verdicts
from lateen.plan.types import ClaimMatch, Forward, MatchKind, RequestMatch, Respond, Route, Target, TextMatch
from lateen.plan.verdicts import Call
from tests import tokens

from .authorizers import grpc_authorizer, http_authorizer
from .guarded import SERVER, Guarded, guarded, plan
from .plans import exact

pytestmark = pytest.mark.live

RULES = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow}
spec:
  rules:
  - to: [{operation: {paths: [/open, "/t/{*}/x", "/d/{**}"], methods: [GET], hosts: [ok.example.com]}}]
  - to: [{operation: {hosts: ["*.wild.example.com"], notPaths: [/closed]}}]
  - to: [{operation: {hosts: [ports.example.com], notPorts: ["1"]}}]
    when: [{key: "request.headers[x-who]", values: ["ann*"], notValues: [anna]}]
  - from: [{source: {ipBlocks: [10.0.0.0/8]}}]
  - from: [{source: {principals: ["*"]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny}
spec:
  action: DENY
  rules:
  - to: [{operation: {paths: [/d/secret*]}}]
  - from: [{source: {notRemoteIpBlocks: [127.0.0.0/8]}}]
  - from: [{source: {notPrincipals: ["*"]}}]
    to: [{operation: {paths: [/identified]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: try, annotations: {istio.io/dry-run: "true"}}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/open]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: watch}
spec: {action: AUDIT, rules: [{to: [{operation: {paths: ["/t/*"]}}]}]}
"""

CALLS = [
    ("/open", "ok.example.com", {}, True),
    ("/open?query", "OK.example.com:8080", {}, True),
    ("/open", "bad.example.com", {}, False),
    ("/open", "ok.example.com.evil", {}, False),
    ("/other/../open", "ok.example.com", {}, True),
    ("/t/a/x", "ok.example.com", {}, True),
    ("/t/a|b/x", "ok.example.com", {}, True),
    ("/t/a/b/x", "ok.example.com", {}, False),
    ("/t//x", "ok.example.com", {}, False),
    ("/d/", "ok.example.com", {}, True),
    ("/d/a/b", "ok.example.com", {}, True),
    ("/d", "ok.example.com", {}, False),
    ("/d/secret1", "ok.example.com", {}, False),
    ("/d/./secret1", "ok.example.com", {}, False),
    ("/d/%73ecret1", "ok.example.com", {}, False),
    ("/any", "a.wild.example.com:81", {}, True),
    ("/closed", "a.wild.example.com", {}, False),
    ("/identified", "a.wild.example.com", {}, False),
    ("/", "ports.example.com", {"x_who": "anne"}, True),
    ("/", "ports.example.com", {"x_who": "anna"}, False),
    ("/", "ports.example.com", {}, False),
]
NORMAL = {"/other/../open": "/open", "/d/./secret1": "/d/secret1", "/d/%73ecret1": "/d/secret1"}


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(plan(RULES), tmp_path_factory.mktemp("rules")) as running:
        yield running


@pytest.mark.parametrize(("path", "host", "headers", "passes"), CALLS)
def test_rules_decide_and_the_plan_says_the_same(
    rules: Guarded, path: str, host: str, headers: dict[str, str], passes: bool
) -> None:
    answer = rules.ask(path, host=host, **headers)
    assert answer.status == (200 if passes else 403)
    call = Call(
        host=host,
        path=NORMAL.get(path, path),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        source_ip="127.0.0.1",
        destination_ip="127.0.0.1",
        destination_port=rules.web,
    )
    assert verdicts.judge(rules.guard.access, call).allowed is passes


def test_the_log_names_what_decided_what_was_audited_and_what_would_have_been_denied(rules: Guarded) -> None:
    for path in ("/open", "/t/a/x", "/d/secret2"):
        rules.ask(path, host="ok.example.com", user_agent="log")
    logged = lines_of(rules.log, "/d/secret2")
    assert "rbac_access_denied_matched_policy[ns[default]-policy[deny]-rule[0]]" in logged
    assert '"istio_dry_run_deny_shadow_effective_policy_id":"ns[default]-policy[try]-rule[0]"' in logged
    assert '"lateen_audit_shadow_effective_policy_id":"ns[default]-policy[watch]-rule[0]"' in logged


def lines_of(log: Path, until: str) -> str:
    """The log, once it has a line about a path; Envoy writes it with a delay."""
    deadline = time.monotonic() + 15
    while until not in (text := log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline, text
        time.sleep(0.1)
    return text


CONNECTIONS = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: rules}
spec: {action: %s, rules: [{from: [{source: {ipBlocks: [%s]}}], to: [{operation: {methods: [GET]}}]}]}
"""


@pytest.mark.parametrize(
    ("action", "block", "passes"),
    [("ALLOW", "127.0.0.1", False), ("DENY", "127.0.0.1", False), ("DENY", "10.0.0.1", True)],
)
def test_fields_of_http_never_allow_a_connection_and_are_left_out_where_they_deny(
    tmp_path: Path, action: str, block: str, passes: bool
) -> None:
    with guarded(plan(CONNECTIONS % (action, block)), tmp_path) as running:
        assert running.echo() == (b"hello" if passes else b"")
        call = Call(is_http=False, source_ip="127.0.0.1")
        assert verdicts.judge(running.guard.access, call).allowed is passes


TOKENS = f"""
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: tokens}}
spec:
  jwtRules:
  - issuer: {tokens.ISSUER}
    audiences: [shop]
    jwks: '{tokens.key_set(tokens.rsa_key(), tokens.ec_key())}'
    fromHeaders: [{{name: authorization, prefix: "Bearer "}}, {{name: x-token}}]
    fromParams: [token]
    fromCookies: [session]
    outputClaimToHeaders: [{{header: x-subject, claim: sub}}]
  - {{issuer: "https://silent.example.com", jwksUri: "https://silent.example.com/keys"}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: claims}}
spec:
  rules:
  - to: [{{operation: {{paths: [/anybody, /routed]}}}}]
  - from: [{{source: {{requestPrincipals: ["{tokens.ISSUER}/jason"]}}}}]
    to: [{{operation: {{paths: [/jason]}}}}]
  - to: [{{operation: {{paths: [/groups]}}}}]
    when: [{{key: "request.auth.claims[groups]", values: [admin, "dev*"]}}]
  - to: [{{operation: {{paths: [/deep]}}}}]
    when: [{{key: "request.auth.claims[realm][role]", values: [owner]}}]
  - to: [{{operation: {{paths: [/scope]}}}}]
    when: [{{key: "request.auth.claims[scope]", values: [write]}}, {{key: request.auth.audiences, values: [shop]}}]
"""
SHOP = {"aud": "shop"}
RSA, EC = tokens.rsa_key(), tokens.ec_key()
WITH_TOKENS = [
    ("/anybody", "", 200, ""),
    ("/jason", "", 403, "RBAC: access denied"),
    ("/jason", RSA.token(SHOP), 200, ""),
    ("/jason", EC.token(SHOP), 200, ""),
    ("/jason", EC.token({**SHOP, "sub": "jasonx"}), 403, "RBAC: access denied"),
    ("/groups", EC.token({**SHOP, "groups": ["ops", "devs"]}), 200, ""),
    ("/groups", EC.token({**SHOP, "groups": "admin"}), 200, ""),
    ("/groups", EC.token({**SHOP, "groups": ["ops"]}), 403, "RBAC: access denied"),
    ("/deep", EC.token({**SHOP, "realm": {"role": "owner"}}), 200, ""),
    ("/scope", EC.token({**SHOP, "scope": "read write"}), 200, ""),
    ("/scope", EC.token({**SHOP, "scope": "read"}), 403, "RBAC: access denied"),
    ("/anybody", EC.token(), 403, "Audiences in Jwt are not allowed"),
    ("/anybody", EC.token({**SHOP, "exp": 1}), 401, "Jwt is expired"),
    ("/anybody", tokens.unsigned(SHOP), 401, "Jwt is not in the form of Header.Payload.Signature"),
    ("/anybody", tokens.rsa_key("other").token(SHOP, kid="rsa"), 401, "Jwt verification fails"),
    ("/anybody", EC.token({**SHOP, "iss": "https://third.example.com"}), 401, "Jwt issuer is not configured"),
    ("/anybody", EC.token({**SHOP, "iss": "https://silent.example.com"}), 401, "Jwks remote fetch is failed"),
]
ROUTES = (
    Route(
        RequestMatch(exact("/routed"), claims=(ClaimMatch(("groups",), exact("dev")),)),
        Respond(200, b"for developers"),
    ),
    Route(
        RequestMatch(
            exact("/routed"), claims=(ClaimMatch(("realm", "role"), TextMatch(MatchKind.PRESENT, inverted=True)),)
        ),
        Respond(200, b"for all"),
    ),
    Route(RequestMatch(exact("/routed")), Respond(200, b"for the realm")),
    Route(RequestMatch(), Forward((Target(SERVER),))),
)


@pytest.fixture(scope="module")
def with_tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(plan(TOKENS), tmp_path_factory.mktemp("tokens"), ROUTES) as running:
        yield running


@pytest.mark.parametrize(("path", "token", "status", "reason"), WITH_TOKENS)
def test_tokens_are_verified_and_their_claims_count(
    with_tokens: Guarded, path: str, token: str, status: int, reason: str
) -> None:
    answer = with_tokens.ask(path, token)
    assert (answer.status, answer.body.startswith(reason) if reason else True) == (status, True), answer.body


def test_tokens_are_found_where_the_policy_says_and_claims_become_headers(with_tokens: Guarded) -> None:
    token = EC.token(SHOP)
    assert with_tokens.ask("/jason", x_token=token).status == 200
    assert with_tokens.ask("/jason", cookie=f"session={token}").status == 200
    assert with_tokens.ask(f"/jason?token={token}").status == 200
    seen = with_tokens.ask("/jason", token).body
    assert '"x-subject": "jason"' in seen
    assert token not in seen
    assert "forged" not in with_tokens.ask("/anybody", x_subject="forged").body


def test_claims_choose_routes(with_tokens: Guarded) -> None:
    assert with_tokens.ask("/routed").body == "for all"
    assert with_tokens.ask("/routed", EC.token({**SHOP, "groups": ["dev"]})).body == "for developers"
    assert with_tokens.ask("/routed", EC.token({**SHOP, "realm": {"role": "a"}})).body == "for the realm"


CUSTOM = """
apiVersion: v1
kind: Service
metadata: {name: authz-http}
spec: {ports: [{name: http, port: 9000}]}
---
apiVersion: v1
kind: Service
metadata: {name: authz-grpc}
spec: {ports: [{name: grpc, port: 9000}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: over-http}
spec: {action: CUSTOM, provider: {name: http}, rules: [{to: [{operation: {paths: ["/http*"]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: over-grpc}
spec: {action: CUSTOM, provider: {name: grpc}, rules: [{to: [{operation: {paths: ["/grpc*"]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: by-nobody}
spec: {action: CUSTOM, provider: {name: nobody}, rules: [{to: [{operation: {paths: [/nobody]}}]}]}
"""
DOMAIN = "default.svc.cluster.local"


def providers(**settings: object) -> dict[str, object]:
    """MeshConfig's authorizers over HTTP and gRPC, with more settings for both."""
    at = {"port": 9000, "timeout": "2s", **settings}
    http = {"includeRequestHeadersInCheck": ["x-pass"], "headersToUpstreamOnAllow": ["x-authorized"]}
    return {
        "extensionProviders": [
            {
                "name": "http",
                "envoyExtAuthzHttp": {"service": f"authz-http.{DOMAIN}", "pathPrefix": "/check", **http, **at},
            },
            {"name": "grpc", "envoyExtAuthzGrpc": {"service": f"authz-grpc.{DOMAIN}", **at}},
        ]
    }


def test_authorizers_are_asked_about_what_their_rules_match_and_nothing_else(tmp_path: Path) -> None:
    with http_authorizer() as http, grpc_authorizer() as grpc:
        servers = {f"authz-http.{DOMAIN}": http.port, f"authz-grpc.{DOMAIN}": grpc.port}
        with guarded(plan(CUSTOM, providers()), tmp_path, authorizers=servers) as running:
            assert running.ask("/free").status == 200
            assert (http.paths, grpc.paths) == ([], [])
            assert running.ask("/http").status == 403
            assert '"x-authorized": "by http"' in running.ask("/http", x_pass="yes").body
            assert running.ask("/grpc").status == 403
            assert '"x-authorized": "by grpc"' in running.ask("/grpc", x_pass="yes").body
            assert running.ask("/nobody", x_pass="yes").status == 403
            assert (http.paths, grpc.paths) == (["/check/http", "/check/http"], ["/grpc", "/grpc"])


def test_connections_that_are_not_http_are_denied_where_only_http_could_be_asked(tmp_path: Path) -> None:
    with grpc_authorizer() as grpc:
        over_http = plan(CUSTOM.replace("{name: nobody}", "{name: http}"), providers())
        with guarded(over_http, tmp_path, authorizers={f"authz-grpc.{DOMAIN}": grpc.port}) as running:
            assert running.echo() == b""


def test_connections_that_are_not_http_are_shown_to_an_authorizer_over_grpc(tmp_path: Path) -> None:
    with grpc_authorizer() as grpc:
        over_grpc = plan(
            CUSTOM.replace("{name: nobody}", "{name: grpc}").replace("{name: http}", "{name: grpc}"), providers()
        )
        with guarded(over_grpc, tmp_path, authorizers={f"authz-grpc.{DOMAIN}": grpc.port}) as running:
            assert running.echo() == b"hello"
            assert grpc.paths == [""]


@pytest.mark.parametrize(("fails_open", "status"), [(True, 200), (False, 503)])
def test_a_silent_authorizer_fails_as_it_is_told_to(tmp_path: Path, fails_open: bool, status: int) -> None:
    made = plan(CUSTOM, providers(failOpen=fails_open, statusOnError="503", timeout="0.5s"))
    servers = {f"authz-http.{DOMAIN}": 1, f"authz-grpc.{DOMAIN}": 1}
    with guarded(made, tmp_path, authorizers=servers) as running:
        assert (running.ask("/http").status, running.ask("/grpc").status) == (status, status)
        assert running.ask("/free").status == 200


@pytest.mark.parametrize(
    ("normalization", "passing"),
    [
        ("NONE", {"/a/../secret", "//secret", "/%2fsecret", "/%73ecret"}),
        ("BASE", {"//secret", "/%2fsecret"}),
        ("MERGE_SLASHES", {"/%2fsecret"}),
        ("DECODE_AND_MERGE_SLASHES", set()),
    ],
)
def test_paths_are_normalized_before_rules_see_them(tmp_path: Path, normalization: str, passing: set[str]) -> None:
    text = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: secret}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/secret]}}]}]}
"""
    made = plan(text, {"pathNormalization": {"normalization": normalization}})
    tried = ("/secret", "/a/../secret", "//secret", "/%2fsecret", "/%73ecret")
    with guarded(made, tmp_path) as running:
        assert {path for path in tried if running.ask(path).status == 200} == passing
