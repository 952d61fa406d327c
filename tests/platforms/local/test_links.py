"""Addresses and links."""

import pytest

from lateen.platforms.local import links


def test_names_and_hardware_addresses_follow_from_the_address() -> None:
    assert links.bridge_end("10.244.1.23") == "v1-23"
    assert len(links.bridge_end("10.244.255.254")) <= 15, "what the kernel allows"
    assert links.hardware_address("10.244.1.23") == "0a:58:0a:f4:01:17"


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("10.244.1.1", True),
        ("10.244.0.1", False),
        ("10.244.0.2", False),
        ("10.244.0.254", False),
        ("10.244.255.255", False),
        ("10.245.0.3", False),
        ("ratings", False),
    ],
)
def test_which_addresses_sandboxes_may_have(address: str, fits: bool) -> None:
    assert links.is_for_sandboxes(address) is fits


def test_a_sandbox_is_linked_from_both_sides() -> None:
    assert links.bridge_side("10.244.1.23", "77").splitlines() == [
        "link add v1-23 type veth peer name eth0 address 0a:58:0a:f4:01:17 netns 77",
        "link set v1-23 master br0 up",
    ]
    assert links.sandbox_side("10.244.1.23").splitlines() == [
        "link set lo up",
        "addr add 10.244.1.23/16 dev eth0",
        "link set eth0 up",
        "route add default via 10.244.0.1",
    ]
