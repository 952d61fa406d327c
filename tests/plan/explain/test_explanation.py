"""Explanations, step by step."""

import pytest

from lateen.errors import ConfigRejected
from lateen.model.workload import Locality, Workload, WorkloadKey
from lateen.plan.explain import descriptions, explanation
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.questions import Question
from lateen.plan.explain.steps import Explanation, Outcome
from tests.plan import worlds

RULES = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart}
spec:
  hosts: [cart]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: cart, subset: v2}}]
  - match: [{sourceLabels: {app: other}}]
    route: [{destination: {host: cart, subset: v2}}]
  - timeout: 3s
    route:
    - {destination: {host: cart, subset: v1}, weight: 75}
    - {destination: {host: cart, subset: v2}, weight: 25}
    mirrors: [{destination: {host: cart, subset: v2}, percentage: {value: 10}}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: all}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-get}
spec:
  selector: {matchLabels: {app: cart}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/web]}}]
    to: [{operation: {methods: [GET]}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {gate: edge}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: [shop.example]
  gateways: [edge]
  http: [{rewrite: {uri: /in/}, route: [{destination: {host: cart, subset: v1}}]}]
"""


def pod(name: str, address: str, *, ready: bool = True, proxied: bool = True, **labels: str) -> Workload:
    account = "web" if name == "web" else "default"
    key = WorkloadKey("default", name)
    return Workload(key, address, labels, account, ready=ready, proxied=proxied, owner=name, locality=Locality("eu"))


PODS = (
    pod("web", "10.0.0.1", app="web"),
    pod("bare", "10.0.0.2", proxied=False, app="bare"),
    pod("cart-v1", "10.0.0.3", app="cart", version="v1"),
    pod("cart-v2", "10.0.0.4", ready=False, app="cart", version="v2"),
    pod("gate", "10.0.0.5", gate="edge"),
)


@pytest.fixture(scope="module")
def plans() -> Plans:
    return Plans(worlds.snapshot(worlds.SHOP + RULES, workloads=PODS))


def explain(plans: Plans, url: str, caller: str = "web", **other: object) -> Explanation:
    return explanation.explain(plans, Question(caller, url, **other))  # type: ignore[arg-type]


def test_every_step_says_who_decides(plans: Plans) -> None:
    told = explain(plans, "http://cart/x")
    assert told.dns is not None and told.dns.place is not None
    assert (told.dns.host, told.dns.address) == ("cart.default.svc.cluster.local", "10.96.0.1")
    assert told.dns.place.at == "world.yaml:2"
    assert told.listener is not None and told.listener.name == "0.0.0.0_80"
    assert told.chain is not None and (told.chain.kind, told.chain.table) == ("HTTP", "80")
    assert told.virtual_host is not None and told.virtual_host.domain == "cart"
    assert told.route is not None and told.route.place is not None
    assert (told.route.place.object, told.route.place.path) == ("VirtualService default/cart", "spec.http[2]")
    settings = {setting.name: setting.says for setting in told.route.settings}
    assert settings["timeout"] == "3s"
    assert settings["retries"].endswith(", by default")


def test_what_was_passed_over_says_why(plans: Plans) -> None:
    told = explain(plans, "http://cart/x")
    assert told.route is not None
    found = {over.place.path: over.failed for over in told.route.passed_over if over.place}
    assert found == {
        "spec.http[0]": "header end-user is missing",
        "spec.http[1].match[0]": "it is for callers with the labels app=other",
    }


def test_a_split_shows_subsets_endpoints_and_what_the_server_decides(plans: Plans) -> None:
    told = explain(plans, "http://cart/x")
    first, second = told.split
    assert (first.percent, first.subset, second.percent, second.subset) == (75, "v1", 25, "v2")
    assert first.written is not None and first.written.path == "spec.http[2].route[0].destination"
    assert first.place is not None and first.place.path == "spec.subsets[0]"
    (endpoint,) = first.endpoints
    assert (endpoint.address, endpoint.workload, endpoint.locality) == ("10.0.0.3:80", "cart-v1.default", "eu")
    assert first.tls is not None and first.tls.mode == "mesh"
    (server,) = first.servers
    assert (server.outcome, server.mode) == ("allow", "STRICT")
    assert server.rule is not None and server.rule.object == "AuthorizationPolicy default/only-get"
    assert server.mode_place is not None and server.mode_place.object == "PeerAuthentication default/all"
    assert (second.status, second.endpoints[0].health) == (503, "UNHEALTHY")
    assert "(UH)" in second.result
    (mirror,) = told.mirrors
    assert (mirror.percent, mirror.written and mirror.written.path) == (10, "spec.http[2].mirrors[0].destination")


def test_what_the_server_refuses_is_the_answer(plans: Plans) -> None:
    told = explain(plans, "http://cart/x", method="POST", headers={"end-user": "ann"})
    assert told.split[0].status == 403
    assert told.split[0].servers[0].asked[0].failed == "request.method is POST, which is none of GET"


def test_a_caller_without_a_proxy_is_told_apart(plans: Plans) -> None:
    told = explain(plans, "http://cart/x", "bare")
    assert (told.proxy, told.status) == ("", 503)
    assert "STRICT" in told.says


def test_a_request_from_outside_goes_through_the_gateway_that_opens_its_port(plans: Plans) -> None:
    told = explain(plans, "http://shop.example/x", "outside")
    assert (told.proxy, told.outcome, told.path) == ("gate.default", Outcome.FORWARDED, "/in/x")
    assert told.admission is not None and told.admission.outcome == "allow"
    assert told.split[0].status == 403, "the gateway is somebody else than web"
    unknown = explain(plans, "http://other.example/x", "outside")
    assert (unknown.outcome, unknown.status) == (Outcome.ANSWERED, 404)


def test_hosts_that_nobody_knows_are_passed_on(plans: Plans) -> None:
    told = explain(plans, "https://www.example.com/")
    assert told.split[0].cluster == "PassthroughCluster"
    assert told.listener is not None and told.listener.name == ""


@pytest.mark.parametrize(
    ("caller", "url", "message"),
    [
        ("nobody", "http://cart", "there is no workload 'nobody'"),
        ("web", "ftp://cart", "'ftp://cart' is no URL"),
        ("web", "http://[", "is no URL"),
        ("web", "tcp://cart", "must name a port"),
        ("web", "http://cart:99999", "has no good port"),
        ("outside", "http://cart:81", "no gateway opens port 81"),
    ],
)
def test_a_wrong_question_says_what_would_be_right(plans: Plans, caller: str, url: str, message: str) -> None:
    with pytest.raises(ConfigRejected, match=message):
        explain(plans, url, caller)


def test_a_dangling_destination_is_noted() -> None:
    text = worlds.SHOP + RULES.replace("{host: cart, subset: v2}, weight", "{host: cart, subset: v9}, weight")
    told = explain(Plans(worlds.snapshot(text, workloads=PODS)), "http://cart/x")
    assert [leg.subset for leg in told.split] == ["v1"]
    assert any("no DestinationRule for cart.default.svc.cluster.local defines subset v9" in note for note in told.notes)


def test_a_service_is_described_with_its_subsets_routes_and_policies(plans: Plans) -> None:
    told = descriptions.service(plans, "cart", "default")
    assert {subset.name: subset.workloads for subset in told.subsets} == {"v1": ("cart-v1",), "v2": ()}
    assert told.routes[0].goes_to[0] == "cart.default.svc.cluster.local port 80 subset v2"
    assert told.modes == ("STRICT",)
    assert {place.object for place in told.policies} == {"AuthorizationPolicy default/only-get"}
    assert {place.object for place in told.gateways} == {"Gateway default/edge"}


def test_a_workload_is_described_with_what_concerns_it(plans: Plans) -> None:
    told = descriptions.workload(plans, "cart-v1", "default")
    assert (told.role, told.mode, told.identity) == (
        "sidecar",
        "STRICT",
        "spiffe://cluster.local/ns/default/sa/default",
    )
    assert [(port.number, port.service_port) for port in told.ports] == [(80, 80)]
    assert [place.object for place in told.services] == ["Service default/cart"]
    with pytest.raises(ConfigRejected, match="there is no workload 'x'"):
        descriptions.workload(plans, "x", "default")
