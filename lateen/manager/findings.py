"""What is doubtful in the mesh at one moment: looked for when somebody asks, in a thread, once a snapshot.

The analysis is loaded when it is asked for first: a mesh starts without it.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from lateen.model.snapshot import Snapshot
from lateen.plan.types import Diagnostic

_REMEMBERED: Final = 2
"""The newest snapshot, and the one before an edit."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A snapshot, and what was noticed while the plans for it were made."""

    snapshot: Snapshot
    doubts: tuple[Diagnostic, ...]


@dataclass(slots=True)
class Findings:
    """Analyzes moments; the last few snapshots are remembered by identity."""

    _analyses: list[tuple[Snapshot, tuple[Diagnostic, ...]]] = field(default_factory=list)

    async def at(self, moment: Moment) -> tuple[Diagnostic, ...]:
        """List all that is doubtful at a moment, as plans show it and as the whole does."""
        from lateen.plan.analysis import analyze

        known = next((found for snapshot, found in self._analyses if snapshot is moment.snapshot), None)
        if known is None:
            known = await asyncio.to_thread(analyze.analyze, moment.snapshot)
            self._analyses = [(moment.snapshot, known), *self._analyses][:_REMEMBERED]
        return analyze.together(moment.doubts, known)
