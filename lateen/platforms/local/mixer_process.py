"""Keeps the Mixer process as the mesh needs it: running only while something asks for it, with what it must know."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import aiohttp

from lateen.api.changes import Change
from lateen.api.objects import ObjectKey
from lateen.errors import Unavailable
from lateen.model.snapshot import Snapshot
from lateen.platforms.local import mixer_files
from lateen.platforms.local.protocol import Companion, Refused

NAME: Final = "mixer"
_PAUSE_SECONDS: Final = 0.05
# Whatever the size of the mesh, this takes at most a quarter of one processor.
_PAUSE_PER_WORK: Final = 3.0
_RETRY_SECONDS: Final = 2.0
_LATER_SECONDS: Final = 0.1
_LONGEST_PREPARATION_SECONDS: Final = 5.0
_ASKING_AGAIN_SECONDS: Final = 0.05
_ANSWER_SECONDS: Final = 1.0


class Supervisor(Protocol):
    """Whoever runs processes beside the control plane."""

    async def set_companions(self, companions: Sequence[Companion]) -> None: ...


class MixerProcess:
    """Hands over what is new, and has the process run while `is_needed` says so.

    While `is_postponed` says so, it is neither started nor ended. `tell` gets a line for people when something cannot
    be done.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        directory: Path,
        is_needed: Callable[[Snapshot], bool],
        tell: Callable[[str], None],
        is_postponed: Callable[[Snapshot], bool] = lambda _: False,
        will_be_needed: Callable[[Snapshot, Sequence[Change]], bool] = lambda snapshot, changes: False,
    ) -> None:
        self._supervisor = supervisor
        self._directory = directory
        self._is_needed = is_needed
        self._is_postponed = is_postponed
        self._will_be_needed = will_be_needed
        self._is_expected = False
        self._tell = tell
        self._snapshot: Snapshot | None = None
        self._handed_over: mixer_files.HandedOver | None = None
        self._runs: bool | None = None
        self._problem = ""
        self._work = asyncio.Event()
        self._settled = asyncio.Event()

    def take(self, snapshot: Snapshot) -> None:
        """Note the newest snapshot."""
        self._snapshot = snapshot
        self._is_expected = False
        self._settled.clear()
        self._work.set()

    async def prepare(self, changes: Sequence[Change]) -> None:
        """Have the process up before proxies hear of what needs it: until it is, they could not let anything pass."""
        if self._runs or self._snapshot is None or not self._will_be_needed(self._snapshot, changes):
            return
        self._is_expected = True
        try:
            async with asyncio.timeout(_LONGEST_PREPARATION_SECONDS):
                await self._provide(self._snapshot)
        except (TimeoutError, Refused, Unavailable) as problem:
            self._tell(f"the Mixer process is not up yet: {problem}")

    async def lagging(self, key: ObjectKey | None, timeout_seconds: float) -> tuple[str, ...]:
        """Wait until the process works by the newest snapshot, if the object concerns it and it is needed.

        Without an object it is waited for in any case.

        Returns its name when the time is over before.
        """
        if key is None or key.group in mixer_files.GROUPS:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._settled.wait()
            except TimeoutError:
                return (NAME,)
        return ()

    async def run(self) -> None:
        """Keep it so until cancelled; the process goes on then."""
        while True:
            await self._work.wait()
            self._work.clear()
            began = time.monotonic()
            await self._bring_up_to_date()
            await asyncio.sleep(max(_PAUSE_SECONDS, _PAUSE_PER_WORK * (time.monotonic() - began)))

    async def _bring_up_to_date(self) -> None:
        """Do what is needed, or say why that is not possible and go on trying."""
        assert self._snapshot is not None
        try:
            if self._is_needed(self._snapshot):
                await self._provide(self._snapshot)
            elif self._is_postponed(self._snapshot):
                asyncio.get_running_loop().call_later(_LATER_SECONDS, self._work.set)
            elif self._runs is not False and not self._is_expected:
                await self._supervisor.set_companions(())
                self._runs = False
        except (Refused, Unavailable) as problem:
            if str(problem) != self._problem:
                self._tell(str(problem))
            self._problem = str(problem)
            self._work.set()
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            self._problem = ""
            if not self._work.is_set():
                self._settled.set()

    async def _provide(self, snapshot: Snapshot) -> None:
        content = mixer_files.hand_over(snapshot)
        if content != self._handed_over:
            mixer_files.write(self._directory, content)
            self._handed_over = content
        if not self._runs:
            await self._supervisor.set_companions((companion(self._directory),))
            self._runs = True
        await self._wait_until_taken(content)

    async def _wait_until_taken(self, content: mixer_files.HandedOver) -> None:
        """Wait until the process says that it works by this content, or until something newer is to be done."""
        wanted = mixer_files.digest(content)
        connector = aiohttp.UnixConnector(str(self._directory / mixer_files.ADMIN_SOCKET))
        timeout = aiohttp.ClientTimeout(_ANSWER_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while not self._work.is_set() and await _taken(session) != wanted:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(_ASKING_AGAIN_SECONDS)


def companion(directory: Path) -> Companion:
    """Return the process as the supervisor is to run it."""
    return Companion(name=NAME, argv=(sys.executable, "-m", "lateen.mixer_app", "--directory", str(directory)))


async def _taken(session: aiohttp.ClientSession) -> str:
    """Return the digest of what the process works by; nothing while it does not answer."""
    try:
        async with session.get("http://mixer/status") as response:
            return str(json.loads(await response.read()).get("taken", ""))
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return ""
