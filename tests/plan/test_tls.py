"""What clusters speak: the mesh's TLS where it is taken, and what DestinationRules say of it."""

from typing import Any

import pytest

from lateen.model.proxy import Role
from lateen.model.workload import Workload, WorkloadKey
from lateen.plan.cache import PlanCache
from lateen.plan.planner import build_plan
from lateen.plan.types import Cluster, MeshTls, OriginatedTls, ProxyPlan, SniffedChain, TcpChain
from tests.plan import worlds

HOST = "stock.depot.svc.cluster.local"
ACCOUNT = "spiffe://cluster.local/ns/depot/sa/keeper"
STOCK = """
apiVersion: v1
kind: Service
metadata: {name: stock, namespace: depot}
spec: {selector: {app: stock}, ports: [{name: http, port: 80}, {name: tcp, port: 81}, {name: x, port: 82}]}
"""
HEADLESS = STOCK.replace("ports:", "clusterIP: None, ports:")
OUTSIDE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: stock, namespace: depot}
spec:
  hosts: [stock.depot.svc.cluster.local]
  resolution: STATIC
  endpoints: [{address: 192.0.2.1}]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: tcp, protocol: TCP}]
"""


def keeper(name: str = "k1", *, proxied: bool = True, account: str = "keeper") -> Workload:
    number = sum(name.encode()) % 200
    return Workload(WorkloadKey("depot", name), f"10.0.0.{number}", {"app": "stock"}, account, proxied=proxied)


def rule(policy: str, rest: str = "") -> str:
    return (
        "\n---\n{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: stock, namespace: depot}, "
        f"spec: {{host: stock, trafficPolicy: {policy}{rest}}}}}"
    )


def plan(text: str, *workloads: Workload, mesh: dict[str, Any] | None = None, role: Role = Role.SIDECAR) -> ProxyPlan:
    return build_plan(worlds.view(worlds.snapshot(text, mesh, workloads=workloads), role=role), PlanCache())


def cluster(made: ProxyPlan, port: int = 80, subset: str = "") -> Cluster:
    (found,) = (one for one in made.clusters if one.name == f"outbound|{port}|{subset}|{HOST}")
    return found


def test_the_mesh_s_tls_is_automatic_and_the_server_one_of_the_service_s_accounts() -> None:
    made = plan(STOCK + rule("{}", ", subsets: [{name: v1}]"), keeper())
    assert cluster(made).tls == MeshTls(f"outbound_.80_._.{HOST}", (ACCOUNT,))
    assert cluster(made, 80, "v1").tls == MeshTls(f"outbound_.80_.v1_.{HOST}", (ACCOUNT,))
    assert cluster(plan(STOCK)).tls == MeshTls(f"outbound_.80_._.{HOST}")


@pytest.mark.parametrize("text", [OUTSIDE, STOCK.replace("spec: {", "spec: {type: ExternalName, externalName: a.b, ")])
def test_what_is_no_part_of_the_mesh_is_called_plainly(text: str) -> None:
    assert cluster(plan(text)).tls is None


def test_automatic_tls_can_be_off() -> None:
    assert cluster(plan(STOCK, keeper(), mesh={"enableAutoMtls": False})).tls is None


def test_pods_of_headless_services_are_called_with_tls_once_all_take_it() -> None:
    """The proxy does not know them one by one: the client has chosen an address."""
    both = cluster(plan(HEADLESS, keeper("k1"), keeper("k2"))).tls
    assert both == MeshTls(f"outbound_.80_._.{HOST}", (ACCOUNT,), automatic=False)
    assert cluster(plan(HEADLESS, keeper("k1"), keeper("k2", proxied=False))).tls is None
    assert cluster(plan(HEADLESS)).tls is None
    through_gateway = cluster(plan(HEADLESS, keeper("k1"), keeper("k2", proxied=False), role=Role.GATEWAY)).tls
    assert through_gateway == MeshTls(f"outbound_.80_._.{HOST}", (ACCOUNT,))


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ("{mode: DISABLE}", None),
        ("{mode: ISTIO_MUTUAL}", MeshTls(f"outbound_.80_._.{HOST}", (ACCOUNT,), automatic=False)),
        (
            "{mode: ISTIO_MUTUAL, sni: x.example, subjectAltNames: [spiffe://other/b, spiffe://other/a]}",
            MeshTls("x.example", ("spiffe://other/a", "spiffe://other/b"), automatic=False),
        ),
        ("{mode: SIMPLE}", OriginatedTls(follows_host=True)),
        ("{mode: SIMPLE, sni: x.example}", OriginatedTls("x.example", accepted_names=("x.example",))),
        (
            "{mode: SIMPLE, subjectAltNames: [y.example], caCertificates: /ca, caCrl: /crl}",
            OriginatedTls(
                follows_host=True, accepted_names=("y.example",), authority_file="/ca", revocation_file="/crl"
            ),
        ),
        ("{mode: SIMPLE, insecureSkipVerify: true}", OriginatedTls(follows_host=True, verifies=False)),
        (
            "{mode: MUTUAL, clientCertificate: /crt, privateKey: /key}",
            OriginatedTls(follows_host=True, presents_certificate=True, certificate_file="/crt", key_file="/key"),
        ),
        (
            "{mode: MUTUAL, credentialName: client}",
            OriginatedTls(follows_host=True, presents_certificate=True, credential="client"),
        ),
    ],
)
def test_a_rule_says_what_is_spoken(tls: str, expected: MeshTls | OriginatedTls | None) -> None:
    assert cluster(plan(STOCK + rule(f"{{tls: {tls}}}"), keeper())).tls == expected


def test_connections_outside_ask_for_the_service_s_host() -> None:
    made = plan(OUTSIDE + rule("{tls: {mode: SIMPLE}}"))
    assert cluster(made, 81).tls == OriginatedTls(HOST, accepted_names=(HOST,))
    named = plan(OUTSIDE.rstrip() + "\n  subjectAltNames: [z.example]\n" + rule("{tls: {mode: SIMPLE}}"))
    assert cluster(named, 81).tls == OriginatedTls(HOST, accepted_names=("z.example",))


def test_a_port_replaces_the_host_s_tls_and_a_subset_overrides_it() -> None:
    made = plan(
        STOCK
        + rule(
            "{tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 81}, tls: {mode: DISABLE}}, "
            "{port: {number: 82}, loadBalancer: {simple: RANDOM}}]}",
            ", subsets: [{name: plain, trafficPolicy: {tls: {mode: DISABLE}}}, {name: same}]",
        )
    )
    assert isinstance(cluster(made).tls, OriginatedTls)
    assert cluster(made, 81).tls is None
    assert isinstance(cluster(made, 82).tls, MeshTls)
    assert cluster(made, 80, "plain").tls is None
    assert isinstance(cluster(made, 80, "same").tls, OriginatedTls)


def test_connections_to_a_detected_port_say_that_they_are_no_http() -> None:
    def says_tcp(text: str) -> dict[int, bool]:
        chains = {one.port: one.chain for one in plan(text).outbound if one.address != "0.0.0.0"}
        tcp = {port: chain.tcp if isinstance(chain, SniffedChain) else chain for port, chain in chains.items()}
        return {port: chain.says_tcp for port, chain in tcp.items() if isinstance(chain, TcpChain)}

    assert says_tcp(STOCK) == {81: False, 82: True}
    assert says_tcp(STOCK + rule("{tls: {mode: SIMPLE}}")) == {81: False, 82: False}
    routed = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: stock, namespace: depot}
spec: {hosts: [stock], tcp: [{match: [{port: 81}], route: [{destination: {host: stock, port: {number: 82}}}]}]}
"""
    assert says_tcp(STOCK + routed) == {81: True, 82: True}


def test_a_new_account_changes_the_clusters_of_its_service_only() -> None:
    cache = PlanCache()
    text = STOCK + worlds.SHOP.split("---")[0].join(["\n---", ""])
    before = worlds.snapshot(text, workloads=[keeper()])
    after = worlds.snapshot(text, previous=before, workloads=[keeper(), keeper("k2", account="other")])
    old, new = (build_plan(worlds.view(one), cache) for one in (before, after))
    kept = {one.name for one in new.clusters if any(one is other for other in old.clusters)}
    assert {one.name for one in new.clusters} - kept == {f"outbound|{port}||{HOST}" for port in (80, 81, 82)}
    assert all(one is other for one, other in zip(old.route_tables, new.route_tables, strict=True))
    assert all(one is other for one, other in zip(old.outbound, new.outbound, strict=True))
    assert new.inbound is old.inbound


def test_trust_domains_and_limits_are_the_mesh_s() -> None:
    mesh = {
        "trustDomain": "a.example",
        "trustDomainAliases": ["b.example"],
        "meshMTLS": {"minProtocolVersion": "TLSV1_3", "ecdhCurves": ["P-256"]},
    }
    made = plan(STOCK, keeper(), mesh=mesh)
    assert (made.trust.domains, made.trust.min_version.value, made.trust.curves) == (
        ("a.example", "b.example"),
        "TLSV1_3",
        ("P-256",),
    )
    tls = cluster(made).tls
    assert isinstance(tls, MeshTls)
    assert tls.accounts == ("spiffe://a.example/ns/depot/sa/keeper", "spiffe://b.example/ns/depot/sa/keeper")
