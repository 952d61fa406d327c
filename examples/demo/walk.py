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
import explained
import limits
import ways
from access import Finding, Trial
from checks import Evidence
from mesh import Folder, Mesh
from screen import Outcome, Screen
from steps import TOUR, Call, Question, Step
from traffic import Traffic

from lateen.telemetry.readings import Interval

_WATCHED_REQUESTS: Final = 360
_SECONDS_TO_READ: Final = 3.0
_COUNTED_SECONDS: Final = 3.0
_LOOK_AGAIN_SECONDS: Final = 0.1


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
        found += await self._ask(step.question)
        evidence = await self._gather(step)
        found += await self._follow(step, evidence)
        if step.call and trial:
            if step.is_taken_back:
                self.folder.edit(step.file, None)
                trial = trial._replace(later=await self.mesh.call_until(step.call, 200))
            found += access.refusal(step, step.call, trial, access.only(held.get(_app(step.call.caller), ())))
        found += await self._hurry(step)
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

    async def _hurry(self, step: Step) -> Finding:
        """Make many calls at once, of which the Envoy of the callee lets a few through; without the file all."""
        if not step.hurry:
            return Finding()
        found = limits.hurried(step.hurry, await self.mesh.hurry(step.hurry))
        if step.is_taken_back:
            self.folder.edit(step.file, None)
            found += limits.freed(step.file, await self.mesh.hurry_until_free(step.hurry))
        return found

    async def _ask(self, question: Question | None) -> Finding:
        """Have told in advance what becomes of a call, and why."""
        return explained.explained(question, await self.mesh.explained(question)) if question else Finding()

    async def _follow(self, step: Step, evidence: Evidence) -> Finding:
        """Find out by the mesh's metrics where the counted requests went; a call is in them when it has ended."""
        if evidence.metrics is None:
            return Finding()
        deadline = time.monotonic() + _COUNTED_SECONDS
        while True:
            over = Interval(evidence.metrics, await self.mesh.metrics())
            found = ways.followed(step.ways, over, len(evidence.answers), is_ours=evidence.is_ours)
            if not found.problems or time.monotonic() > deadline:
                return found
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

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
        before, metrics = await self.mesh.reading(), await self.mesh.metrics() if step.ways else None
        answers = await self.traffic.ask(_WATCHED_REQUESTS if self.screen.is_watched else step.requests)
        after = await self.mesh.reading()
        return Evidence(during_change, answers, after.since(before), not self.screen.is_watched, metrics)


def _app(workload: str) -> str:
    """The service that a workload such as deploy/reviews-v1 belongs to."""
    return workload.rpartition("/")[2].partition("-")[0]
