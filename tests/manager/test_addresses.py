"""Which virtual address a host gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.errors import Unavailable
from lateen.manager.addresses import SERVICE_RANGE, AddressPool, pool_of

HOSTS = st.lists(st.from_regex(r"[a-z]{1,6}\.[a-z]{1,3}\.svc", fullmatch=True), unique=True, max_size=30)


@given(HOSTS)
def test_every_host_has_one_address_of_its_own_in_the_range(hosts: list[str]) -> None:
    taken = AddressPool(SERVICE_RANGE).assign(hosts).taken
    assert set(taken) == set(hosts)
    assert len(set(taken.values())) == len(hosts)
    assert all(address.startswith("10.96.") for address in taken.values())


@given(HOSTS, HOSTS)
def test_a_host_keeps_its_address_while_others_come_and_go(first: list[str], second: list[str]) -> None:
    before = AddressPool(SERVICE_RANGE).assign(first)
    after = before.assign(second)
    assert all(after.taken[host] == before.taken[host] for host in set(first) & set(second))


def test_addresses_that_users_wrote_are_not_given_out() -> None:
    (address,) = AddressPool(SERVICE_RANGE).assign(["a"]).taken.values()
    pool = AddressPool(SERVICE_RANGE).assign(["a"], frozenset({address}))
    assert pool.taken["a"] != address


def test_addresses_survive_a_restart_in_the_range_that_they_belong_to() -> None:
    kept = {"a": "10.96.3.4", "b": "240.240.1.1"}
    assert pool_of(SERVICE_RANGE, kept).taken == {"a": "10.96.3.4"}


def test_a_full_range_is_said_with_its_size() -> None:
    with pytest.raises(
        Unavailable, match=r"no virtual address is left in 10\.0\.0\.0/23 for .*: the range holds 255 hosts"
    ):
        AddressPool("10.0.0.0/23").assign(f"host-{number}" for number in range(256))
