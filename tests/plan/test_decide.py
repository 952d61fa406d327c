"""What a workload's proxy does with a call, and why: without Envoy, in the words that users read."""

from dataclasses import replace

import pytest

from lateen.model.peers import PeerMode
from lateen.model.proxy import Role
from lateen.plan import decide, guard
from lateen.plan.cache import PlanCache
from lateen.plan.decide import Decision, Outcome, RuleName
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory
from lateen.plan.types import Guards, HttpChain, InboundPort, ProxyPlan, Target, TcpChain
from lateen.plan.verdicts import Call

from . import worlds

WEB = "spiffe://cluster.local/ns/default/sa/web"
CALL = Call(principal=WEB, destination_port=8080, path="/stock/1")
POLICIES = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-admin}
spec:
  action: DENY
  rules: [{to: [{operation: {paths: ["/admin*"]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers}
spec:
  rules:
  - from: [{source: {principals: ["*/sa/desk"]}}, {source: {namespaces: [depot]}}]
  - from: [{source: {principals: ["cluster.local/ns/default/sa/web"]}}]
    to: [{operation: {methods: [GET]}}]
    when: [{key: "request.headers[x-shift]", notValues: [night]}]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens}
spec: {jwtRules: [{issuer: "https://id.example", audiences: [shop], jwksUri: "https://id.example/keys"}]}
"""


def plan(mode: PeerMode = PeerMode.PERMISSIVE, *, is_http: bool = True, text: str = POLICIES) -> ProxyPlan:
    guards = guard.guards(Directory(worlds.view(worlds.snapshot(text)), PlanCache()), Notes())
    chain = HttpChain("inbound|8080||") if is_http else TcpChain((Target("inbound|8080||"),))
    return ProxyPlan(
        Role.SIDECAR, (), (), inbound=(InboundPort(8080, chain, mode=mode),), guards=Guards(guards.everywhere)
    )


def told(decision: Decision) -> list[tuple[str, str, str]]:
    return [(one.stage.value, one.rule.name, one.failed) for one in decision.asked]


def test_every_rule_that_was_asked_is_told_with_what_failed() -> None:
    decision = decide.decide(plan(), replace(CALL, method="PUT"))
    assert (decision.outcome, decision.status, decision.rule) == (Outcome.DENIED, 403, None)
    assert told(decision) == [
        (
            "DENY",
            "ns[default]-policy[no-admin]-rule[0]",
            "request.path is /stock/1, which is none of /admin*",
        ),
        (
            "ALLOW",
            "ns[default]-policy[readers]-rule[0]",
            "source.principal is cluster.local/ns/default/sa/web, which is none of */sa/desk"
            " (nor does any of 1 further alternatives hold)",
        ),
        ("ALLOW", "ns[default]-policy[readers]-rule[1]", "request.method is PUT, which is none of GET"),
    ]


def test_the_rule_that_decides_is_the_last_that_is_asked() -> None:
    allowed, denied = decide.decide(plan(), CALL), decide.decide(plan(), replace(CALL, path="/x/../admin"))
    assert allowed.rule is not None and allowed.rule.name == "ns[default]-policy[readers]-rule[1]"
    assert (allowed.outcome, allowed.asked[-1].rule, allowed.asked[-1].failed) == (Outcome.ALLOWED, allowed.rule, "")
    assert denied.rule is not None and denied.rule.name == "ns[default]-policy[no-admin]-rule[0]"
    assert (denied.outcome, len(denied.asked)) == (Outcome.DENIED, 1)


def test_an_inverted_condition_says_what_is_not_wanted() -> None:
    decision = decide.decide(plan(), replace(CALL, headers={"x-shift": "night"}))
    assert decision.asked[-1].failed == "request.headers[x-shift] is night, which is among night"


@pytest.mark.parametrize(
    ("mode", "principal", "outcome"),
    [
        (PeerMode.STRICT, "", Outcome.NO_CONNECTION),
        (PeerMode.STRICT, WEB, Outcome.ALLOWED),
        (PeerMode.PERMISSIVE, "", Outcome.DENIED),
        (PeerMode.DISABLE, WEB, Outcome.DENIED),
    ],
)
def test_identity_comes_from_the_mesh_s_tls_only(mode: PeerMode, principal: str, outcome: Outcome) -> None:
    assert decide.decide(plan(mode), replace(CALL, principal=principal)).outcome is outcome


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"iss": "https://id.example", "sub": "a", "aud": "shop"}, 0),
        ({"iss": "https://id.example", "sub": "a", "aud": ["bank"]}, 403),
        ({"iss": "https://id.example", "sub": "a"}, 403),
        ({"iss": "https://other.example", "sub": "a"}, 401),
        (None, 0),
    ],
)
def test_a_token_is_for_somebody_and_by_somebody(claims: dict[str, object] | None, status: int) -> None:
    assert decide.decide(plan(), replace(CALL, claims=claims)).status == status


def test_a_connection_that_is_not_http_meets_only_what_can_be_seen_of_it() -> None:
    decision = decide.decide(plan(is_http=False), CALL)
    assert (decision.outcome, decision.status) == (Outcome.DENIED, 0)
    assert told(decision) == [("DENY", "ns[default]-policy[no-admin]-rule[0]", "")]


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [("{}", Outcome.DENIED), ("{rules: []}", Outcome.DENIED), ("{rules: [{}]}", Outcome.ALLOWED)],
)
def test_no_rules_and_a_rule_that_asks_nothing_are_opposites(rules: str, outcome: Outcome) -> None:
    text = f"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a}}\nspec: {rules}\n"
    assert decide.decide(plan(text=text), CALL).outcome is outcome


def test_rule_names_are_found_in_logs() -> None:
    line = '"GET / HTTP/1.1" 403 - rbac_access_denied_matched_policy[ns[a]-policy[b.c]-rule[12]] -'
    assert decide.parse_rule_name(line) == RuleName("a", "b.c", 12)
    assert decide.parse_rule_name("rbac_access_denied_matched_policy[none]") is None
