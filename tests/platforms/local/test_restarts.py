"""Restart policies, pauses between restarts, and addresses of new pods."""

import pytest

from lateen.errors import Unavailable
from lateen.platforms.local import pod_addresses
from lateen.platforms.local.pod_addresses import next_address
from lateen.platforms.local.restarts import RestartHistory, after_death, is_restarted


@pytest.mark.parametrize(
    ("policy", "after_success", "after_failure", "after_signal"),
    [("Always", True, True, True), ("OnFailure", False, True, True), ("Never", False, False, False)],
)
def test_policies(policy: str, after_success: bool, after_failure: bool, after_signal: bool) -> None:
    assert [is_restarted(policy, code) for code in (0, 1, None)] == [after_success, after_failure, after_signal]


def test_pauses_grow_with_quick_deaths_up_to_ten_seconds_and_are_forgiven() -> None:
    history, pauses = RestartHistory(), []
    for _ in range(8):
        history, pause = after_death(history, lived_seconds=0.1)
        pauses.append(pause)
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert after_death(history, lived_seconds=11) == (RestartHistory(9, 1), 0.2)


def test_addresses_go_round_and_skip_what_is_taken() -> None:
    assert next_address(()) == "10.244.1.1"
    assert next_address({"10.244.1.2"}, "10.244.1.1") == "10.244.1.3"
    assert next_address((), "10.244.1.254") == "10.244.2.1"
    assert next_address((), str(pod_addresses.LAST)) == "10.244.1.1"


def test_a_full_network_is_said() -> None:
    every = {f"10.244.{third}.{fourth}" for third in range(1, 256) for fourth in range(256)}
    with pytest.raises(Unavailable, match="scale something down"):
        next_address(every)
