"""Lists that a proxy looks values up in itself."""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from typing import Final

from lateen.api.mixer.checks import EntryType, ListCheckerParams
from lateen.mixer import comparisons
from lateen.mixer.operands import Address, Alternative, Alternatives, Fixed, Header, Known, Operand, Unsayable
from lateen.plan.conditions import ALWAYS, NEVER, AddressIn, Condition, HeaderFits, any_of
from lateen.plan.types import MatchKind, TextMatch

LONGEST: Final = 500
"""How many entries a proxy compares one after the other; longer lists are looked up by Mixer."""


def is_listed(value: Operand, params: ListCheckerParams) -> Condition:
    """Say when a value is on a list; raises `Unsayable` for lists that a proxy does not have."""
    if params.provider_url is not None:
        raise Unsayable("the list is fetched")
    if len(params.overrides) > LONGEST:
        raise Unsayable(f"the list has more than {LONGEST} entries")
    return any_of(_TESTS[params.entry_type](value, entry) for entry in params.overrides)


def each_value(found: Alternatives) -> Iterator[Alternative]:
    """Yield the values one by one where it is known of whom each is."""
    for one in found:
        if isinstance(one.operand, Known):
            for value, callers in one.operand.values:
                yield Alternative(Fixed(value), one.when, callers)
        else:
            yield one


def _text(value: Operand, entry: str) -> Condition:
    return comparisons.equal(value, Fixed(entry))


def _any_case(value: Operand, entry: str) -> Condition:
    if isinstance(value, Fixed):
        return ALWAYS if str(value.value).casefold() == entry.casefold() else NEVER
    if not isinstance(value, Header) or not entry.isascii():
        raise Unsayable("a proxy compares only headers without regard to case")
    return HeaderFits(value.name, TextMatch(MatchKind.EXACT, entry, ignore_case=True))


def _pattern(value: Operand, entry: str) -> Condition:
    return comparisons.fits(value, comparisons.found_anywhere(entry))


def _address(value: Operand, entry: str) -> Condition:
    if isinstance(value, Address):
        return AddressIn(entry, value.forwarded)
    address = comparisons.address_of(value.value) if isinstance(value, Fixed) else None
    if address is None:
        raise Unsayable("a proxy looks up only the addresses of callers, not addresses in texts")
    network = ip_network(entry, strict=False)
    return ALWAYS if address.version == network.version and address in network else NEVER


_TESTS: Final[Mapping[EntryType, Callable[[Operand, str], Condition]]] = {
    EntryType.STRINGS: _text,
    EntryType.CASE_INSENSITIVE_STRINGS: _any_case,
    EntryType.IP_ADDRESSES: _address,
    EntryType.REGEX: _pattern,
}
