"""What is told of services to those who have no sidecar."""

from lateen.model.workload import Workload, WorkloadKey
from lateen.platforms.local.protocol import ServiceRoute
from lateen.platforms.local.reachable import mesh_names, service_routes
from tests.model.meshes import mesh, workload

WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.0.5
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: web}
  - {name: dns, port: 53, protocol: UDP}
"""
HEADLESS = """
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
"""
PODS = (workload("w1", "10.244.1.1", app="web"), workload("w2", "10.244.1.2", app="web"))


def external_name(target: str, more: str = "") -> str:
    spec = f"{{type: ExternalName, externalName: {target}{more}}}"
    return f"{{apiVersion: v1, kind: Service, metadata: {{name: alias}}, spec: {spec}}}"


def entry(endpoint: str, more: str = "") -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: api}}
spec:
  hosts: [api.example.com]
  ports: [{{number: 443, name: tls, protocol: TLS}}]
  resolution: STATIC
  endpoints: [{{address: {endpoint}}}]
  {more}
"""


def test_every_port_leads_to_its_ready_workloads() -> None:
    tcp = ServiceRoute(address="10.96.0.5", port=80, targets=("10.244.1.1:8080", "10.244.1.2:8080"))
    udp = ServiceRoute(address="10.96.0.5", port=53, targets=("10.244.1.1:53", "10.244.1.2:53"), transport="udp")
    snapshot = mesh(WEB, *PODS)
    assert service_routes(snapshot) == (tcp, udp)
    assert service_routes(snapshot, ["udp"]) == (udp,)


def test_a_service_without_workloads_has_a_name_but_no_route() -> None:
    snapshot = mesh(WEB)
    assert service_routes(snapshot) == ()
    assert mesh_names(snapshot).addresses == {"web.default.svc.cluster.local": ("10.96.0.5",)}


def test_a_headless_service_has_the_names_of_its_workloads() -> None:
    labels = {"app": "db"}
    key = WorkloadKey("default", "db-0")
    snapshot = mesh(HEADLESS, Workload(key, "10.244.1.7", labels, hostname="db-0", subdomain="db"))
    assert service_routes(snapshot) == ()
    assert mesh_names(snapshot).addresses == {
        "db.default.svc.cluster.local": ("10.244.1.7",),
        "db-0.db.default.svc.cluster.local": ("10.244.1.7",),
    }


def test_an_alias_of_a_service_has_its_addresses_and_any_other_is_asked_for_elsewhere() -> None:
    snapshot = mesh(f"{WEB}---\n{external_name('web.default.svc.cluster.local', ', ports: [{port: 80}]')}")
    assert mesh_names(snapshot).addresses["alias.default.svc.cluster.local"] == ("10.96.0.5",)
    assert mesh_names(mesh(external_name("www.example.com"))).aliases == {
        "alias.default.svc.cluster.local": "www.example.com"
    }


def test_an_automatic_address_is_named_only_where_it_leads_to_workloads() -> None:
    automatic = {"api.example.com": "240.240.0.1"}
    inside, outside = mesh(entry("10.244.1.1"), **automatic), mesh(entry("192.0.2.1"), **automatic)
    assert mesh_names(inside).addresses == {"api.example.com": ("240.240.0.1",)}
    assert service_routes(inside) == (ServiceRoute(address="240.240.0.1", port=443, targets=("10.244.1.1:443",)),)
    assert (mesh_names(outside).addresses, service_routes(outside)) == ({}, ())


def test_an_address_that_was_written_is_named_always_and_a_range_never() -> None:
    written = mesh(entry("192.0.2.1", "addresses: [192.0.2.9, 192.0.2.128/25]"))
    assert mesh_names(written).addresses == {"api.example.com": ("192.0.2.9",)}
