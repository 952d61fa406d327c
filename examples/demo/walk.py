"""Takes the steps of the tour, one after another, in a mesh that is up and under traffic."""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import access
import changes
import checks
from access import Finding, Trial
from checks import Evidence
from mesh import Folder, Mesh
from screen import Outcome, Screen
from steps import TOUR, Call, Step
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
        held = await self.mesh.identities() if step.call else {}
        found, trial = await asyncio.gather(self._identities(step, held), self._try(step.call))
        evidence = await self._gather(step)
        if step.call and trial:
            if step.is_taken_back:
                self.folder.edit(step.file, None)
                trial = trial._replace(later=await self.mesh.call_until(step.call, 200))
            found += access.refusal(step, step.call, trial, access.only(held.get(_app(step.call.caller), ())))
        return Outcome(
            step,
            " · ".join(part for part in (checks.observed(step, evidence.answers), found.observed) if part),
            (*checks.problems(step, evidence), *found.problems),
            len(evidence.during_change) + len(evidence.answers),
            live_seconds,
            found.facts,
        )

    async def _identities(self, step: Step, held: Mapping[str, Collection[str]]) -> Finding:
        """Find out who calls whom: the accounts are those of the certificates that the proxies hold."""
        if not step.callers:
            return Finding()
        pairs = [
            (access.account(identity), service)
            for caller, services in step.callers.items()
            for service in services
            for identity in held.get(caller, ())
        ]
        told = await asyncio.gather(*(self.mesh.checked(*pair) for pair in pairs))
        return access.identities(step.callers, held, told)

    async def _try(self, call: Call | None) -> Trial | None:
        """Make a call that must be refused, and have the reason told; what was refused by a policy is in a log too."""
        if call is None:
            return None
        reply, told = await asyncio.gather(
            self.mesh.call(call), self.mesh.checked(call.caller, call.service, call.path)
        )
        logged = await self.mesh.last_denial(f"deploy/{call.service}-v1") if reply.status == 403 else None
        return Trial(reply, told, logged)

    async def _edit(self, step: Step) -> float | None:
        """Edit the step's file; return how long it took until all proxies had it, None where nothing is edited."""
        if not step.file:
            self.screen.enter(step, None)
            return None
        name = Path(step.file).stem
        generation = await self.mesh.generation(step.kind, name)
        began = time.monotonic()
        before, after = self.folder.edit(step.file, step.source)
        self.screen.enter(step, changes.change(step.file, before, after))
        return await self.mesh.live(step.kind, name, generation) - began

    async def _gather(self, step: Step) -> Evidence:
        """Count out requests between two looks at the Envoys' counts, with nothing else under way."""
        during_change = await self.traffic.rest()
        before = await self.mesh.reading()
        answers = await self.traffic.ask(_WATCHED_REQUESTS if self.screen.is_watched else step.requests)
        after = await self.mesh.reading()
        return Evidence(during_change, answers, after.since(before), is_ours=not self.screen.is_watched)


def _app(workload: str) -> str:
    """The service that a workload such as deploy/reviews-v1 belongs to."""
    return workload.rpartition("/")[2].partition("-")[0]
