"""Surroundings for handlers in tests: a clock that is set, documents that are written, and sleep that is watched."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from lateen.adapters.surroundings import Surroundings
from lateen.errors import Unavailable


@dataclass
class World:
    """What handlers see of the world."""

    now: float = 1000.0
    documents: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    sleepers: list[asyncio.Future[None]] = field(default_factory=list)
    reads: int = 0

    async def read(self, url: str, patience: timedelta) -> bytes:
        self.reads += 1
        if url not in self.documents:
            raise Unavailable(f"{url} is not there")
        return self.documents[url].encode()

    async def sleep(self, seconds: float) -> None:
        sleeper = asyncio.get_running_loop().create_future()
        self.sleepers.append(sleeper)
        await sleeper

    async def wake(self, later: float = 0.0) -> None:
        """Let time pass, wake who sleeps, and let everybody do what there is to do."""
        self.now += later
        sleepers, self.sleepers = self.sleepers, []
        for sleeper in sleepers:
            if not sleeper.done():
                sleeper.set_result(None)
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(self, self.told.append, clock=lambda: self.now, sleep=self.sleep)
