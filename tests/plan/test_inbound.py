"""What a sidecar does with connections to its workload."""

from typing import Any

from lateen.plan import describe
from tests.plan import worlds

SERVED = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: web}, {name: tcp, port: 81, targetPort: 9001}, {name: x, port: 82}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}}
"""


def described(text: str) -> dict[str, Any]:
    return describe.plan(worlds.plan(text, app="web"))


def test_each_port_that_services_send_to_goes_to_the_workload() -> None:
    plan = described(SERVED)
    table = {
        "inbound|http|80": {
            "domains": ["*"],
            "routes": [
                {
                    "name": "default",
                    "to": "inbound|8080||",
                    "retry": {
                        "attempts": 2, "conditions": ["reset-before-request"], "avoids previous hosts": False,
                    },
                }
            ],
        }
    }  # fmt: skip
    assert plan["inbound"][8080] == {"http": table}
    assert plan["inbound"][9001] == "inbound|9001||"
    assert plan["inbound"][82]["else"] == "inbound|82||"
    assert plan["inbound fallback"] == "InboundPassthroughCluster"
    assert plan["clusters"]["inbound|8080||"] == {
        "discovery": "original-destination",
        "protocol": "HTTP",
        "balancing": "original-destination",
        "limits": {"connections": 3},
        "bind address": "127.0.0.6",
    }


def test_services_that_disagree_on_a_protocol_leave_it_to_detection() -> None:
    second = """
---
apiVersion: v1
kind: Service
metadata: {name: web-tcp}
spec: {selector: {app: web}, ports: [{name: tcp, port: 80, targetPort: web}]}
"""
    assert list(described(SERVED + second)["inbound"][8080]) == ["http", "else"]


def test_a_sidecar_s_ingress_replaces_the_ports_of_services() -> None:
    sidecar = """
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: web}
spec:
  workloadSelector: {labels: {app: web}}
  inboundConnectionPool: {tcp: {maxConnections: 5}}
  ingress:
  - {port: {number: 8080, protocol: HTTP, name: web}, defaultEndpoint: "127.0.0.1:3000"}
"""
    plan = described(SERVED + sidecar)
    assert list(plan["inbound"]) == [8080]
    assert plan["clusters"]["inbound|8080||"] == {
        "discovery": "static",
        "protocol": "HTTP",
        "limits": {"connections": 5},
        "endpoints": [{"address": "127.0.0.1", "port": 3000}],
        "origin": "Sidecar default/web spec.ingress[0]",
    }


def test_tls_of_an_ingress_port_needs_one_without_the_tls_of_the_mesh() -> None:
    text = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: own}
spec:
  ingress: [{port: {number: 9443, name: https, protocol: HTTPS}, tls: {mode: SIMPLE, credentialName: a}}]
  egress: [{hosts: ["*/*"]}]
"""
    told = [doubt for doubt in worlds.plan(text).diagnostics if doubt.origin.path == "spec.ingress[0].tls"]
    assert [doubt.message.split(":")[0] for doubt in told] == ["has no effect while the port takes the mesh's TLS"]


def test_workloads_may_be_reached_by_localhost() -> None:
    plan = worlds.plan(SERVED, app="web", mesh={"inboundTrafficPolicy": {"mode": "LOCALHOST"}})
    inbound = {cluster.port: cluster for cluster in plan.clusters if cluster.name.startswith("inbound|")}
    assert {port: cluster.endpoints[0].address for port, cluster in inbound.items()} == dict.fromkeys(
        (82, 8080, 9001), "127.0.0.1"
    )


def test_a_workload_that_is_reached_by_localhost_keeps_the_port_that_its_sidecar_names() -> None:
    sidecar = """
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: web}
spec: {ingress: [{port: {number: 8080, protocol: HTTP, name: web}, defaultEndpoint: "0.0.0.0:9080"}]}
"""
    plan = worlds.plan(SERVED + sidecar, app="web", mesh={"inboundTrafficPolicy": {"mode": "LOCALHOST"}})
    (cluster,) = [one for one in plan.clusters if one.name == "inbound|8080||"]
    assert (cluster.endpoints[0].port, cluster.target_port) == (9080, None)
