"""Which proxies are of one class, and what a class sees."""

from lateen.model.proxy import Proxy, Role
from lateen.model.view import ProxyView
from lateen.model.views import Views
from lateen.model.workload import WorkloadKey

from .meshes import mesh, workload

TWO_NAMESPACES = """
    {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}}
    ---
    {apiVersion: v1, kind: Service, metadata: {name: vault, namespace: bank, annotations: {networking.istio.io/exportTo: "."}}, spec: {ports: [{name: http, port: 80}]}}
    ---
    {apiVersion: v1, kind: Service, metadata: {name: desk, namespace: bank}, spec: {ports: [{name: http, port: 80}]}}
    ---
    {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: mesh-wide, namespace: shop}, spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}}
    ---
    {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: private, namespace: shop}, spec: {hosts: [web], exportTo: ["."], http: [{route: [{destination: {host: web}}]}]}}
    ---
    {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: front, namespace: shop}, spec: {hosts: ["*"], gateways: [entry], http: [{route: [{destination: {host: web}}]}]}}
    ---
    {apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: entry, namespace: shop}, spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}}
    """
SIDECAR = """
    ---
    {apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: default, namespace: shop}, spec: {egress: [{hosts: ["./*"]}]}}
    """


def sidecar(name: str, namespace: str, **labels: str) -> Proxy:
    return Proxy(WorkloadKey(namespace, name), Role.SIDECAR, labels)


def view(text: str, proxy: Proxy) -> ProxyView:
    views = Views(mesh(text))
    return views.view_for(views.class_of(proxy))


def seen(found: ProxyView) -> list[str]:
    return [service.host.removesuffix(".svc.cluster.local") for service in found.services]


def test_a_service_that_is_exported_to_its_own_namespace_is_seen_there_only() -> None:
    assert seen(view(TWO_NAMESPACES, sidecar("a", "bank"))) == ["desk.bank", "vault.bank", "web.shop"]
    assert seen(view(TWO_NAMESPACES, sidecar("a", "shop"))) == ["desk.bank", "web.shop"]


def test_a_sidecar_limits_what_its_namespace_sees() -> None:
    assert seen(view(TWO_NAMESPACES + SIDECAR, sidecar("a", "shop"))) == ["web.shop"]
    assert seen(view(TWO_NAMESPACES + SIDECAR, sidecar("a", "bank"))) == ["desk.bank", "vault.bank", "web.shop"]


def test_sidecars_get_rules_of_the_mesh_and_gateways_those_that_name_them() -> None:
    gateway = Proxy(WorkloadKey("istio-system", "gw"), Role.GATEWAY, {"istio": "ingressgateway"})
    names = [item.name for item in view(TWO_NAMESPACES, sidecar("a", "bank")).virtual_services]
    assert names == ["mesh-wide"]
    assert [item.name for item in view(TWO_NAMESPACES, gateway).virtual_services] == ["front"]


def test_replicas_are_one_class_and_other_labels_do_not_matter_until_a_rule_names_them() -> None:
    first, second = sidecar("a", "shop", app="web", zone="x"), sidecar("b", "shop", app="web", zone="y")
    views = Views(mesh(TWO_NAMESPACES))
    assert views.class_of(first) == views.class_of(second)
    named = (
        TWO_NAMESPACES
        + """
    ---
    {apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: zoned, namespace: bank}, spec: {hosts: [desk], http: [{match: [{sourceLabels: {zone: x}}], route: [{destination: {host: desk}}]}]}}
    """
    )
    views = Views(mesh(named))
    assert views.class_of(first) != views.class_of(second)


def test_a_workload_s_own_ports_are_those_that_services_send_to() -> None:
    (port,) = Views(mesh(TWO_NAMESPACES)).class_of(sidecar("a", "shop", app="web")).own_ports
    assert (port.number, port.service_port, port.host) == (8080, 80, "web.shop.svc.cluster.local")


def test_a_view_that_did_not_change_is_the_same_object() -> None:
    proxy = sidecar("a", "bank")
    views = Views(mesh(TWO_NAMESPACES))
    before = views.view_for(views.class_of(proxy))
    again = Views(mesh(TWO_NAMESPACES))
    assert again.view_for(again.class_of(proxy), before) is before


def test_headless_services_bring_names_for_their_pods() -> None:
    text = "{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {clusterIP: None, selector: {app: db}, ports: [{name: tcp, port: 5432}]}}"
    member = workload("db-0", "10.0.0.7", app="db")
    member = type(member)(member.key, member.address, member.labels, hostname="db-0", subdomain="db")
    views = Views(mesh(text, member))
    names = views.view_for(views.class_of(sidecar("a", "default"))).names
    assert [(name.host, name.addresses) for name in names] == [
        ("db-0.db.default.svc.cluster.local", ("10.0.0.7",)),
        ("db.default.svc.cluster.local", ("10.0.0.7",)),
    ]
