"""What is behind each service: the endpoints of its ports, and who serves them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lateen import names
from lateen.api.discovery.endpoint_slice import SERVICE_LABEL, EndpointSlice
from lateen.api.networking.workload_entry import WorkloadEntry
from lateen.api.objects import ConfigObject
from lateen.model.endpoint import Endpoint, Health
from lateen.model.peers import PeerMode, PeerModes, PeerPolicies
from lateen.model.service import Resolution, Service, ServicePort
from lateen.model.services import TLS_LABEL, endpoint_of_entry
from lateen.model.workload import Locality, Workload, port_of
from lateen.model.workloads import Workloads


class PortKey(NamedTuple):
    """One port of one service."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Written:
    """Endpoints that users wrote: slices by the namespace and name of their Service, entries by namespace."""

    slices: Mapping[tuple[str, str], tuple[ConfigObject[EndpointSlice], ...]] = field(default_factory=dict)
    entries: Mapping[str, tuple[ConfigObject[WorkloadEntry], ...]] = field(default_factory=dict)


def written_endpoints(
    slices: Iterable[ConfigObject[EndpointSlice]], entries: Iterable[ConfigObject[WorkloadEntry]]
) -> Written:
    """Index the written endpoints."""
    by_service: dict[tuple[str, str], list[ConfigObject[EndpointSlice]]] = {}
    for item in slices:
        name = item.metadata.labels.get(SERVICE_LABEL, "")
        by_service.setdefault((item.key.namespace, name), []).append(item)
    by_namespace: dict[str, list[ConfigObject[WorkloadEntry]]] = {}
    for entry in entries:
        by_namespace.setdefault(entry.key.namespace, []).append(entry)
    return Written(
        {key: tuple(sorted(found, key=lambda item: item.key)) for key, found in by_service.items()},
        {key: tuple(sorted(found, key=lambda item: item.key)) for key, found in by_namespace.items()},
    )


@dataclass(frozen=True, slots=True)
class Sources:
    """All that endpoints are derived from. `trust_domains` are the mesh's own and its aliases."""

    workloads: Workloads
    written: Written
    peers: PeerPolicies
    trust_domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Backing:
    """What is behind a service: the endpoints of each port, sorted, so that equal sets are equal values, and who.

    `accounts` and `tls_ports` are as in `Service`; they count workloads that are not ready too, so that they change
    with what is deployed and not with what is up at the moment.
    """

    endpoints: Mapping[PortKey, tuple[Endpoint, ...]]
    accounts: tuple[str, ...]
    tls_ports: tuple[int, ...]


def backing_of(service: Service, sources: Sources) -> Backing:
    """Find what is behind a service."""
    members = _members(service, sources)
    found = {port.number: tuple(_candidates(service, port, members, sources)) for port in service.ports}
    return Backing(
        {PortKey(service.host, number): _usable(service, candidates) for number, candidates in found.items()},
        _accounts(service, found.values(), sources.trust_domains),
        tuple(number for number, candidates in found.items() if candidates and all(one.tls for one in candidates)),
    )


def _candidates(
    service: Service, port: ServicePort, members: list[tuple[Workload, PeerModes]], sources: Sources
) -> Iterator[Endpoint]:
    """Yield all endpoints of a port, ready or not."""
    yield from dict(service.static_endpoints).get(port.number, ())
    yield from _of_workloads(service, port, members)
    if service.selector:
        yield from _of_entries(service, port.name, port.target, sources)
    else:
        yield from _of_slices(service, port.name, sources.written)


def _usable(service: Service, candidates: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    ready = (one for one in candidates if one.health is Health.HEALTHY or service.includes_unready)
    return tuple(sorted(ready, key=_order))


def _accounts(
    service: Service, candidates: Iterable[Iterable[Endpoint]], trust_domains: tuple[str, ...]
) -> tuple[str, ...]:
    """List who may serve: the endpoints' accounts in each of the trust domains, and the names that users wrote."""
    who = {
        (one.namespace or service.namespace, one.service_account)
        for of_port in candidates
        for one in of_port
        if one.service_account
    }
    spiffe_ids = {
        str(names.Identity(domain, namespace, account)) for namespace, account in who for domain in trust_domains
    }
    return tuple(sorted(spiffe_ids | set(service.subject_alt_names)))


def selects(selector: tuple[tuple[str, str], ...], labels: Mapping[str, str]) -> bool:
    """Tell whether labels carry all that a selector asks for; an empty selector selects nothing."""
    return bool(selector) and all(labels.get(name) == value for name, value in selector)


def _order(endpoint: Endpoint) -> tuple[str, int]:
    return endpoint.address, endpoint.port


def _members(service: Service, sources: Sources) -> list[tuple[Workload, PeerModes]]:
    """List the workloads that a service selects, each with what it takes from others."""
    if service.resolution in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN):
        return []
    selected = sources.workloads.selected(service.namespace, service.selector)
    return [(workload, sources.peers.of(service.namespace, workload.labels)) for workload in selected]


def _takes_tls(workload: Workload, modes: PeerModes, port: int) -> bool:
    """Tell whether a workload's proxy takes the mesh's TLS on a port."""
    if not workload.proxied or workload.labels.get(TLS_LABEL) == "disabled":
        return False
    return modes.of(port) is not PeerMode.DISABLE


def _of_workloads(service: Service, port: ServicePort, members: list[tuple[Workload, PeerModes]]) -> Iterator[Endpoint]:
    """Yield the endpoints that workloads are. A member of a group is one by the WorkloadEntry that stands for it, and
    one that is not healthy is none, even for a service that includes what is not ready.
    """
    for workload, modes in members:
        number = port_of(port.name, port.target, workload.ports, workload.entry_ports)
        is_shut_out = service.includes_unready and not workload.is_healthy
        if number is not None and workload.is_registered and not is_shut_out:
            yield Endpoint(
                address=workload.address,
                port=number,
                labels=workload.labels,
                workload=workload.owner or workload.key.name,
                namespace=workload.key.namespace,
                service_account=workload.service_account,
                locality=workload.locality,
                network=workload.network,
                weight=workload.weight,
                health=Health.HEALTHY if workload.is_offered else Health.UNHEALTHY,
                proxied=workload.proxied,
                tls=_takes_tls(workload, modes, number),
            )


def _of_entries(service: Service, port_name: str, target: int | str, sources: Sources) -> Iterator[Endpoint]:
    for item in sources.written.entries.get(service.namespace, ()):
        if selects(service.selector, item.spec.labels):
            port = item.spec.ports.get(port_name, target if isinstance(target, int) else 0)
            if port:
                found = endpoint_of_entry(item.spec, port, item.key.name, item.key.namespace)
                is_off = sources.peers.of(service.namespace, found.labels).of(port) is PeerMode.DISABLE
                yield replace(found, tls=False) if found.tls and is_off else found


def _of_slices(service: Service, port_name: str, written: Written) -> Iterator[Endpoint]:
    for item in written.slices.get((service.namespace, service.origin.name), ()):
        number = next((p.port for p in item.spec.ports if p.name == port_name and p.port), None)
        if number is None:
            continue
        for entry in item.spec.endpoints:
            is_ready = entry.conditions.ready
            for address in entry.addresses:
                yield Endpoint(
                    address=address,
                    port=number,
                    namespace=item.key.namespace,
                    locality=Locality(zone=entry.zone),
                    health=Health.HEALTHY if is_ready else Health.UNHEALTHY,
                )
