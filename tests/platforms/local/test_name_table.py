"""The names that the node's resolver answers by itself."""

import struct
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.platforms.local.name_table import NameTable, read_question, restated, wire_name

DOMAIN = "cluster.local"
HTTPBIN = "httpbin.default.svc.cluster.local"
A, AAAA, MX, ANY = 1, 28, 15, 255
NAMES: Mapping[str, Sequence[str]] = {
    HTTPBIN: ("10.96.0.5",),
    "db.default.svc.cluster.local": tuple(f"10.244.1.{number}" for number in range(1, 41)),
    "api.example.com": ("240.240.0.1", "240.240.0.2"),
    "no..such.label": ("10.96.0.6",),
    "empty.default.svc.cluster.local": (),
}
ALIASES = {"store.default.svc.cluster.local": "store.example.com"}


def table() -> NameTable:
    made = NameTable()
    made.replace(DOMAIN, NAMES, ALIASES)
    return made


def query(name: str, kind: int = A, *, number: int = 0x1234, tail: bytes = b"") -> bytes:
    """A question as stub resolvers send it, with letters as they are given."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"
    return struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!HH", kind, 1) + tail


def said(answer: bytes | None) -> tuple[int, tuple[str, ...]]:
    """The code and the addresses of an answer."""
    assert answer is not None
    count = int.from_bytes(answer[6:8], "big")
    records = answer[len(answer) - 16 * count :]
    return answer[3] & 15, tuple(".".join(map(str, records[at + 12 : at + 16])) for at in range(0, 16 * count, 16))


def test_a_known_name_has_its_addresses() -> None:
    asked = query(HTTPBIN)
    answer = table().answer(asked)
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + bytes((10, 96, 0, 5))
    assert answer == struct.pack("!HHHHHH", 0x1234, 0x8580, 1, 1, 0, 0) + asked[12:] + record


def test_letters_may_be_large_and_come_back_as_they_were() -> None:
    asked = query("HttpBin.Default.svc.CLUSTER.local")
    answer = table().answer(asked)
    assert said(answer) == (0, ("10.96.0.5",))
    assert answer is not None
    assert asked[12:] in answer


def test_a_name_outside_the_mesh_may_be_known_too() -> None:
    assert set(said(table().answer(query("api.example.com", ANY)))[1]) == {"240.240.0.1", "240.240.0.2"}


@pytest.mark.parametrize("kind", [AAAA, MX])
def test_a_known_name_has_nothing_else_but_exists(kind: int) -> None:
    assert said(table().answer(query(HTTPBIN, kind))) == (0, ())


@pytest.mark.parametrize("name", ["nobody.default.svc.cluster.local", f"{HTTPBIN}.default.svc.cluster.local"])
@pytest.mark.parametrize("kind", [A, AAAA])
def test_an_unknown_name_of_the_mesh_does_not_exist(name: str, kind: int) -> None:
    assert said(table().answer(query(name, kind))) == (3, ())


@pytest.mark.parametrize("name", ["example.com", "my-cluster.local", "httpbin", "no"])
def test_for_other_names_others_are_asked(name: str) -> None:
    asked = query(name)
    assert table().answer(asked) is None
    assert table().query_for(asked) == asked


def test_before_any_name_was_told_others_are_asked_for_all() -> None:
    assert NameTable().answer(query(HTTPBIN)) is None


def test_addresses_take_turns() -> None:
    first = {said(table().answer(query("api.example.com", number=number)))[1][0] for number in range(2)}
    assert first == {"240.240.0.1", "240.240.0.2"}


def test_what_does_not_fit_is_cut_and_said_so() -> None:
    asked = query("db.default.svc.cluster.local")
    short, long = table().answer(asked), table().answer(asked, 65535)
    assert short is not None and long is not None
    assert len(short) <= 512 and short[2] & 2
    assert len(said(long)[1]) == 40 and not long[2] & 2


def test_an_option_beside_the_question_does_not_disturb() -> None:
    with_option = bytearray(query(HTTPBIN, tail=b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)))
    with_option[11] = 1
    assert table().answer(bytes(with_option)) == table().answer(query(HTTPBIN))


def test_an_alias_is_asked_under_the_name_that_it_stands_for() -> None:
    asked = query("store.default.svc.cluster.local", tail=b"option")
    assert table().answer(asked) is None
    assert table().query_for(asked) == query("store.example.com", tail=b"option")


def test_the_addresses_of_an_alias_are_those_of_the_other_name() -> None:
    asked, other = query("store.default.svc.cluster.local"), query("store.example.com")
    chain = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 60, 6) + b"\x03cdn\xc0\x12"
    address = b"\x03cdn\xc0\x12" + struct.pack("!HHIH", 1, 1, 60, 4) + bytes((192, 0, 2, 7))
    answer = b"\x99\x99\x81\x80\0\1\0\2\0\0\0\0" + other[12:] + chain + address
    assert said(restated(asked, answer)) == (0, ("192.0.2.7",))
    assert said(restated(asked, answer[:-1])) == (0, ())
    assert said(restated(asked, b"\x99\x99\x81\x83" + answer[4:6] + bytes(6) + other[12:])) == (3, ())


def test_a_wrong_address_is_refused() -> None:
    with pytest.raises(ValueError, match="::1"):
        NameTable().replace(DOMAIN, {HTTPBIN: ("::1",)})


def test_names_that_no_question_can_carry_are_left_out() -> None:
    assert wire_name("a" * 64) == b""
    assert wire_name(".".join(["abcdefg"] * 32)) == b""
    assert wire_name("käse.example") == b""
    assert wire_name("Httpbin.") == wire_name("httpbin") == b"\x07httpbin\0"


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_garbage_is_nobodys_question(first: bytes, second: bytes) -> None:
    known = table()
    for message in (first, query(HTTPBIN)[:12] + first, query(HTTPBIN)[: len(first)] + second):
        assert known.answer(message) is None or read_question(message) is not None
        known.query_for(message)


@given(st.data())
def test_a_spoiled_message_never_breaks_anything(data: st.DataObject) -> None:
    known = table()
    answer = known.answer(query("api.example.com"))
    assert answer is not None
    spoiled = bytearray(data.draw(st.sampled_from([query(HTTPBIN), query("store.default.svc.cluster.local"), answer])))
    for _ in range(data.draw(st.integers(1, 6))):
        spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
    message = bytes(spoiled[: data.draw(st.integers(0, len(spoiled)))])
    for most_bytes in (512, 65535):
        answered = known.answer(message, most_bytes)
        assert answered is None or len(answered) <= most_bytes
    known.query_for(message)
    restated(query("store.default.svc.cluster.local"), message)


@given(
    st.lists(st.text("abcXYZ-09", min_size=1, max_size=63), min_size=1, max_size=4).map(".".join),
    st.lists(st.ip_addresses(v=4).map(str), max_size=5),
)
def test_every_name_that_was_told_is_answered(name: str, addresses: list[str]) -> None:
    known = NameTable()
    known.replace(DOMAIN, {name: addresses})
    code, found = said(known.answer(query(name.swapcase())))
    assert (code, sorted(found)) == (0, sorted(addresses))
