"""Processes of the mesh itself that run beside the control plane, outlive it, and end with the mesh."""

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lateen.platforms.local import namespaces, sandbox_files
from lateen.platforms.local.kept_alive import KeptAlive
from lateen.platforms.local.processes import Child, Nursery
from lateen.platforms.local.protocol import Companion, CompanionState, Refused
from lateen.platforms.local.sandboxes import MeshNamespace

_GRACE_SECONDS = 3.0


class Companions:
    """Keeps the companions running that were asked for last."""

    def __init__(self, mesh: MeshNamespace, nursery: Nursery, hurry: asyncio.Event) -> None:
        self._mesh = mesh
        self._nursery = nursery
        self._hurry = hurry
        self._kept: dict[Companion, KeptAlive] = {}
        self._changing = asyncio.Lock()
        self._closed = False

    def states(self) -> tuple[CompanionState, ...]:
        """All that should be running."""
        return tuple(
            CompanionState(name=companion.name, pid=kept.pid, restarts=kept.restarts)
            for companion, kept in self._kept.items()
        )

    async def replace(self, wanted: Sequence[Companion]) -> None:
        """Starts what is new and ends what is not wanted any more; what is the same goes on undisturbed."""
        _check(wanted)
        async with self._changing:
            if self._closed:
                raise Refused("stopping", "the mesh is being stopped")
            await self._end({each for each in self._kept if each not in wanted}, _GRACE_SECONDS)
            for companion in wanted:
                if companion not in self._kept:
                    self._kept[companion] = self._begin(companion)

    async def close(self, grace_seconds: float) -> None:
        """Ends all of them for good."""
        async with self._changing:
            self._closed = True
            await self._end(set(self._kept), grace_seconds)

    async def _end(self, unwanted: set[Companion], grace_seconds: float) -> None:
        gone = [self._kept.pop(each) for each in unwanted]
        await asyncio.gather(*(each.stop(grace_seconds, self._hurry) for each in gone))

    def _begin(self, companion: Companion) -> KeptAlive:
        try:
            return KeptAlive(partial(self._start, companion)).begin()
        except OSError as error:
            raise Refused("unavailable", f"{companion.name} cannot be started: {error.strerror}") from None

    def _start(self, companion: Companion) -> Child:
        argv = namespaces.child_argv(
            self._mesh.holder_pid, companion.argv, rootless=self._mesh.rootless, cwd=str(Path.cwd())
        )
        environment = {
            **os.environ,
            **self._mesh.environment(),
            "PATH": os.environ.get("PATH", os.defpath),
        }
        return self._nursery.start_logged(argv, environment, self._mesh.directory / f"{companion.name}.log")


def _check(wanted: Sequence[Companion]) -> None:
    """Refuses names that are no file names or that come twice, and empty command lines."""
    names = [each.name for each in wanted]
    for each in wanted:
        if not sandbox_files.WORD.fullmatch(each.name) or names.count(each.name) > 1:
            raise Refused("bad_request", f"companion {each.name!r} needs a name of its own, a plain file name")
        if not each.argv:
            raise Refused("bad_request", f"companion {each.name} has no command: argv is empty")
