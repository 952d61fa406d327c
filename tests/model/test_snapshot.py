"""What a snapshot derives, and that the next one derives only what changed."""

import pytest

from lateen.api.changes import Upsert
from lateen.model.registry import PortKey
from lateen.model.service import Resolution
from lateen.model.snapshot import Inputs, Snapshot, next_snapshot
from lateen.model.workload import Workload

from .meshes import config, mesh, workload

REVIEWS = """
    apiVersion: v1
    kind: Service
    metadata: {name: reviews}
    spec:
      selector: {app: reviews}
      ports: [{name: http, port: 9080, targetPort: web}]
    """
HOST = "reviews.default.svc.cluster.local"


def addresses(snapshot: Snapshot, host: str = HOST, port: int = 9080) -> list[str]:
    return [f"{e.address}:{e.port}" for e in snapshot.endpoints.get(PortKey(host, port), ())]


def test_endpoints_are_the_ready_workloads_that_the_selector_picks_in_the_service_s_namespace() -> None:
    unready = Workload(workload("r3", "10.0.0.3").key, "10.0.0.3", {"app": "reviews"}, ports={"web": 1}, ready=False)
    snapshot = mesh(
        REVIEWS,
        workload("r2", "10.0.0.2", app="reviews"),
        workload("r1", "10.0.0.1", app="reviews"),
        unready,
        workload("other", "10.0.0.4", app="ratings"),
        workload("r1", "10.0.0.5", namespace="elsewhere", app="reviews"),
    )
    assert addresses(snapshot) == ["10.0.0.1:8080", "10.0.0.2:8080"]


def test_a_target_port_that_a_workload_does_not_name_gives_no_endpoint() -> None:
    nameless = Workload(workload("r1", "10.0.0.1").key, "10.0.0.1", {"app": "reviews"})
    assert addresses(mesh(REVIEWS, nameless)) == []


@pytest.mark.parametrize(
    ("spec", "resolution", "virtual_addresses"),
    [
        ("{clusterIP: None, ports: [{port: 80}]}", Resolution.PASSTHROUGH, ()),
        ("{clusterIP: 10.96.7.7, ports: [{port: 80}]}", Resolution.REGISTRY, ("10.96.7.7",)),
        ("{ports: [{port: 80}]}", Resolution.REGISTRY, ()),
        ("{type: ExternalName, externalName: db.example.org, ports: [{port: 80}]}", Resolution.REGISTRY, ()),
    ],
)
def test_kubernetes_services_resolve_by_their_type(
    spec: str, resolution: Resolution, virtual_addresses: tuple[str, ...]
) -> None:
    snapshot = mesh(f"{{apiVersion: v1, kind: Service, metadata: {{name: reviews}}, spec: {spec}}}")
    service = snapshot.services[HOST]
    assert (service.resolution, service.addresses) == (resolution, virtual_addresses)


def test_service_entries_bring_a_service_for_each_host_and_dns_entries_are_their_own_endpoint() -> None:
    snapshot = mesh("""
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: outside}
        spec:
          hosts: [a.example.org, b.example.org]
          ports: [{number: 80, name: http, protocol: HTTP}]
          resolution: DNS
        """)
    assert list(snapshot.services) == ["a.example.org", "b.example.org"]
    assert addresses(snapshot, "b.example.org", 80) == ["b.example.org:80"]


def test_slices_are_the_endpoints_of_services_without_selector() -> None:
    snapshot = mesh("""
        apiVersion: v1
        kind: Service
        metadata: {name: legacy}
        spec: {ports: [{name: tcp, port: 5432}]}
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: legacy-1, labels: {kubernetes.io/service-name: legacy}}
        addressType: IPv4
        ports: [{name: tcp, port: 15432}]
        endpoints:
        - {addresses: [192.0.2.7]}
        - {addresses: [192.0.2.8], conditions: {ready: false}}
        """)
    assert addresses(snapshot, "legacy.default.svc.cluster.local", 5432) == ["192.0.2.7:15432"]


def test_a_changed_workload_changes_the_endpoints_of_its_services_and_no_view() -> None:
    text = REVIEWS + "\n    ---\n" + REVIEWS.replace("reviews", "ratings")
    before = mesh(text, workload("r1", "10.0.0.1", app="reviews"), workload("x", "10.0.0.9", app="ratings"))
    workloads = before.workloads.apply([workload("r2", "10.0.0.2", app="reviews")])
    after, difference = next_snapshot(
        before, Inputs(before.config, workloads, {}, before.mesh), [workload("r2", "10.0.0.2").key]
    )
    assert addresses(after) == ["10.0.0.1:8080", "10.0.0.2:8080"]
    assert difference.endpoints == {PortKey(HOST, 9080)}
    assert not difference.views
    untouched = PortKey("ratings.default.svc.cluster.local", 9080)
    assert after.endpoints[untouched] is before.endpoints[untouched]


def test_an_unrelated_object_leaves_services_and_endpoints_the_same_objects() -> None:
    before = mesh(REVIEWS, workload("r1", "10.0.0.1", app="reviews"))
    extra = config("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: b}}")
    changed = before.config.apply(Upsert(item) for item in extra)
    after, difference = next_snapshot(before, Inputs(changed, before.workloads, {}, before.mesh))
    assert after.services is before.services
    assert after.endpoints is before.endpoints
    assert difference.endpoints == frozenset()


def test_deriving_step_by_step_equals_deriving_at_once() -> None:
    start = mesh(REVIEWS)
    grown = start.workloads.apply([workload("r1", "10.0.0.1", app="reviews")])
    middle, _ = next_snapshot(start, Inputs(start.config, grown, {}, start.mesh), [workload("r1", "").key])
    final = middle.workloads.apply([], [workload("r1", "").key])
    end, difference = next_snapshot(middle, Inputs(start.config, final, {}, start.mesh), [workload("r1", "").key])
    assert end == start
    assert difference.endpoints == {PortKey(HOST, 9080)}


def test_entries_of_one_namespace_for_one_host_add_up_where_they_say_the_same_else() -> None:
    def entry(name: str, port: int, *, resolution: str = "STATIC", namespace: str = "default") -> str:
        return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  hosts: [api.example]
  resolution: {resolution}
  ports: [{{number: {port}, name: http, protocol: HTTP}}]
  endpoints: [{{address: 192.0.2.{port % 100}}}]
"""

    def ports(*texts: str) -> list[int]:
        return [port.number for port in mesh("\n---\n".join(texts)).services["api.example"].ports]

    assert ports(entry("a", 80), entry("b", 81)) == [80, 81]
    assert ports(entry("b", 81), entry("a", 80)) == [80, 81]
    assert ports(entry("a", 80), entry("b", 81, resolution="DNS")) == [80]
    assert ports(entry("a", 80), entry("b", 81, namespace="depot")) == [80]
    together = mesh("\n---\n".join((entry("a", 80), entry("b", 80).replace("192.0.2.80", "192.0.2.9"))))
    (known,) = [found for key, found in together.endpoints.items() if key.host == "api.example"]
    assert [one.address for one in known] == ["192.0.2.80", "192.0.2.9"]
