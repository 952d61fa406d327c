"""Which listeners and route tables a sidecar has for outbound traffic."""

from typing import Any

from lateen.plan import describe
from tests.plan import worlds

MIXED = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.0.1
  selector: {app: web}
  ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: 10.96.0.2, selector: {app: db}, ports: [{name: tcp, port: 80}, {name: x, port: 5000}]}
---
apiVersion: v1
kind: Service
metadata: {name: peers}
spec: {clusterIP: None, selector: {app: peers}, ports: [{name: tcp, port: 80}]}
"""


def listeners(text: str) -> Any:
    return describe.plan(worlds.plan(text))["outbound"]


def test_http_shares_a_port_and_the_others_have_their_own_addresses() -> None:
    assert listeners(MIXED) == {
        "0.0.0.0:80": {"http": "80", "else": "outbound|80||peers.default.svc.cluster.local"},
        "10.96.0.2:80": "outbound|80||db.default.svc.cluster.local",
        "10.96.0.2:5000": {
            "http": "db.default.svc.cluster.local:5000",
            "else": "outbound|5000||db.default.svc.cluster.local",
        },
    }


def test_a_port_that_only_a_service_without_address_has_is_its_own() -> None:
    peers = MIXED.rpartition("---")[2]
    assert listeners(peers) == {"0.0.0.0:80": "outbound|80||peers.default.svc.cluster.local"}


def test_of_two_services_on_one_address_and_port_the_first_stays_and_the_other_is_noted() -> None:
    entry = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: twin}
spec:
  hosts: [twin.example]
  addresses: [10.96.0.2]
  ports: [{number: 80, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 192.0.2.1}]
"""
    plan = worlds.plan(MIXED + entry)
    assert describe.plan(plan)["outbound"]["10.96.0.2:80"] == "outbound|80||db.default.svc.cluster.local"
    assert [str(diagnostic) for diagnostic in plan.diagnostics] == [
        "ServiceEntry default/twin spec.ports[0]: "
        "10.96.0.2:80 already belongs to Service default/db spec.ports[0]: its traffic goes there"
    ]


def test_a_domain_is_in_one_virtual_host_of_a_table_only() -> None:
    entry = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: twin}
spec:
  hosts: [web.default, zzz.example]
  addresses: [10.96.0.1]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 192.0.2.1}]
"""
    (table,) = (table for table in worlds.plan(MIXED + entry).route_tables if table.name == "80")
    domains = [domain for host in table.virtual_hosts for domain in host.domains]
    assert len(domains) == len(set(domains))
    names = ["web.default:80", "web.default.svc.cluster.local:80", "zzz.example:80", "allow_any"]
    assert [host.name for host in table.virtual_hosts] == names
    assert "web.default" in table.virtual_hosts[0].domains


def test_a_host_that_is_no_service_is_reached_on_port_80() -> None:
    rule = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec: {hosts: [shop.example], http: [{redirect: {authority: www.example}}]}
"""
    assert describe.plan(worlds.plan(rule))["routes"]["80"]["shop.example:80"] == {
        "domains": ["shop.example"],
        "routes": [
            {"redirect": {"code": 301, "authority": "www.example"}, "from": "VirtualService default/shop spec.http[0]"}
        ],
    }
    assert listeners(rule) == {"0.0.0.0:80": {"http": "80", "else": "PassthroughCluster"}}


def test_an_egress_proxy_takes_unknown_traffic() -> None:
    policy = {"egressProxy": {"host": "web.default.svc.cluster.local", "port": {"number": 80}}}
    plan = describe.plan(worlds.plan(MIXED, mesh={"outboundTrafficPolicy": policy}))
    assert plan["outbound fallback"] == "outbound|80||web.default.svc.cluster.local"


def test_dns_answers_services_and_the_pods_of_headless_ones() -> None:
    assert describe.plan(worlds.plan(MIXED))["dns"] == {
        "db.default.svc.cluster.local": ["10.96.0.2"],
        "web.default.svc.cluster.local": ["10.96.0.1"],
    }
