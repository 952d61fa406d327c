"""Virtual addresses for hosts that have none of their own: remembered, and the same again after a restart."""

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from lateen.errors import Unavailable

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
