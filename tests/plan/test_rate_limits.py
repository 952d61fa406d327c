"""Which RateLimits, processors and keys reach a proxy, and what is doubtful in them."""

from lateen.model.proxy import Role
from lateen.plan import describe_limits
from lateen.plan.planner import build_plan
from lateen.plan.rate_limit_types import MeshCount, RateLimits
from lateen.plan.types import ProxyPlan
from tests.plan import worlds

LIMIT = """
apiVersion: lateen.dev/v1
kind: RateLimit
metadata: {name: few, namespace: %s}
spec: {%s}
"""
PER_MINUTE = "limits: [{rate: 3/minute}]"
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: clients}
stringData: {alice: a-key, bob: b-key, carol: a-key, dave: ""}
"""
KEYS = """
apiVersion: lateen.dev/v1
kind: ApiKeyAuthentication
metadata: {name: keys}
spec: {secret: {name: clients}}
"""
PROCESSOR = """
apiVersion: lateen.dev/v1
kind: ExternalProcessor
metadata: {name: censor}
spec: {provider: {name: %s}, request: {headers: SEND}, match: {paths: [/a*]}}
"""
PROVIDERS = {
    "extensionProviders": [
        {"name": "censor", "envoyExtProcGrpc": {"service": "cart.default.svc.cluster.local", "port": 80}},
        {"name": "counts", "redis": {"url": "redis://counts:6379"}},
    ]
}


def planned(*texts: str, **labels: str) -> ProxyPlan:
    return worlds.plan("\n---\n".join((worlds.SHOP, *texts)), mesh=PROVIDERS, **labels)


def limits(*texts: str, **labels: str) -> tuple[RateLimits, ...]:
    return planned(*texts, **labels).guards.everywhere.limits


def doubts(plan: ProxyPlan) -> list[str]:
    return [str(doubt) for doubt in plan.diagnostics]


def test_a_limit_is_for_its_namespace_or_for_those_with_its_labels() -> None:
    chosen = LIMIT % ("default", f"selector: {{matchLabels: {{app: web}}}}, {PER_MINUTE}")
    assert limits(LIMIT % ("default", PER_MINUTE)) != ()
    assert limits(LIMIT % ("depot", PER_MINUTE)) == ()
    assert limits(chosen) == ()
    assert [one.name for one in limits(chosen, app="web")] == ["default/few"]


def test_those_of_the_root_namespace_are_for_all_and_come_first() -> None:
    both = limits(LIMIT % ("default", PER_MINUTE), LIMIT % ("istio-system", PER_MINUTE))
    assert [one.name for one in both] == ["istio-system/few", "default/few"]


def test_a_limit_for_a_service_is_for_the_ports_behind_it() -> None:
    text = LIMIT % ("default", f"targetRefs: [{{kind: Service, name: web}}], {PER_MINUTE}")
    web = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}"
    found = planned(text, web, app="web").guards
    assert (found.everywhere.limits, [port for port, _ in found.by_port]) == ((), [80])
    assert found.at(80).limits[0].name == "default/few"


def test_an_own_identity_is_one_in_each_trust_domain_of_the_mesh() -> None:
    override = "overrides: [{values: {source.principal: cluster.local/ns/a/sa/b}, rate: unlimited}]"
    text = LIMIT % ("default", f"limits: [{{rate: 3/minute, by: [source.principal], {override}}}]")
    mesh = {"trustDomain": "new.example", "trustDomainAliases": ["old.example"]}
    found = worlds.plan(text, mesh=mesh).guards.everywhere.limits[0].limits[0]
    assert [one.values for one in found.overrides] == [
        ((0, "spiffe://new.example/ns/a/sa/b"),),
        ((0, "spiffe://old.example/ns/a/sa/b"),),
    ]


def test_what_a_global_limit_does_without_its_server_is_told() -> None:
    found = limits(LIMIT % ("default", f"scope: GLOBAL, onFailure: DENY, timeout: 50ms, {PER_MINUTE}"))
    assert found[0].mesh is not None
    assert (found[0].mesh.fails_open, found[0].mesh.timeout.total_seconds()) == (False, 0.05)
    assert limits(LIMIT % ("default", f"scope: GLOBAL, {PER_MINUTE}"))[0].mesh == MeshCount(fails_open=True)


def test_a_store_that_is_not_there_is_told() -> None:
    known = planned(LIMIT % ("default", f"scope: GLOBAL, store: {{name: counts}}, {PER_MINUTE}"))
    unknown = planned(LIMIT % ("default", f"scope: GLOBAL, store: {{name: censor}}, {PER_MINUTE}"))
    assert doubts(known) == []
    assert "spec.store.name: there is no extensionProvider 'censor' with redis in MeshConfig" in doubts(unknown)[0]


def test_a_limit_by_token_without_tokens_is_doubtful() -> None:
    plan = planned(LIMIT % ("default", "limits: [{rate: 3/minute, by: ['request.auth.claims[sub]']}]"))
    assert "counts all requests together here: it asks for a token" in doubts(plan)[0]


def test_on_a_port_that_is_not_http_nothing_is_limited_and_that_is_told() -> None:
    feed = "apiVersion: v1\nkind: Service\nmetadata: {name: f}\nspec: {selector: {app: web}, ports: [{name: tcp-a, port: 70}]}"
    told = doubts(planned(LIMIT % ("default", PER_MINUTE), KEYS, SECRET, feed, app="web"))
    assert any("few: spec" not in one and "has no effect on port 70, which is not HTTP" in one for one in told)
    assert any("asks for no key on port 70" in one for one in told)


def test_keys_come_from_the_secret_and_are_shown_to_nobody() -> None:
    plan = planned(KEYS, SECRET)
    check = plan.guards.everywhere.api_keys[0]
    assert check.clients == (("alice", "a-key"), ("bob", "b-key"))
    assert "a-key" not in repr(plan)
    assert describe_limits.key_check(check)["clients"] == ["alice", "bob"]
    assert [one.partition(": ")[2] for one in doubts(plan)] == [
        "lets nobody in: 'alice' has the same key",
        "lets nobody in: a key is text in ASCII that is not empty",
    ]


def test_without_the_secret_nobody_has_a_key() -> None:
    plan = planned(KEYS)
    assert plan.guards.everywhere.api_keys[0].clients == ()
    assert "there is no Secret 'clients' in the namespace default: every request is refused" in doubts(plan)[0]


def test_a_processor_is_asked_at_its_provider_s_service() -> None:
    found = planned(PROCESSOR % "censor").guards.everywhere.processors[0]
    assert found.cluster == "outbound|80||cart.default.svc.cluster.local"
    assert describe_limits.processor(found)["requests"] == {"paths": ["/a*"]}


def test_a_processor_without_a_server_refuses_and_that_is_told() -> None:
    plan = planned(PROCESSOR % "nobody")
    assert plan.guards.everywhere.processors[0].cluster == "BlackHoleCluster"
    assert "there is no extensionProvider 'nobody'" in doubts(plan)[0]
    assert "what it is for is refused" in doubts(plan)[0]


def test_gateways_have_limits_too() -> None:
    text = LIMIT % ("default", f"selector: {{matchLabels: {{istio: ingressgateway}}}}, {PER_MINUTE}")
    view = worlds.view(worlds.snapshot(text), "default", Role.GATEWAY, {"istio": "ingressgateway"})
    assert build_plan(view).guards.everywhere.limits[0].name == "default/few"
