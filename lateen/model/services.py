"""Derives services from the objects that describe them: Kubernetes Services and ServiceEntries."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from lateen import names
from lateen.api.core.service import Service as ServiceSpec
from lateen.api.core.service import ServiceType, SessionAffinity
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.networking import service_entry
from lateen.api.networking.workload_entry import WorkloadEntry
from lateen.api.objects import ConfigObject
from lateen.model.endpoint import Endpoint
from lateen.model.protocol import choose_protocol, parse_protocol
from lateen.model.service import Resolution, Service, ServicePort
from lateen.model.workload import Locality

EXPORT_ANNOTATION: Final = "networking.istio.io/exportTo"
TLS_LABEL: Final = "security.istio.io/tlsMode"
"""The label by which endpoints that are no workloads of ours say that they take the mesh's TLS: `istio`."""
_RESOLUTIONS: Final = {
    service_entry.Resolution.NONE: Resolution.PASSTHROUGH,
    service_entry.Resolution.STATIC: Resolution.REGISTRY,
    service_entry.Resolution.DNS: Resolution.DNS,
    service_entry.Resolution.DNS_ROUND_ROBIN: Resolution.DNS_ROUND_ROBIN,
    service_entry.Resolution.DYNAMIC_DNS: Resolution.DYNAMIC_DNS,
}


def exported_to(scopes: tuple[str, ...], namespace: str) -> frozenset[str]:
    """Resolve `exportTo`: `.` is the object's own namespace, `~` is nobody, `*` is everybody."""
    return frozenset(namespace if scope == "." else scope for scope in scopes if scope != "~")


DISTRIBUTION_ANNOTATION: Final = "networking.istio.io/traffic-distribution"
_NEAR: Final = ("PreferClose", "PreferSameZone", "PreferSameNode")


def of_kubernetes(item: ConfigObject[ServiceSpec], mesh: MeshConfig, addresses: Mapping[str, str]) -> Service:
    """Derive the service of a Kubernetes Service; `addresses` has the virtual address of hosts that wrote none."""
    spec, namespace = item.spec, item.key.namespace
    host = names.service_host(item.key.name, namespace)
    alias = spec.external_name if spec.type is ServiceType.EXTERNAL_NAME else ""
    own = spec.cluster_ip or addresses.get(host, "")
    annotation = item.metadata.annotations.get(EXPORT_ANNOTATION, "")
    scopes = tuple(part.strip() for part in annotation.split(",") if part.strip())
    return Service(
        host=host,
        namespace=namespace,
        ports=tuple(_kubernetes_ports(spec)),
        origin=item.key,
        addresses=() if spec.headless or not own else (own,),
        resolution=Resolution.PASSTHROUGH if spec.headless else Resolution.REGISTRY,
        selector=tuple(sorted(spec.selector.items())),
        export_to=exported_to(scopes or mesh.default_service_export_to or ("*",), namespace),
        headless=spec.headless,
        includes_unready=spec.publish_not_ready_addresses,
        alias_of=alias,
        prefers_near=(spec.traffic_distribution or item.metadata.annotations.get(DISTRIBUTION_ANNOTATION)) in _NEAR,
        keeps_clients=spec.session_affinity is SessionAffinity.CLIENT_IP,
    )


def _kubernetes_ports(spec: ServiceSpec) -> Iterator[ServicePort]:
    for port in spec.ports:
        protocol = choose_protocol(port.port, port.name, port.app_protocol or None, port.protocol)
        target = port.target_port if port.target_port is not None else port.port
        yield ServicePort(port.port, port.name, protocol, target)


def of_entry(
    item: ConfigObject[service_entry.ServiceEntry], mesh: MeshConfig, addresses: Mapping[str, str]
) -> Iterator[Service]:
    """Derive one service for each host of a ServiceEntry."""
    spec, namespace = item.spec, item.key.namespace
    selector = spec.workload_selector
    ports = tuple(_entry_ports(spec))
    for host in spec.hosts:
        automatic = addresses.get(host)
        yield Service(
            host=host,
            namespace=namespace,
            ports=ports,
            origin=item.key,
            addresses=spec.addresses or ((automatic,) if automatic else ()),
            resolution=_RESOLUTIONS[spec.resolution],
            selector=tuple(sorted(selector.labels.items())) if selector else (),
            static_endpoints=tuple(_static_endpoints(spec, host)),
            export_to=exported_to(spec.export_to or mesh.default_service_export_to or ("*",), namespace),
            external=spec.location is service_entry.Location.MESH_EXTERNAL,
            subject_alt_names=spec.subject_alt_names,
        )


def together(older: Service, newer: Service) -> Service:
    """Return what two objects make of one host: its ports and endpoints add up where they say the same else.

    Of a port that both have, the older one's protocol counts. Otherwise the older one has the host.
    """
    if not _is_same_but_for_ports(older, newer):
        return older
    endpoints = dict(older.static_endpoints)
    for number, found in newer.static_endpoints:
        endpoints[number] = tuple(dict.fromkeys((*endpoints.get(number, ()), *found)))
    return replace(
        older,
        ports=(*older.ports, *(port for port in newer.ports if older.port(port.number) is None)),
        addresses=tuple(dict.fromkeys((*older.addresses, *newer.addresses))),
        static_endpoints=tuple(endpoints.items()),
        subject_alt_names=tuple(dict.fromkeys((*older.subject_alt_names, *newer.subject_alt_names))),
    )


def _is_same_but_for_ports(older: Service, newer: Service) -> bool:
    said = [
        (one.origin.kind, one.namespace, one.resolution, one.selector, one.export_to, one.external)
        for one in (older, newer)
    ]
    return said[0] == said[1] and older.origin.kind == "ServiceEntry"


def _entry_ports(spec: service_entry.ServiceEntry) -> Iterator[ServicePort]:
    for port in spec.ports:
        declared = parse_protocol(port.protocol.value) if port.protocol else None
        protocol = declared or choose_protocol(port.number, port.name)
        yield ServicePort(port.number, port.name, protocol, port.target_port or port.number)


def _static_endpoints(spec: service_entry.ServiceEntry, host: str) -> Iterator[tuple[int, tuple[Endpoint, ...]]]:
    """Yield the written endpoints by service port; a DNS entry without endpoints is its own host."""
    is_dns = spec.resolution in (service_entry.Resolution.DNS, service_entry.Resolution.DNS_ROUND_ROBIN)
    entries = spec.endpoints or ((WorkloadEntry(address=host),) if is_dns else ())
    if not entries:
        return
    for port in spec.ports:
        target = port.target_port or port.number
        yield (
            port.number,
            tuple(endpoint_of_entry(entry, entry.ports.get(port.name, target)) for entry in entries if entry.address),
        )


def endpoint_of_entry(entry: WorkloadEntry, port: int, name: str = "", namespace: str = "") -> Endpoint:
    """Derive the endpoint that a WorkloadEntry, or an endpoint written in a ServiceEntry, stands for."""
    return Endpoint(
        address=entry.address,
        port=0 if entry.address.startswith("unix://") else port,
        labels=entry.labels,
        workload=name,
        namespace=namespace,
        service_account=entry.service_account,
        locality=Locality.parse(entry.locality),
        network=entry.network,
        weight=entry.weight or 1,
        tls=entry.labels.get(TLS_LABEL) == "istio",
    )


def needs_address(spec: ServiceSpec) -> bool:
    """Tell whether a Kubernetes Service gets a virtual address from the mesh: it wrote none, and is not headless.

    One of type ExternalName gets one too if it has ports, so that its traffic is seen and routed by name.
    """
    return bool(spec.ports) if spec.type is ServiceType.EXTERNAL_NAME else not spec.cluster_ip


def needs_automatic_addresses(spec: service_entry.ServiceEntry) -> bool:
    """Tell whether a ServiceEntry's hosts get automatic addresses, as Istio gives them.

    It wrote none, its names are full, and its traffic could not be told apart by host alone (resolution is not NONE).
    """
    return not spec.addresses and spec.resolution is not service_entry.Resolution.NONE
