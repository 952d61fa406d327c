"""When the Mixer process has to run, and when it can come later."""

import pytest

from lateen.manager import mixer_needs
from lateen.manager.mixer_needs import CALM_AFTER_SECONDS, Calm
from tests.plan import worlds

TRACED = worlds.snapshot(worlds.SHOP)
UNTRACED = worlds.snapshot(worlds.SHOP, {"enable_tracing": False})


def test_traces_can_wait_and_are_not_needed_at_once() -> None:
    assert [(mixer_needs.is_needed(each), mixer_needs.can_wait(each)) for each in (TRACED, UNTRACED)] == [
        (False, True),
        (False, False),
    ]


@pytest.mark.parametrize("reason", ["settled", "late"])
def test_what_can_wait_is_begun_when_the_mesh_is_up_or_late_and_goes_on_then(reason: str) -> None:
    state = {"settled": False, "now": 0.0}
    calm = Calm(lambda: bool(state["settled"]), lambda: float(state["now"]))
    assert (calm.is_needed(TRACED), calm.is_postponed(TRACED)) == (False, True)
    state.update({"settled": True} if reason == "settled" else {"now": CALM_AFTER_SECONDS + 1})
    assert (calm.is_needed(TRACED), calm.is_postponed(TRACED)) == (True, False)
    state.update(settled=False, now=0.0)
    assert calm.is_needed(TRACED)
    assert not calm.is_needed(UNTRACED)
