"""What a gateway opens, and what it leaves closed."""

from typing import Any

import pytest

from lateen.model.proxy import Role
from lateen.plan import describe
from lateen.plan.planner import build_plan
from lateen.plan.types import GatewayFront
from tests.plan import worlds
from tests.plan.worlds import SHOP

EDGE = SHOP + """
---
apiVersion: v1
kind: Service
metadata: {name: ingress, namespace: istio-system}
spec: {selector: {istio: ingressgateway}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: c}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, creationTimestamp: "2021-01-01T00:00:00Z"}
spec:
  hosts: ["*"]
  gateways: [edge]
  http: [{match: [{uri: {prefix: /a}}], route: [{destination: {host: cart}}]}, {route: [{destination: {host: cart}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, creationTimestamp: "2022-01-01T00:00:00Z"}
spec:
  hosts: ["*"]
  gateways: [edge]
  http: [{match: [{uri: {exact: /b}}], directResponse: {status: 204}}]
"""  # fmt: skip


def test_a_port_is_opened_where_the_gateway_s_service_leads_to() -> None:
    plan = describe.plan(worlds.gateway_plan(EDGE))
    assert plan["gateway"]["0.0.0.0:8080"] == {"http": "http.8080"}
    assert "inbound" not in plan
    assert "dns" not in plan


def test_rules_for_one_host_are_merged_oldest_first_with_what_takes_everything_last() -> None:
    (host,) = worlds.gateway_plan(EDGE).route_tables[0].virtual_hosts
    assert (host.name, host.domains) == ("*:80", ("*",))
    assert [str(route.origin) for route in host.routes] == [
        "VirtualService default/a spec.http[0]",
        "VirtualService default/b spec.http[0]",
        "VirtualService default/a spec.http[1]",
    ]


def test_a_gateway_finds_the_endpoints_of_headless_services_itself() -> None:
    headless = """
apiVersion: v1
kind: Service
metadata: {name: ring}
spec: {clusterIP: None, selector: {app: ring}, ports: [{name: http, port: 80}]}
"""
    clusters = {cluster.name: cluster for cluster in worlds.gateway_plan(headless).clusters}
    assert clusters["outbound|80||ring.default.svc.cluster.local"].discovery.value == "eds"


@pytest.mark.parametrize(
    ("topology", "front"),
    [
        (None, GatewayFront()),
        ({"numTrustedProxies": 2}, GatewayFront(2)),
        ({"proxyProtocol": {}}, GatewayFront(0, tells_client=True)),
    ],
)
def test_what_stands_before_a_gateway_is_what_the_mesh_says(
    topology: dict[str, object] | None, front: GatewayFront
) -> None:
    mesh = {"default_config": {"gateway_topology": topology}} if topology else {}
    text = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
"""
    world = worlds.snapshot(text, mesh)
    made = build_plan(worlds.view(world, "default", Role.GATEWAY, {"istio": "ingressgateway"}))
    assert [listener.front for listener in made.gateway] == [front]


HTTP3 = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: site, annotations: {lateen.dev/http3: "true"}}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {TLS}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: site}
spec: {hosts: ["*"], gateways: [site], http: [{directResponse: {status: 204}}]}
"""
FILES = "serverCertificate: /c, privateKey: /k"


@pytest.mark.parametrize(
    ("tls", "mesh", "speaks", "told"),
    [
        pytest.param(f"mode: SIMPLE, {FILES}", {}, True, [], id="TLS of its own"),
        pytest.param(
            f"mode: SIMPLE, {FILES}, maxProtocolVersion: TLSV1_2",
            {},
            False,
            ["spec.servers[0].tls.maxProtocolVersion", "metadata.annotations.lateen.dev/http3"],
            id="too old a version",
        ),
        pytest.param("mode: ISTIO_MUTUAL", {}, False, ["metadata.annotations.lateen.dev/http3"], id="the mesh's TLS"),
        pytest.param(
            f"mode: SIMPLE, {FILES}",
            {"defaultConfig": {"gatewayTopology": {"proxyProtocol": {}}}},
            False,
            ["metadata.annotations.lateen.dev/http3"],
            id="clients that only the PROXY protocol tells",
        ),
    ],
)
def test_http3_is_spoken_where_it_can_be(tls: str, mesh: dict[str, Any], speaks: bool, told: list[str]) -> None:
    world = worlds.snapshot(HTTP3.replace("{TLS}", f"{{{tls}}}"), mesh)
    plan = build_plan(worlds.view(world, "istio-system", Role.GATEWAY, {"istio": "ingressgateway"}))
    assert [listener.speaks_http3 for listener in plan.gateway] == [speaks]
    assert [one.origin.path for one in plan.diagnostics] == told
