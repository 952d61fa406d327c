"""Takes the steps of the tour, one after another, in a mesh that is up and under traffic."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import changes
import checks
from checks import Evidence
from mesh import Folder, Mesh
from screen import Outcome, Screen
from steps import TOUR, Step
from traffic import Traffic

_WATCHED_REQUESTS: Final = 360
_SECONDS_TO_READ: Final = 3.0


@dataclass(frozen=True, slots=True)
class Walk:
    """One walk through all steps; at a pace that people can follow where somebody watches."""

    mesh: Mesh
    folder: Folder
    traffic: Traffic
    screen: Screen

    async def take_all(self, outcomes: list[Outcome]) -> None:
        """Take all steps and add how each went; raises `TourFailed` or `TimeoutError` where the mesh itself fails."""
        for step in TOUR:
            outcomes.append(await self._take(step))
            self.screen.leave(outcomes[-1])
            await self.traffic.flow()
            await asyncio.sleep(_SECONDS_TO_READ if self.screen.is_watched else 0)

    async def _take(self, step: Step) -> Outcome:
        await self.traffic.flow()
        live_seconds = await self._edit(step)
        evidence = await self._gather(step)
        return Outcome(
            step,
            checks.observed(step, evidence.answers),
            checks.problems(step, evidence),
            len(evidence.during_change) + len(evidence.answers),
            live_seconds,
        )

    async def _edit(self, step: Step) -> float | None:
        """Edit the step's file; return how long it took until all proxies had it, None where nothing is edited."""
        if not step.file:
            self.screen.enter(step, None)
            return None
        virtual_service = Path(step.file).stem
        generation = await self.mesh.generation(virtual_service)
        began = time.monotonic()
        before, after = self.folder.edit(step.file, step.source)
        self.screen.enter(step, changes.change(step.file, before, after))
        return await self.mesh.live(virtual_service, generation) - began

    async def _gather(self, step: Step) -> Evidence:
        """Count out requests between two looks at the Envoys' counts, with nothing else under way."""
        during_change = await self.traffic.rest()
        before = await self.mesh.reading()
        answers = await self.traffic.ask(_WATCHED_REQUESTS if self.screen.is_watched else step.requests)
        after = await self.mesh.reading()
        return Evidence(during_change, answers, after.since(before), is_ours=not self.screen.is_watched)
