"""Which endpoints are behind each port of each service."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lateen.api.discovery.endpoint_slice import SERVICE_LABEL, EndpointSlice
from lateen.api.networking.workload_entry import WorkloadEntry
from lateen.api.objects import ConfigObject
from lateen.model.endpoint import Endpoint, Health
from lateen.model.service import Resolution, Service
from lateen.model.services import endpoint_of_entry
from lateen.model.workload import Locality, Workload
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


def endpoints_of(
    service: Service, workloads: Workloads, written: Written
) -> Iterator[tuple[PortKey, tuple[Endpoint, ...]]]:
    """Yield the endpoints of each port of a service, sorted, so that equal sets are equal values."""
    members = _members(service, workloads)
    static = dict(service.static_endpoints)
    for port in service.ports:
        found = [*static.get(port.number, ()), *_of_workloads(members, port.target, service.includes_unready)]
        if service.selector:
            found += _of_entries(service, port.name, port.target, written)
        if not service.selector:
            found += _of_slices(service, port.name, written)
        yield PortKey(service.host, port.number), tuple(sorted(found, key=_order))


def selects(selector: tuple[tuple[str, str], ...], labels: Mapping[str, str]) -> bool:
    """Tell whether labels carry all that a selector asks for; an empty selector selects nothing."""
    return bool(selector) and all(labels.get(name) == value for name, value in selector)


def _order(endpoint: Endpoint) -> tuple[str, int]:
    return endpoint.address, endpoint.port


def _members(service: Service, workloads: Workloads) -> list[Workload]:
    if service.resolution in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN):
        return []
    return list(workloads.selected(service.namespace, service.selector))


def _of_workloads(members: list[Workload], target: int | str, includes_unready: bool) -> Iterator[Endpoint]:
    for workload in members:
        port = target if isinstance(target, int) else workload.ports.get(target)
        if port is not None and (workload.ready or includes_unready):
            yield Endpoint(
                address=workload.address,
                port=port,
                labels=workload.labels,
                workload=workload.owner or workload.key.name,
                namespace=workload.key.namespace,
                service_account=workload.service_account,
                locality=workload.locality,
                network=workload.network,
                weight=workload.weight,
                health=Health.HEALTHY if workload.ready else Health.UNHEALTHY,
                proxied=workload.proxied,
            )


def _of_entries(service: Service, port_name: str, target: int | str, written: Written) -> Iterator[Endpoint]:
    for item in written.entries.get(service.namespace, ()):
        if selects(service.selector, item.spec.labels):
            port = item.spec.ports.get(port_name, target if isinstance(target, int) else 0)
            if port:
                yield endpoint_of_entry(item.spec, port, item.key.name, item.key.namespace)


def _of_slices(service: Service, port_name: str, written: Written) -> Iterator[Endpoint]:
    for item in written.slices.get((service.namespace, service.origin.name), ()):
        number = next((p.port for p in item.spec.ports if p.name == port_name and p.port), None)
        if number is None:
            continue
        for entry in item.spec.endpoints:
            is_ready = entry.conditions.ready
            if is_ready or service.includes_unready:
                for address in entry.addresses:
                    yield Endpoint(
                        address=address,
                        port=number,
                        namespace=item.key.namespace,
                        locality=Locality(zone=entry.zone),
                        health=Health.HEALTHY if is_ready else Health.UNHEALTHY,
                    )
