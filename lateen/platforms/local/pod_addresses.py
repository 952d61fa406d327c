"""Which address a new workload gets: 10.244.1.1 and up, each for as long as its workload lives. Pure.

10.244.0.x belongs to the node. Addresses are given in a circle, so that one which has just become free is used again
as late as possible: proxies and clients may still hold connections to it.
"""

from collections.abc import Collection
from ipaddress import IPv4Address
from typing import Final

from lateen.errors import Unavailable

FIRST: Final = IPv4Address("10.244.1.1")
LAST: Final = IPv4Address("10.244.255.254")


def next_address(taken: Collection[str], last_given: str = "") -> str:
    """Give the first free address after `last_given`, going round; raises `Unavailable` when all are taken."""
    size = int(LAST) - int(FIRST) + 1
    start = int(IPv4Address(last_given)) - int(FIRST) + 1 if last_given else 0
    for step in range(size):
        candidate = FIRST + (start + step) % size
        if int(candidate) & 0xFF not in (0, 0xFF) and str(candidate) not in taken:
            return str(candidate)
    raise Unavailable(f"all {size} workload addresses from {FIRST} to {LAST} are taken: scale something down")
