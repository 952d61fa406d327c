"""Which connections workloads take, and what services know of those behind them."""

import pytest

from lateen.api.changes import Upsert
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.objects import ObjectKey
from lateen.model.peers import PeerMode, PeerModes
from lateen.model.proxy import Proxy, Role
from lateen.model.registry import PortKey
from lateen.model.snapshot import Inputs, Snapshot, next_snapshot
from lateen.model.views import Views
from lateen.model.workload import Workload, WorkloadKey

from .meshes import config, mesh, workload

DISABLE, PERMISSIVE, STRICT = PeerMode
REVIEWS = """
    apiVersion: v1
    kind: Service
    metadata: {name: reviews}
    spec: {selector: {app: reviews}, ports: [{name: http, port: 9080, targetPort: web}, {name: tcp, port: 7000}]}
    """
HOST = "reviews.default.svc.cluster.local"


def policy(spec: str, namespace: str = "default", name: str = "p", created: str = "2020-01-01T00:00:00Z") -> str:
    return (
        "\n    ---\n    {apiVersion: security.istio.io/v1, kind: PeerAuthentication, "
        f'metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: "{created}"}}, spec: {spec}}}\n'
    )


def modes(*policies: str, namespace: str = "default", **labels: str) -> PeerModes:
    return mesh("".join(policies)).peers.of(namespace, labels)


MESH = policy("{mtls: {mode: STRICT}}", "istio-system")
OF_WEB = "selector: {matchLabels: {app: web}}"


def test_permissive_is_the_default() -> None:
    assert modes() == PeerModes(PERMISSIVE)
    assert modes(policy("{}")) == PeerModes(PERMISSIVE)


def test_the_narrower_scope_counts_unless_it_is_unset() -> None:
    namespace = policy("{mtls: {mode: DISABLE}}")
    assert modes(MESH) == PeerModes(STRICT)
    assert modes(MESH, namespace) == PeerModes(DISABLE)
    assert modes(MESH, namespace, namespace="other") == PeerModes(STRICT)
    assert modes(MESH, policy("{mtls: {mode: UNSET}}")) == PeerModes(STRICT)
    web = policy(f"{{{OF_WEB}, mtls: {{mode: PERMISSIVE}}}}", name="web")
    assert modes(MESH, namespace, web, app="web") == PeerModes(PERMISSIVE)
    assert modes(MESH, namespace, web, app="other") == PeerModes(DISABLE)
    assert modes(MESH, namespace, web, namespace="other", app="web") == PeerModes(STRICT)


def test_ports_of_a_workload_differ_where_they_are_written_otherwise() -> None:
    web = policy(f"{{{OF_WEB}, portLevelMtls: {{80: {{mode: DISABLE}}, 81: {{mode: STRICT}}, 82: {{}}}}}}")
    assert modes(MESH, web, app="web") == PeerModes(STRICT, ((80, DISABLE),))
    assert [modes(MESH, web, app="web").of(port) for port in (80, 81, 82)] == [DISABLE, STRICT, STRICT]


def test_of_several_with_one_scope_the_oldest_counts() -> None:
    old = policy("{mtls: {mode: STRICT}}", name="z", created="2019-01-01T00:00:00Z")
    assert modes(policy("{mtls: {mode: DISABLE}}"), old) == PeerModes(STRICT)
    ports = policy(f"{{{OF_WEB}, portLevelMtls: {{80: {{mode: DISABLE}}}}}}", name="ports")
    older = policy(f"{{{OF_WEB}, mtls: {{mode: STRICT}}}}", name="older", created="2019-01-01T00:00:00Z")
    assert modes(ports, older, app="web") == PeerModes(STRICT)


def test_the_object_that_decides_is_known() -> None:
    peers = mesh(MESH + policy(f"{{{OF_WEB}, portLevelMtls: {{80: {{mode: DISABLE}}}}}}", name="web")).peers
    key = ObjectKey("security.istio.io", "PeerAuthentication", "default", "web")
    assert peers.deciding("default", {"app": "web"}, 80) == key
    assert peers.deciding("default", {"app": "web"}, 81) == ObjectKey(
        "security.istio.io", "PeerAuthentication", "istio-system", "p"
    )
    assert mesh("").peers.deciding("default", {}, 80) is None


def tls(snapshot: Snapshot, port: int = 9080) -> dict[str, bool]:
    return {one.address: one.tls for one in snapshot.endpoints[PortKey(HOST, port)]}


def test_endpoints_take_tls_where_a_proxy_does() -> None:
    bare = Workload(WorkloadKey("default", "bare"), "10.0.0.2", {"app": "reviews"}, ports={"web": 1}, proxied=False)
    proxied = workload("r1", "10.0.0.1", app="reviews")
    assert tls(mesh(REVIEWS, proxied, bare)) == {"10.0.0.1": True, "10.0.0.2": False}
    off = policy("{selector: {matchLabels: {app: reviews}}, portLevelMtls: {8080: {mode: DISABLE}}}")
    assert tls(mesh(REVIEWS + off, proxied)) == {"10.0.0.1": False}
    assert tls(mesh(REVIEWS + off, proxied), 7000) == {"10.0.0.1": True}
    assert mesh(REVIEWS, proxied, bare).services[HOST].tls_ports == ()
    assert mesh(REVIEWS + off, proxied).services[HOST].tls_ports == (7000,)


def test_entries_say_by_a_label_that_they_take_tls() -> None:
    snapshot = mesh("""
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: vms}
        spec:
          hosts: [vms.example]
          location: MESH_INTERNAL
          resolution: STATIC
          ports: [{number: 80, name: http, protocol: HTTP}]
          subjectAltNames: [spiffe://other.example/vm]
          endpoints:
          - {address: 192.0.2.1, serviceAccount: vm, labels: {security.istio.io/tlsMode: istio}}
          - {address: 192.0.2.2}
        """)
    found = snapshot.endpoints[PortKey("vms.example", 80)]
    assert [one.tls for one in found] == [True, False]
    assert snapshot.services["vms.example"].accounts == (
        "spiffe://cluster.local/ns/default/sa/vm",
        "spiffe://other.example/vm",
    )


def test_a_service_knows_the_accounts_of_all_its_workloads_in_all_trust_domains() -> None:
    unready = Workload(WorkloadKey("default", "r2"), "10.0.0.2", {"app": "reviews"}, "other", {"web": 1}, ready=False)
    start = mesh(REVIEWS, workload("r1", "10.0.0.1", app="reviews"), unready)
    assert start.services[HOST].accounts == (
        "spiffe://cluster.local/ns/default/sa/default",
        "spiffe://cluster.local/ns/default/sa/other",
    )
    renamed = MeshConfig(trust_domain="new.example", trust_domain_aliases=("cluster.local",))
    later, _ = next_snapshot(start, Inputs(start.config, start.workloads, {}, renamed))
    assert len(later.services[HOST].accounts) == 4


def test_only_a_new_account_changes_a_service() -> None:
    start = mesh(REVIEWS, workload("r1", "10.0.0.1", app="reviews"))
    twin = workload("r2", "10.0.0.2", app="reviews")
    grown, difference = next_snapshot(
        start, Inputs(start.config, start.workloads.apply([twin]), {}, start.mesh), [twin.key]
    )
    assert grown.services is start.services
    assert not difference.views
    other = Workload(WorkloadKey("default", "r3"), "10.0.0.3", {"app": "reviews"}, "other", {"web": 1})
    known, difference = next_snapshot(
        grown, Inputs(start.config, grown.workloads.apply([other]), {}, start.mesh), [other.key]
    )
    assert difference.views
    assert len(known.services[HOST].accounts) == 2


@pytest.mark.parametrize(("namespace", "is_touched"), [("default", True), ("elsewhere", False)])
def test_a_policy_touches_only_endpoints_of_its_namespace(namespace: str, is_touched: bool) -> None:
    start = mesh(REVIEWS, workload("r1", "10.0.0.1", app="reviews"))
    added = [Upsert(item) for item in config(policy("{mtls: {mode: DISABLE}}", namespace))]
    after, difference = next_snapshot(start, Inputs(start.config.apply(added), start.workloads, {}, start.mesh))
    assert bool(difference.endpoints) is is_touched
    assert (after.endpoints is start.endpoints) is not is_touched


def test_proxies_that_take_other_connections_are_another_class() -> None:
    snapshot = mesh(policy(f"{{{OF_WEB}, mtls: {{mode: STRICT}}}}"))
    views = Views(snapshot)
    web, other, gateway = (
        views.class_of(Proxy(WorkloadKey("default", "x"), role, labels))
        for role, labels in ((Role.SIDECAR, {"app": "web"}), (Role.SIDECAR, {}), (Role.GATEWAY, {"app": "web"}))
    )
    assert [key.peers.mode for key in (web, other, gateway)] == [STRICT, PERMISSIVE, PERMISSIVE]
