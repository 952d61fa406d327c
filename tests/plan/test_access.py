"""Which policies reach a proxy, and what they come to."""

import pytest

from lateen.api.objects import ObjectKey
from lateen.model.key_sets import KeySet
from lateen.model.proxy import Role
from lateen.model.snapshot import Inputs, first_snapshot
from lateen.plan import describe, verdicts
from lateen.plan.access import connection_access
from lateen.plan.planner import build_plan
from lateen.plan.types import Guard, ProxyPlan
from lateen.plan.verdicts import Call, Reason
from tests.plan import worlds

POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: %s, namespace: %s}
spec: %s
"""
SOURCE = "{rules: [{from: [{source: {FIELDS}}]}]}"
JASON = "spiffe://cluster.local/ns/default/sa/jason"


def policy(spec: str, name: str = "p", namespace: str = "default") -> str:
    return POLICY % (name, namespace, spec)


def guard(*texts: str, mesh: dict[str, object] | None = None, **labels: str) -> Guard:
    return worlds.plan("\n---\n".join(texts), mesh=mesh, **labels).guards.everywhere


def allowed(found: Guard, **call: object) -> bool:
    return verdicts.judge(found.access, Call(**call)).allowed  # type: ignore[arg-type]


def doubts(plan: ProxyPlan) -> list[str]:
    return [str(doubt) for doubt in plan.diagnostics]


@pytest.mark.parametrize(
    ("namespace", "spec", "labels", "applies"),
    [
        ("default", "{}", {}, True),
        ("other", "{}", {}, False),
        ("istio-system", "{}", {}, True),
        ("default", "{selector: {matchLabels: {app: a}}}", {"app": "a"}, True),
        ("default", "{selector: {matchLabels: {app: a}}}", {"app": "b"}, False),
        ("istio-system", "{selector: {matchLabels: {app: a}}}", {"app": "a"}, True),
    ],
)
def test_a_policy_applies_to_its_namespace_or_to_all_by_labels(
    namespace: str, spec: str, labels: dict[str, str], applies: bool
) -> None:
    assert (guard(policy(spec, namespace=namespace), **labels).access.allow == ()) is applies


def test_a_policy_for_a_service_guards_the_ports_behind_it_and_no_others() -> None:
    services = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: feed}
spec: {selector: {app: shop}, ports: [{name: http, port: 81, targetPort: 8081}]}
"""
    plan = worlds.plan(f"{services}\n---\n{policy('{targetRefs: [{kind: Service, name: shop}]}')}", app="shop")
    assert [port.port for port in plan.inbound] == [8080, 8081]
    assert plan.guards.at(8080).access.allow == ()
    assert plan.guards.at(8081).access.allow is None


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        ("{group: networking.istio.io, kind: Gateway, name: edge}", {"istio": "edge"}),
        (
            "{group: gateway.networking.k8s.io, kind: Gateway, name: edge}",
            {"gateway.networking.k8s.io/gateway-name": "edge"},
        ),
    ],
)
def test_a_policy_for_a_gateway_guards_its_proxies(target: str, labels: dict[str, str]) -> None:
    text = f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge}}
spec: {{selector: {{istio: edge}}, servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ['*']}}]}}
---
{policy("{targetRefs: [" + target + "]}")}
"""
    assert worlds.gateway_plan(text, "default", **labels).guards.everywhere.access.allow == ()
    assert worlds.gateway_plan(text, "default", istio="other").guards.everywhere.access.allow is None
    assert worlds.plan(text, **labels).guards.everywhere.access.allow is None


def test_a_target_that_nobody_knows_is_told() -> None:
    plan = worlds.plan(policy("{targetRefs: [{group: apps, kind: Deployment, name: a}]}"))
    assert plan.guards.everywhere.access.allow is None
    assert doubts(plan) == [
        "AuthorizationPolicy default/p spec.targetRefs[0]: has no effect: policies attach to a Gateway, a Service or a "
        "ServiceEntry, not to a Deployment of apps"
    ]


def test_deny_comes_before_allow_and_everything_passes_without_policies() -> None:
    deny = policy("{action: DENY, rules: [{to: [{operation: {paths: [/a]}}]}]}", "deny")
    both = guard(deny, policy("{rules: [{}]}", "allow"))
    assert allowed(both, path="/b") and not allowed(both, path="/a")
    assert allowed(guard(deny), path="/b")
    verdict = verdicts.judge(both.access, Call(path="/a"))
    assert (verdict.reason, verdict.rule and verdict.rule.name) == (
        Reason.DENIED,
        "ns[default]-policy[deny]-rule[0]",
    )


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("{rules: []}", "matches no request, so what no other ALLOW policy lets pass is denied"),
        ("{action: DENY}", "matches no request, so DENY never acts"),
        ("{action: AUDIT, rules: []}", "matches no request, so AUDIT never acts"),
    ],
)
def test_a_policy_without_rules_is_explained(spec: str, text: str) -> None:
    assert text in doubts(worlds.plan(policy(spec)))[0]


def test_the_usual_way_to_deny_everything_needs_no_explanation() -> None:
    assert doubts(worlds.plan(policy("{}"))) == []


@pytest.mark.parametrize(
    ("principal", "domains", "caller", "matches"),
    [
        ("cluster.local/ns/default/sa/jason", ("cluster.local",), JASON, True),
        ("cluster.local/ns/default/sa/jason", ("td1",), "spiffe://td1/ns/default/sa/jason", True),
        ("cluster.local/ns/default/sa/jason", ("td1",), JASON, False),
        ("old/ns/default/sa/jason", ("new", "old"), "spiffe://new/ns/default/sa/jason", True),
        ("new/ns/default/sa/jason", ("new", "old"), "spiffe://old/ns/default/sa/jason", True),
        ("foreign/ns/default/sa/jason", ("new", "old"), "spiffe://new/ns/default/sa/jason", False),
        ("cluster.local/ns/default/*", ("td1",), "spiffe://td1/ns/default/sa/jason", True),
        ("*/sa/jason", ("td1",), "spiffe://td1/ns/default/sa/jason", True),
        ("*", ("td1",), "spiffe://foreign/ns/a/sa/b", True),
        ("*", ("td1",), "", False),
    ],
)
def test_own_identities_count_in_each_of_the_meshs_domains(
    principal: str, domains: tuple[str, ...], caller: str, matches: bool
) -> None:
    mesh = {"trustDomain": domains[0], "trustDomainAliases": list(domains[1:])}
    found = guard(policy(SOURCE.replace("FIELDS", f"principals: ['{principal}']")), mesh=mesh)
    assert allowed(found, principal=caller) is matches


@pytest.mark.parametrize(
    ("source", "matches"),
    [
        ("namespaces: [default]", True),
        ("namespaces: ['def*']", True),
        ("notNamespaces: [default]", False),
        ("serviceAccounts: [jason]", True),
        ("serviceAccounts: [other/jason]", False),
        ("notServiceAccounts: [default/jason]", False),
        ("trustDomains: [cluster.local]", True),
        ("notTrustDomains: [foreign]", True),
        ("ipBlocks: [10.244.0.0/16], notIpBlocks: [10.244.7.0/24]", True),
        ("remoteIpBlocks: [192.0.2.1]", True),
        ("notRemoteIpBlocks: [192.0.2.0/24]", False),
        ("requestPrincipals: ['https://a/b/jason']", True),
        ("requestPrincipals: ['https://a/*']", True),
        ("requestPrincipals: ['*b/jason']", True),
        ("requestPrincipals: ['*/ason']", False),
        ("notRequestPrincipals: ['*']", False),
    ],
)
def test_every_field_of_a_source_counts(source: str, matches: bool) -> None:
    found = guard(policy(SOURCE.replace("FIELDS", source)))
    call = {"principal": JASON, "source_ip": "10.244.1.9", "remote_ip": "192.0.2.1"}
    assert allowed(found, **call, claims={"iss": "https://a/b", "sub": "jason"}) is matches


def test_alternatives_are_any_and_conditions_are_all() -> None:
    found = guard(
        policy(
            "{rules: [{from: [{source: {namespaces: [a]}}, {source: {namespaces: [default], ipBlocks: [10.0.0.1]}}],"
            " to: [{operation: {methods: [GET]}}, {operation: {methods: [POST], paths: [/p]}}],"
            " when: [{key: connection.sni, values: [x, 'y*']}, {key: destination.port, notValues: ['81']}]}]}"
        )
    )
    good = {"principal": JASON, "source_ip": "10.0.0.1", "sni": "y1"}
    assert allowed(found, **good)
    assert allowed(found, **good, method="POST", path="/p?q")
    for change in ({"source_ip": "10.0.0.2"}, {"method": "POST"}, {"sni": ""}, {"destination_port": 81}):
        assert not allowed(found, **{**good, **change})


def test_connections_keep_what_refuses_them_and_lose_what_would_let_them_pass() -> None:
    rules = "rules: [{from: [{source: {namespaces: [default]}}], to: [{operation: {paths: [/a]}}]}]"
    deny = connection_access(guard(policy("{action: DENY, " + rules + "}")).access)
    allow = connection_access(guard(policy("{" + rules + "}")).access)
    assert [describe.access_rule(rule)["from"] for rule in deny.deny] == [["source.namespace is default"]]
    assert not verdicts.judge(deny, Call(principal=JASON)).allowed
    assert allow.allow == ()


def test_rules_that_ask_for_http_on_other_ports_are_told() -> None:
    service = """
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {selector: {app: db}, ports: [{name: tcp, port: 5432}]}
"""
    rules = "rules: [{to: [{operation: {methods: [GET]}}]}, {to: [{operation: {methods: [GET], ports: ['80']}}]}]"
    plan = worlds.plan(service + "---" + policy("{" + rules + "}"), app="db")
    assert doubts(plan) == [
        "AuthorizationPolicy default/p spec.rules[0]: allows nothing on port 5432, which is not HTTP: it asks for HTTP"
    ]


def test_an_unknown_authorizer_denies_what_it_would_be_asked_about() -> None:
    custom = policy("{action: CUSTOM, provider: {name: gone}, rules: [{to: [{operation: {paths: [/a]}}]}]}")
    plan = worlds.plan(custom)
    assert not allowed(plan.guards.everywhere, path="/a") and allowed(plan.guards.everywhere, path="/b")
    assert doubts(plan) == [
        "AuthorizationPolicy default/p spec.provider.name: there is no extensionProvider 'gone' in MeshConfig "
        "(there is: none): what its rules match is denied"
    ]


def test_a_policy_in_dry_run_decides_nothing() -> None:
    dry = policy("{action: DENY, rules: [{}]}").replace(
        "{name: p,", "{name: p, annotations: {istio.io/dry-run: 'true'},"
    )
    verdict = verdicts.judge(guard(dry).access, Call())
    assert verdict.allowed and verdict.tried is not None and not verdict.tried.allowed


def test_asking_for_tokens_that_nobody_verifies_is_told() -> None:
    plan = worlds.plan(policy("{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}"))
    assert doubts(plan) == [
        "AuthorizationPolicy default/p spec.rules[0]: never matches here: it asks for a token, and no "
        "RequestAuthentication applies"
    ]


TOKENS = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens}
spec: {jwtRules: [{issuer: i, jwksUri: 'https://i.example.com/keys'}]}
"""
URL = "https://i.example.com/keys"


@pytest.mark.parametrize(
    ("known", "keys", "doubt"),
    [
        ({}, "", "every token is refused: the keys of https://i.example.com/keys have not been fetched yet"),
        ({URL: KeySet(URL, "K")}, "K", ""),
        ({URL: KeySet(URL, "", "gone")}, "", "every token is refused: there are no keys: gone"),
        ({URL: KeySet(URL, "K", "gone")}, "K", "the keys that were fetched last go on to count: gone"),
    ],
)
def test_fetched_keys_reach_the_plan_and_their_failures_are_told(
    known: dict[str, KeySet], keys: str, doubt: str
) -> None:
    world = worlds.snapshot(TOKENS)
    world = first_snapshot(Inputs(world.config, mesh=world.mesh, key_sets=known))
    plan = build_plan(worlds.view(world))
    assert [issuer.keys for issuer in plan.guards.everywhere.issuers] == [keys]
    said = [f"RequestAuthentication default/tokens spec.jwtRules[0]: {doubt}"] if doubt else []
    assert doubts(plan) == said


def test_proxies_under_the_same_policies_are_one_class() -> None:
    world = worlds.snapshot(policy("{selector: {matchLabels: {app: a}}}"))
    views = [worlds.view(world, labels={"app": "a", "x": str(number)}) for number in range(2)]
    assert views[0].key == views[1].key
    assert [one.policy for one in views[0].key.policies] == [
        ObjectKey("security.istio.io", "AuthorizationPolicy", "default", "p")
    ]
    assert worlds.view(world, role=Role.SIDECAR, labels={"app": "b"}).key != views[0].key
