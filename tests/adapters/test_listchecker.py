"""Lists: what is on them, which code refuses, and lists that are fetched, grow old and come back."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lateen.adapters.listchecker import ListChecker
from lateen.adapters.listed import entries_of, is_listed
from lateen.api.mixer.checks import EntryType, ListCheckerParams
from lateen.api.status_codes import StatusCode
from lateen.errors import Unavailable
from lateen.mixer.ports import CheckResult, MadeInstance
from lateen.mixer.values import Value

from .surroundings import World

URL = "http://lists.example.com/versions"


def entry(value: Value) -> MadeInstance:
    return MadeInstance("i.instance.default", "listentry", {"value": value})


async def asked(checker: ListChecker, value: Value = "v1") -> CheckResult:
    found = checker.check(entry(value))
    return found if isinstance(found, CheckResult) else await found


@pytest.mark.parametrize(
    ("kind", "entries", "listed", "not_listed"),
    [
        ("STRINGS", ["v1", "v2"], ["v1"], ["V1", "", "v"]),
        ("CASE_INSENSITIVE_STRINGS", ["Straße"], ["STRASSE", "straße"], ["stra"]),
        (
            "IP_ADDRESSES",
            ["10.57.0.0/16", "192.168.1.1", "2001:db8::/32"],
            ["10.57.3.4", ip_address("192.168.1.1"), "2001:db8::1", "::ffff:10.57.0.1"],
            ["10.58.0.0", "192.168.1.2", "2001:db9::1"],
        ),
        ("REGEX", ["^v[12]$", "beta"], ["v1", "a-beta-b"], ["v3", "xv1"]),
    ],
)
def test_what_is_on_a_list(kind: str, entries: list[str], listed: list[Value], not_listed: list[Value]) -> None:
    test = is_listed(entries, EntryType(kind))
    assert [test(value) for value in (*listed, *not_listed)] == [True] * len(listed) + [False] * len(not_listed)


@settings(deadline=None)
@given(st.lists(st.ip_addresses(v=4), max_size=8), st.integers(0, 32), st.ip_addresses(v=4))
def test_addresses_are_found_as_one_by_one(networks: list[Any], length: int, address: Any) -> None:
    from ipaddress import ip_network

    entries = [f"{network}/{length}" for network in networks]
    expected = any(address in ip_network(each, strict=False) for each in entries)
    assert is_listed(entries, EntryType.IP_ADDRESSES)(address) == expected


def test_how_lists_are_written() -> None:
    assert entries_of('a\n# comment\nb, "c d" ,\n\n  e\n') == ("a", "b", "c d", "e")


@pytest.mark.parametrize(
    ("settings", "value", "code"),
    [
        ({"overrides": ["v1"]}, "v1", StatusCode.OK),
        ({"overrides": ["v1"]}, "v2", StatusCode.NOT_FOUND),
        ({"overrides": ["v1"], "blacklist": True}, "v1", StatusCode.PERMISSION_DENIED),
        ({"overrides": ["v1"], "blacklist": True}, "v2", StatusCode.OK),
        ({"overrides": ["10.0.0.0/8"], "entryType": "IP_ADDRESSES"}, "nonsense", StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_codes(settings: dict[str, Any], value: str, code: StatusCode) -> None:
    result = await asked(ListChecker(ListCheckerParams.model_validate(settings), World().surroundings), value)
    assert (result.status.code, result.valid_duration, result.valid_use_count) == (code, timedelta(minutes=5), 10_000)


def fetched(world: World, **settings: Any) -> ListChecker:
    params = ListCheckerParams.model_validate({"providerUrl": URL, "refreshInterval": "10s", "ttl": "25s", **settings})
    return ListChecker(params, world.surroundings)


async def test_a_list_is_fetched_again_and_again() -> None:
    world = World(documents={URL: "v1\nv2"})
    checker = fetched(world, overrides=["v9"])
    result = await asked(checker, "v2")
    assert (result.status.is_ok, result.valid_duration) == (True, timedelta(seconds=10))
    assert (await asked(checker, "v9")).status.is_ok
    world.documents[URL] = "v3"
    await world.wake(later=10)
    assert not (await asked(checker, "v2")).status.is_ok
    assert (await asked(checker, "v3")).status.is_ok
    await checker.close()


async def test_a_list_that_cannot_be_fetched_any_more_counts_until_it_is_too_old() -> None:
    world = World(documents={URL: "v1"})
    checker = fetched(world, overrides=["v9"])
    assert (await asked(checker)).status.is_ok
    del world.documents[URL]
    await world.wake(later=20)
    result = await asked(checker)
    assert (result.status.is_ok, result.valid_duration) == (True, timedelta())
    await world.wake(later=6)
    with pytest.raises(Unavailable, match="could not be fetched"):
        await asked(checker)
    assert (await asked(checker, "v9")).status.is_ok
    world.documents[URL] = "v1"
    await world.wake(later=10)
    assert (await asked(checker)).status.is_ok
    await checker.close()


async def test_a_list_with_wrong_entries_leaves_the_one_before() -> None:
    world = World(documents={URL: "10.0.0.0/8"})
    checker = fetched(world, entryType="IP_ADDRESSES")
    assert (await asked(checker, "10.1.1.1")).status.is_ok
    world.documents[URL] = "10.0.0.0/8\nnonsense"
    await world.wake(later=10)
    assert (await asked(checker, "10.1.1.1")).status.is_ok
    assert any("no entry of the type IP_ADDRESSES" in line for line in world.told)
    await checker.close()


async def test_a_list_that_was_never_fetched_answers_nobody() -> None:
    checker = fetched(World())
    with pytest.raises(Unavailable, match=r"could not be fetched: .* is not there"):
        await asked(checker)
    await checker.close()
