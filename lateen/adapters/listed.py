"""Whether a value is on a list, for lists of texts, addresses and regular expressions of any length. Pure."""

import csv
from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from lateen.api.mixer.checks import EntryType
from lateen.mixer import patterns
from lateen.mixer.values import Value

Address = IPv4Address | IPv6Address
IsListed = Callable[[Value], bool]
"""Tells whether a value is on a list; raises `ValueError` for what cannot be on one of that type."""


def entries_of(text: str) -> tuple[str, ...]:
    """Read the entries of a list that was fetched: one or more a line, by commas; `#` begins a comment."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    rows = csv.reader(lines, skipinitialspace=True)
    return tuple(entry for row in rows for entry in map(str.strip, row) if entry)


def is_listed(entries: Collection[str], kind: EntryType) -> IsListed:
    """Return a test of values by their type. Raises `ValueError` for an entry of another type."""
    return _TESTS[kind](entries)


def _by_text(entries: Iterable[str]) -> IsListed:
    known = frozenset(entries)
    return lambda value: str(value) in known


def _by_any_case(entries: Iterable[str]) -> IsListed:
    known = frozenset(map(str.casefold, entries))
    return lambda value: str(value).casefold() in known


def _by_pattern(entries: Iterable[str]) -> IsListed:
    known = [patterns.regex(entry) for entry in entries]
    return lambda value: any(pattern.search(str(value)) for pattern in known)


def _by_address(entries: Iterable[str]) -> IsListed:
    """Look addresses up by the lengths of prefixes that there are: as quick for a thousand ranges as for one."""
    known: dict[tuple[int, int], set[int]] = {}
    for entry in entries:
        network = ip_network(entry, strict=False)
        shift = network.max_prefixlen - network.prefixlen
        known.setdefault((network.version, shift), set()).add(int(network.network_address) >> shift)
    lookups = tuple(known.items())

    def test(value: Value) -> bool:
        address = _address(value)
        number, version = int(address), address.version
        return any(kind == version and number >> shift in prefixes for (kind, shift), prefixes in lookups)

    return test


def _address(value: Value) -> Address:
    """Read an address; one of IPv4 that is written as IPv6 is one of IPv4."""
    try:
        found = value if isinstance(value, IPv4Address | IPv6Address) else ip_address(str(value))
    except ValueError:
        raise ValueError(f"{value} is no IP address") from None
    return getattr(found, "ipv4_mapped", None) or found


_TESTS: Final[Mapping[EntryType, Callable[[Iterable[str]], IsListed]]] = {
    EntryType.STRINGS: _by_text,
    EntryType.CASE_INSENSITIVE_STRINGS: _by_any_case,
    EntryType.IP_ADDRESSES: _by_address,
    EntryType.REGEX: _by_pattern,
}
