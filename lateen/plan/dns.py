"""The names that a sidecar's own DNS answers."""

from collections.abc import Iterator

from lateen.plan.directory import Directory
from lateen.plan.types import DnsRecord
from lateen.plan.virtual_hosts import single_addresses


def records(directory: Directory) -> tuple[DnsRecord, ...]:
    """List the hosts with addresses, sorted by host: services, aliases of services, and what else the view names.

    Wildcard hosts have no records: their addresses are those that the world's DNS says.
    """
    view = directory.view
    return directory.cache.recall("dns", view.services, (view.names,), lambda: _records(directory))


def _records(directory: Directory) -> tuple[DnsRecord, ...]:
    found = {record.host: record for record in _service_records(directory)}
    for name in directory.view.names:
        found.setdefault(name.host, DnsRecord(name.host, name.addresses))
    return tuple(found[host] for host in sorted(found))


def _service_records(directory: Directory) -> Iterator[DnsRecord]:
    for service in directory.view.services:
        addresses = single_addresses(service) or single_addresses(directory.stands_for(service))
        if addresses and not service.host.startswith("*"):
            yield DnsRecord(service.host, addresses)
