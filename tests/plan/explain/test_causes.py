"""What a line of a proxy's log is read as, and what is said of it."""

import pytest
from envoy.config.accesslog.v3 import accesslog_pb2
from hypothesis import given
from hypothesis import strategies as st

from lateen.model.workload import Workload, WorkloadKey
from lateen.plan.explain import causes, flags, records
from lateen.plan.explain.plans import Plans
from tests.plan import worlds

WORLD = (
    worlds.SHOP
    + """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart}
spec:
  hosts: [cart]
  http:
  - match: [{uri: {prefix: /slow}}]
    timeout: 2s
    route: [{destination: {host: cart, subset: v1}}]
  - fault: {abort: {httpStatus: 503, percentage: {value: 50}}}
    route: [{destination: {host: cart, subset: v2}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers}
spec: {action: DENY, rules: [{to: [{operation: {methods: [DELETE]}}]}]}
"""
)
V1, V2, OWN = (
    f"{direction}|{port}|{subset}|{host}"
    for direction, port, subset, host in (
        ("outbound", 80, "v1", "cart.default.svc.cluster.local"),
        ("outbound", 80, "v2", "cart.default.svc.cluster.local"),
        ("inbound", 8080, "", ""),
    )
)
WEB = Workload(WorkloadKey("default", "web"), "10.0.0.1", {"app": "web"})


def line(
    status: int = 503, flag: str = "-", details: str = "via_upstream", cluster: str = V1, path: str = "/", **other: str
) -> str:
    failure, route = other.get("failure", "-"), other.get("route", "-")
    return (
        f'[2026-01-01T00:00:00.000Z] "GET {path} HTTP/1.1" {status} {flag} {details} - "{failure}" 0 19 4 - "-" "curl" '
        f'"id-1" "cart" "10.0.0.9:8080" {cluster} - 10.96.0.1:80 10.0.0.1:4711 - {route}'
    )


CASES = {
    line(flag="UH", details="no_healthy_upstream"): (
        "503 by the proxy on the way to cart.default.svc.cluster.local port 80 subset v1: no endpoint of the destination "
        "is ready, or all were put aside because they failed",
        "DestinationRule default/cart spec.subsets[0]",
    ),
    line(504, "UT", "response_timeout", path="/slow"): (
        "504 by the proxy on the way to cart.default.svc.cluster.local port 80 subset v1: the answer did not come within "
        "the route's timeout",
        "VirtualService default/cart spec.http[0].timeout",
    ),
    line(503, "FI", "fault_filter_abort", cluster=V2): (
        "503 was made on purpose by a fault",
        "VirtualService default/cart spec.http[1].fault",
    ),
    line(
        503, "UF", "upstream_reset_before_response_started{connection_failure}", failure="delayed_connect_error:_111"
    ): (
        "503 on the way to cart.default.svc.cluster.local port 80 subset v1: nobody listens on 10.0.0.9:8080",
        "VirtualService default/cart spec.http[1]",
    ),
    line(403, "-", "rbac_access_denied_matched_policy[ns[default]-policy[readers]-rule[0]]", OWN): (
        "403: an AuthorizationPolicy refuses it, by rule 0 of readers.default",
        "AuthorizationPolicy default/readers spec.rules[0]",
    ),
    line(403, "-", "rbac_access_denied_matched_policy[none]", OWN): (
        "403: an AuthorizationPolicy refuses it: no ALLOW rule matches",
        "",
    ),
    line(401, "-", "jwt_authn_access_denied{Jwt_is_expired}", OWN): (
        "401: its token is not accepted: Jwt is expired",
        "",
    ),
    line(500): (
        "500 is the application's own answer on the way to cart.default.svc.cluster.local port 80 subset v1: the mesh only "
        "carried it",
        "VirtualService default/cart spec.http[1]",
    ),
    line(502, "-", "direct_response", "-", route="block_all"): (
        "502: cart is not in the mesh's registry, and outboundTrafficPolicy is REGISTRY_ONLY",
        "VirtualService default/cart spec.http[1]",
    ),
    line(503, "UF", "upstream_reset", failure="TLS_error:|268435581:SSL_routines:CERTIFICATE_VERIFY_FAILED"): (
        "503 on the way to cart.default.svc.cluster.local port 80 subset v1: TLS with the server failed: TLS "
        "error:|268435581:SSL routines:CERTIFICATE VERIFY FAILED",
        "VirtualService default/cart spec.http[1]",
    ),
}


@pytest.mark.parametrize("text", CASES)
def test_a_line_is_explained(text: str) -> None:
    record = records.parse(text)
    assert record is not None
    found = causes.cause(Plans(worlds.snapshot(WORLD, workloads=[WEB])), record, "web", "default")
    says, place = CASES[text]
    first = found.places[0] if found.places else None
    assert found.says == says
    assert (f"{first.object} {first.path}".strip() if first else "") == place
    assert found.look


def test_json_says_the_same_as_text() -> None:
    text = records.parse(line(flag="UF,URX", details="x"))
    fields = (
        '"response_code": 503, "response_flags": "UF,URX", "response_code_details": "x", "method": "GET", "path": "/"'
    )
    rest = f'"authority": "cart", "upstream_cluster": "{V1}", "upstream_host": "10.0.0.9:8080", "request_id": "id-1"'
    json = records.parse(f'{{{fields}, {rest}, "route_name": null, "downstream_local_address": "10.96.0.1:80"}}')
    assert json == text


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"response_code": "x"}', "[warning] a line of Envoy's own", "\0"]
)
def test_what_is_no_record_is_none(text: str) -> None:
    found = records.parse(text)
    assert found is None or found.status == 0


@given(st.text() | st.text(max_size=40).map(lambda text: line(details="x").replace("x", text)))
def test_any_line_is_a_record_or_none(text: str) -> None:
    """What clients send stands in logs."""
    found = records.parse(text)
    if found is not None:
        told = causes.cause(Plans(worlds.snapshot(worlds.SHOP, workloads=[WEB])), found, "web", "default")
        assert told.says


@pytest.mark.parametrize(
    "text", ['{"response_code": "' + "9" * 5000 + '"}', '{"response_code": "²"}', '{"a":' + "[" * 100_000]
)
def test_a_hostile_line_breaks_nothing(text: str) -> None:
    found = records.parse(text)
    assert found is None or found.status == 0


def test_the_table_has_every_flag_of_envoy() -> None:
    """Envoy's own list, by which it checks filters of access logs."""
    field = accesslog_pb2.ResponseFlagFilter.DESCRIPTOR.fields_by_name["flags"]
    (rules,) = (value for option, value in field.GetOptions().ListFields() if option.name == "rules")
    known = list(getattr(rules.repeated.items.string, "in"))
    assert sorted(flag.code for flag in flags.FLAGS) == sorted(known)
