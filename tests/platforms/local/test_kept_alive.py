"""Restarts."""

import asyncio
import time

import pytest

from lateen.platforms.local import kept_alive
from lateen.platforms.local.kept_alive import KeptAlive
from lateen.platforms.local.processes import Child
from lateen.platforms.local.protocol import Exit


class Mortal:
    """Something that starts and ends as told; `refusals` starts fail first."""

    def __init__(self) -> None:
        self.lives: list[Child] = []
        self.refusals = 0

    def start(self) -> Child:
        if self.refusals:
            self.refusals -= 1
            raise OSError("no more processes")
        child = Child(len(self.lives) + 1, 1, time.time(), asyncio.get_running_loop().create_future())
        self.lives.append(child)
        return child

    def die(self) -> None:
        self.lives[-1].ended.set_result(Exit(code=1, signal=None, at=time.time()))


async def test_it_is_started_again_also_after_a_start_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_alive, "PAUSES_SECONDS", (0.0, 0.01))
    mortal = Mortal()
    told: list[Exit] = []
    kept = KeptAlive(mortal.start, told.append).begin()
    mortal.refusals = 2
    mortal.die()
    await asyncio.sleep(0.2)
    assert (len(mortal.lives), kept.restarts, kept.pid) == (2, 1, 2)
    assert [exit.code for exit in told] == [1]
    mortal.die()
    await asyncio.sleep(0.1)
    assert kept.restarts == 2
    mortal.die()
    await kept.stop(0.0, asyncio.Event())
    assert len(mortal.lives) == 3
