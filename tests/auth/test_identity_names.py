"""SPIFFE ids and the DNS names in certificates: composed and taken apart without loss."""

import re
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen import names
from lateen.names import Identity, PeerName

LABEL_VALUES = st.from_regex(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", fullmatch=True)


@given(st.tuples(*[st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)] * 3))
def test_an_identity_survives_its_spiffe_id(parts: tuple[str, str, str]) -> None:
    identity = Identity(*parts)
    assert names.parse_identity(str(identity)) == identity


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://",
        "spiffe://cluster.local",
        "spiffe://cluster.local/ns/default",
        "spiffe://cluster.local/ns/default/sa/",
        "spiffe://cluster.local/ns//sa/x",
        "spiffe://cluster.local/ns/default/sa/x/",
        "spiffe://cluster.local/ns/default/sa/x/y",
        "spiffe://cluster.local/ns/../sa/x",
        "spiffe://cluster.local/ns/default/sa/x?y=1",
        "spiffe://cluster.local/ns/default/sa/x#y",
        "spiffe://cluster.local/ns/default/sa/%78",
        "spiffe://cluster.local/ns/default/sa/x\n",
        "spiffe://cluster.local:443/ns/default/sa/x",
        "spiffe://user@cluster.local/ns/default/sa/x",
        "spiffe://Cluster.Local/ns/default/sa/x",
        "SPIFFE://cluster.local/ns/default/sa/x",
        "https://cluster.local/ns/default/sa/x",
        f"spiffe://cluster.local/ns/default/sa/{'x' * 2048}",
        f"spiffe://{'x' * 256}/ns/default/sa/x",
    ],
)
def test_what_is_not_exactly_the_id_of_an_account_is_none(text: str) -> None:
    assert names.parse_identity(text) is None


@given(st.text())
def test_any_text_is_an_identity_or_none(text: str) -> None:
    for each in (text, f"spiffe://{text}", f"spiffe://a/ns/{text}/sa/b"):
        identity = names.parse_identity(each)
        assert identity is None or str(identity) == each


@given(LABEL_VALUES, LABEL_VALUES, LABEL_VALUES)
def test_a_peer_name_survives_and_labels_stay_as_they_are(workload: str, app: str, version: str) -> None:
    peer = PeerName(workload, app, version)
    assert names.parse_peer_name(str(peer)) == peer
    assert all(character.isascii() and (character.isalnum() or character in "._-") for character in str(peer))


@given(st.tuples(*[st.text(min_size=1)] * 6))
def test_a_peer_name_survives_whatever_the_labels_say(parts: tuple[str, ...]) -> None:
    try:
        peer = str(PeerName(*parts))
    except UnicodeEncodeError:
        return  # a lone surrogate is no text that YAML can hold
    assert names.parse_peer_name(peer) == PeerName(*parts)


@given(st.text())
def test_any_text_is_a_peer_name_or_none(text: str) -> None:
    for each in (text, f"{text}.peer.lateen.internal", str(PeerName("a", "b")).replace("x--v.unknown", f"x--v.{text}")):
        try:
            peer = names.parse_peer_name(each)
        except UnicodeEncodeError:
            continue
        assert peer is None or str(peer) == each


def test_ordinary_names_stay_readable_and_missing_ones_are_unknown() -> None:
    peer = PeerName("reviews-v1", "reviews", "", "reviews", "", "reviews-v1-5f7-abcde")
    assert (
        str(peer) == "reviews-v1.x--a.reviews.x--v.unknown.x--s.reviews.x--r.latest.x--i.reviews-v1-5f7-abcde"
        ".peer.lateen.internal"
    )
    assert str(PeerName("w", "My_App", "1.0-rc.1")).startswith("w.x--a.My_App.x--v.1.0-rc.1.x--s.")


@given(st.tuples(*[LABEL_VALUES] * 6))
def test_a_pattern_finds_each_part_of_a_peer_name_as_it_is_written(parts: tuple[str, ...]) -> None:
    peer = PeerName(*parts)
    for field, part in asdict(peer).items():
        found = re.search(names.peer_pattern(field), str(peer))
        assert found is not None and found[1] == names.peer_text(part)


@pytest.mark.parametrize("label", ["reviews-v1", "My_App", "1.0-rc.1", "a.b_c-d"])
def test_usual_labels_are_written_as_they_are(label: str) -> None:
    assert names.peer_text(label) == label


def test_an_instance_name_says_which_workload_of_which_namespace() -> None:
    name = names.instance_name("mysql-0.db", "default")
    assert name == "mysql-0.db.default.pod.lateen.internal"
    assert names.parse_instance_name(name) == ("mysql-0.db", "default")
    for other in ("default.pod.lateen.internal", ".default.pod.lateen.internal", "a.b.pod.lateen.internal.example"):
        assert names.parse_instance_name(other) is None
