"""When the Mixer process is started, left alone and ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lateen.api.objects import ObjectKey
from lateen.platforms.local.mixer_process import MixerProcess
from lateen.platforms.local.protocol import Companion
from tests.plan import worlds

SECONDS = 10
RULE = ObjectKey("config.istio.io", "rule", "default", "a")


@dataclass
class Kept:
    """A Mixer process that is kept as something asks for it, and what the supervisor is told to run."""

    directory: Path
    needed: bool = False
    postponed: bool = False
    asked: list[tuple[str, ...]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.process = MixerProcess(
            self, self.directory, lambda _: self.needed, lambda _: None, lambda _: self.postponed
        )

    async def set_companions(self, companions: Sequence[Companion]) -> None:
        self.asked.append(tuple(each.name for each in companions))
        self.news.set()

    def become(self, *, needed: bool = False, postponed: bool = False) -> None:
        """Change what is asked for."""
        self.needed, self.postponed = needed, postponed
        self.news.clear()
        self.process.take(worlds.snapshot(worlds.SHOP))

    async def told(self) -> None:
        """Wait until the supervisor is told something."""
        async with asyncio.timeout(SECONDS):
            await self.news.wait()


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    made = Kept(tmp_path)
    running = asyncio.create_task(made.process.run())
    yield made
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_it_runs_while_it_is_needed(kept: Kept) -> None:
    for needed in (False, True, False):
        kept.become(needed=needed)
        await kept.told()
    assert kept.asked == [(), ("mixer",), ()]


async def test_what_can_wait_neither_starts_nor_ends_it_and_keeps_nobody_waiting(kept: Kept) -> None:
    kept.become(postponed=True)
    assert await kept.process.lagging(RULE, SECONDS) == ()
    assert kept.asked == []
    kept.become(needed=True)
    await kept.told()
    kept.become(postponed=True)
    assert await kept.process.lagging(RULE, SECONDS) == ()
    assert kept.asked == [("mixer",)]
