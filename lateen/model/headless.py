"""The DNS names of headless Services and of the pods behind them."""

from collections.abc import Iterable

from lateen.model.registry import PortKey
from lateen.model.service import Service
from lateen.model.snapshot import Snapshot
from lateen.model.view import HostAddresses


def headless_names(snapshot: Snapshot, services: Iterable[Service]) -> tuple[HostAddresses, ...]:
    """List the names, sorted by host, with the addresses that are behind them in a snapshot."""
    found: dict[str, set[str]] = {}
    for service in services:
        if service.headless and service.selector:
            _add_names(snapshot, service, found)
    return tuple(HostAddresses(host, tuple(sorted(found[host]))) for host in sorted(found))


def _add_names(snapshot: Snapshot, service: Service, found: dict[str, set[str]]) -> None:
    ready = {
        endpoint.address
        for port in service.ports
        for endpoint in snapshot.endpoints.get(PortKey(service.host, port.number), ())
    }
    name = service.host.partition(".")[0]
    for workload in snapshot.workloads.of(service.namespace).values():
        if workload.address in ready:
            found.setdefault(service.host, set()).add(workload.address)
            if workload.hostname and workload.subdomain == name:
                found.setdefault(f"{workload.hostname}.{service.host}", set()).add(workload.address)
