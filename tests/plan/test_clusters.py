"""What DestinationRules and services come to: clusters, described without what is as usual."""

from typing import Any

import pytest

from lateen.plan import describe
from lateen.plan.types import Balancing, Forward, HashKey, TcpChain
from tests.plan import worlds
from tests.plan.worlds import SHOP

STOCK = "outbound|80||stock.depot.svc.cluster.local"


def clusters(text: str, namespace: str = "default", mesh: dict[str, Any] | None = None) -> dict[str, Any]:
    return {cluster.name: describe.cluster(cluster) for cluster in worlds.plan(text, namespace, mesh).clusters}


def with_rule(policy: str, rest: str = "", namespace: str = "depot", host: str = "stock") -> str:
    return (
        f"{SHOP}\n---\n{{apiVersion: networking.istio.io/v1, kind: DestinationRule, "
        f"metadata: {{name: stock, namespace: {namespace}}}, "
        f"spec: {{host: {host}, trafficPolicy: {policy}{rest}}}}}"
    )


def shaped(text: str, name: str = STOCK, mesh: dict[str, Any] | None = None) -> dict[str, Any]:
    usual = {"discovery", "protocol", "origin", "tls"}
    return {field: value for field, value in clusters(text, mesh=mesh)[name].items() if field not in usual}


def test_a_service_has_a_cluster_for_each_port_and_subset() -> None:
    found = clusters(SHOP)
    assert list(found) == [
        "outbound|80||cart.default.svc.cluster.local",
        "outbound|80|v1|cart.default.svc.cluster.local",
        "outbound|80|v2|cart.default.svc.cluster.local",
        "outbound|80||stock.depot.svc.cluster.local",
        "outbound|7000||stock.depot.svc.cluster.local",
        "InboundPassthroughCluster",
        "PassthroughCluster",
        "BlackHoleCluster",
    ]
    assert found["outbound|80|v2|cart.default.svc.cluster.local"] == {
        "discovery": "eds",
        "protocol": "HTTP",
        "labels": {"version": "v2"},
        "tls": "mesh",
        "origin": "DestinationRule default/cart spec.subsets[1]",
    }
    assert found["outbound|7000||stock.depot.svc.cluster.local"] == {
        "discovery": "eds",
        "tls": "mesh",
        "origin": "Service depot/stock spec.ports[1]",
    }


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 30s, minimumPercent: 5, aggression: 2}}}",
         {"balancing": "round-robin", "slow start": "30s",
          "slow start aggression": 2.0, "slow start min percent": 5.0}),
        ("{loadBalancer: {simple: LEAST_CONN}}", {}),
        ("{loadBalancer: {consistentHash: {useSourceIp: true}}}", {"balancing": "ring-hash", "ring size": 1024}),
        ("{loadBalancer: {consistentHash: {httpHeaderName: X, maglev: {tableSize: 101}}}}",
         {"balancing": "maglev", "table size": 101}),
        ("{connectionPool: {tcp: {maxConnections: 7, connectTimeout: 1s, tcpKeepalive: {time: 60s}, idleTimeout: 5s},"
         " http: {http1MaxPendingRequests: 2, http2MaxRequests: 3, maxRetries: 4, maxRequestsPerConnection: 5,"
         " idleTimeout: 6s, maxConcurrentStreams: 8}}}",
         {"limits": {"connect timeout": "1s", "connections": 7, "pending requests": 2, "requests": 3, "retries": 4,
                     "requests per connection": 5, "concurrent streams": 8, "idle timeout": "6s",
                     "keepalive": {"time": "60s"}}}),
        ("{outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 3, interval: 1s, baseEjectionTime: 2s,"
         " maxEjectionPercent: 100, minHealthPercent: 20}}",
         {"outliers": {"consecutive 5xx": None, "consecutive gateway": 3, "interval": "1s", "ejection time": "2s",
                       "max ejected percent": 100, "min healthy percent": 20}}),
        ("{outlierDetection: {splitExternalLocalOriginErrors: true}}",
         {"outliers": {"consecutive local": 5, "splits local": True}}),
        ("{connectionPool: {http: {useClientProtocol: true}}}", {"follows client protocol": True}),
        ("{portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {maxConnections: 1}}}],"
         " loadBalancer: {simple: RANDOM}}", {"limits": {"connections": 1}}),
    ],
)  # fmt: skip
def test_a_traffic_policy_shapes_the_cluster(policy: str, expected: dict[str, Any]) -> None:
    assert shaped(with_rule(policy)) == expected


def test_a_subset_overrides_its_host_setting_by_setting() -> None:
    rule = with_rule(
        "{loadBalancer: {simple: RANDOM}, connectionPool: {tcp: {maxConnections: 1}}}",
        ", subsets: [{name: a, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}]",
    )
    assert shaped(rule, "outbound|80|a|stock.depot.svc.cluster.local") == {
        "balancing": "round-robin",
        "limits": {"connections": 1},
    }


def test_the_client_s_namespace_is_asked_first_then_the_service_s_then_the_root() -> None:
    random, robin = "{loadBalancer: {simple: RANDOM}}", "{loadBalancer: {simple: ROUND_ROBIN}}"
    host = "stock.depot.svc.cluster.local"
    server_side = with_rule(random)
    both = f"{server_side}\n---\n" + with_rule(robin, namespace="default", host=host).rpartition("---\n")[2]
    root = with_rule(robin, namespace="istio-system", host="'*.svc.cluster.local'")
    other = with_rule(robin, namespace="elsewhere", host=host)
    found = [shaped(text).get("balancing") for text in (server_side, both, root, other)]
    assert found == ["random", "round-robin", "round-robin", None]


def test_the_mesh_s_defaults_hold_where_no_rule_says_otherwise() -> None:
    mesh = {
        "connectTimeout": "3s",
        "tcpKeepalive": {"probes": 4},
        "defaultTrafficPolicy": {
            "outlierDetection": {"interval": "7s"},
            "connectionPool": {"tcp": {"maxConnections": 9}},
        },
    }
    assert shaped(SHOP, mesh=mesh) == {
        "limits": {"connect timeout": "3s", "connections": 9, "keepalive": {"probes": 4}},
        "outliers": {"interval": "7s"},
    }


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{hosts: [a.example], ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}], resolution: DNS}",
         {"discovery": "dns", "protocol": "HTTP", "endpoints": [{"address": "a.example", "port": 8080}]}),
        ("{hosts: [a.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS_ROUND_ROBIN,"
         " endpoints: [{address: b.example, ports: {http: 81}}]}",
         {"discovery": "dns-round-robin", "protocol": "HTTP", "endpoints": [{"address": "b.example", "port": 81}]}),
        ("{hosts: [a.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC,"
         " endpoints: [{address: 192.0.2.1}]}", {"discovery": "eds", "protocol": "HTTP"}),
        ("{hosts: [a.example], ports: [{number: 80, name: http, protocol: HTTP}]}",
         {"discovery": "original-destination", "protocol": "HTTP", "balancing": "original-destination",
          "target port": 80}),
    ],
)  # fmt: skip
def test_service_entries_resolve_as_they_say(entry: str, expected: dict[str, Any]) -> None:
    text = f"{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: a}}, spec: {entry}}}"
    found = clusters(text)["outbound|80||a.example"]
    assert found.pop("origin") == "ServiceEntry default/a spec.ports[0]"
    assert found == expected


def test_zones_beside_a_hash_get_a_diagnostic() -> None:
    policy = "{loadBalancer: {consistentHash: {useSourceIp: true}, zoneAwareLbSetting: {enabled: true}}}"
    assert [str(diagnostic) for diagnostic in worlds.plan(with_rule(policy)).diagnostics] == [
        "DestinationRule depot/stock spec.trafficPolicy.loadBalancer.zoneAwareLbSetting: "
        "has no effect beside consistentHash, which picks alone",
    ]


@pytest.mark.parametrize(
    ("policy", "balancing"),
    [
        pytest.param("{connectionPool: {tcp: {maxConnections: 1}}}", Balancing.RING_HASH, id="by the client's address"),
        pytest.param("{loadBalancer: {simple: RANDOM}}", Balancing.RANDOM, id="as a rule says"),
    ],
)
def test_a_service_with_affinity_keeps_its_clients(policy: str, balancing: Balancing) -> None:
    text = f"""
apiVersion: v1
kind: Service
metadata: {{name: own}}
spec:
  selector: {{app: own}}
  sessionAffinity: ClientIP
  ports: [{{name: http, port: 80}}, {{name: tcp, port: 81}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: own}}
spec: {{host: own, trafficPolicy: {policy}}}
"""
    plan = worlds.plan(text)
    keeps = balancing is Balancing.RING_HASH
    found = [one for one in plan.clusters if one.host.startswith("own.")]
    assert {one.balancing for one in found} == {balancing}
    (chain,) = [one.chain for one in plan.outbound if one.port == 81 and isinstance(one.chain, TcpChain)]
    assert chain.keeps_clients is keeps
    (host,) = [one for table in plan.route_tables for one in table.virtual_hosts if one.name.startswith("own.")]
    (action,) = [route.action for route in host.routes]
    assert isinstance(action, Forward)
    assert action.hash_keys == ((HashKey(source_ip=True),) if keeps else ())
