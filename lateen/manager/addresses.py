"""Virtual addresses for hosts that have none of their own: remembered, and the same again after a restart."""

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lateen import names
from lateen.api.config_set import ConfigSet
from lateen.api.core.service import Service
from lateen.api.networking.service_entry import ServiceEntry
from lateen.errors import Unavailable
from lateen.model import services

SERVICE_RANGE: Final = "10.96.0.0/16"
SERVICE_ENTRY_RANGE: Final = "240.240.0.0/16"
_RESERVED: Final = 256
"""The first addresses of a range are kept free; 10.96.0.10 among them is the mesh's name server."""


@dataclass(frozen=True, slots=True)
class AddressPool:
    """Which host has which address of one range. A value: `assign` returns the next one."""

    range: str
    taken: Mapping[str, str] = field(default_factory=dict)

    def assign(self, hosts: Iterable[str], reserved: frozenset[str] = frozenset()) -> "AddressPool":
        """Give every host an address; those that have one keep it, those not named lose theirs.

        The place in the range comes from a hash of the host, so addresses rarely depend on the order of arrival.
        `reserved` addresses, which users wrote themselves, are not given out.
        Raises `Unavailable` when the range is full.
        """
        wanted = sorted(set(hosts))
        kept = {host: address for host in wanted if (address := self.taken.get(host)) and address not in reserved}
        used = set(kept.values()) | reserved
        for host in wanted:
            if host not in kept:
                kept[host] = _free_address(self.range, host, used)
                used.add(kept[host])
        return self if kept == self.taken else AddressPool(self.range, kept)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The virtual addresses of a mesh, of Services and of ServiceEntries' hosts. A value, as its pools are."""

    of_services: AddressPool = AddressPool(SERVICE_RANGE)
    of_entries: AddressPool = AddressPool(SERVICE_ENTRY_RANGE)

    @property
    def by_host(self) -> Mapping[str, str]:
        """All addresses that were given out."""
        return {**self.of_services.taken, **self.of_entries.taken}

    def assign(self, config: ConfigSet) -> "Addresses":
        """Give an address to every host that needs one; addresses that users wrote are never given out."""
        kubernetes = config.of(Service)
        written = frozenset(item.spec.cluster_ip for item in kubernetes if item.spec.cluster_ip)
        wanting = (item for item in kubernetes if services.needs_address(item.spec))
        entries = config.of(ServiceEntry)
        taken = frozenset(address for item in entries for address in item.spec.addresses)
        nameless = (item for item in entries if services.needs_automatic_addresses(item.spec))
        return Addresses(
            self.of_services.assign((names.service_host(item.name, item.namespace) for item in wanting), written),
            self.of_entries.assign(
                (host for item in nameless for host in item.spec.hosts if not host.startswith("*")), taken
            ),
        )


def known_addresses(addresses: Mapping[str, str]) -> Addresses:
    """Take over addresses that were given out before."""
    return Addresses(pool_of(SERVICE_RANGE, addresses), pool_of(SERVICE_ENTRY_RANGE, addresses))


def pool_of(cidr: str, addresses: Mapping[str, str]) -> AddressPool:
    """Make the pool of a range in which those of `addresses` that lie in it are taken."""
    network = ipaddress.ip_network(cidr)
    return AddressPool(cidr, {host: ip for host, ip in addresses.items() if ipaddress.ip_address(ip) in network})


def _free_address(cidr: str, host: str, used: set[str]) -> str:
    network = ipaddress.ip_network(cidr)
    size = network.num_addresses - _RESERVED - 1
    start = int.from_bytes(hashlib.blake2b(host.encode(), digest_size=8).digest()) % size
    for step in range(size):
        address = str(network[_RESERVED + (start + step) % size])
        if address not in used:
            return address
    raise Unavailable(f"no virtual address is left in {cidr} for {host}: the range holds {size} hosts")
