"""The Mixer process, put together: what Envoys ask about calls, and tell about them, is answered and taken here.

    python -m lateen.mixer_app --directory DIR

It is started, and started again when it dies, by the supervisor of the mesh, in the mesh's network namespace, as soon
as something needs it. The control plane hands over files; this process works by the last good ones, also without it.
"""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop
import watchfiles

from lateen.adapters.checker import Checker
from lateen.adapters.handlers import Handlers
from lateen.adapters.reporter import Reporter
from lateen.adapters.surroundings import Locate as Place
from lateen.adapters.surroundings import Surroundings
from lateen.api.mesh.extension_providers import RedisStore
from lateen.errors import Unavailable
from lateen.mixer.counted_quotas import counted_by_proxies
from lateen.model.snapshot import Snapshot
from lateen.platforms.local import links, mixer_files
from lateen.platforms.web_documents import Locate, Located, MeshResolver, WebDocuments, mesh_locator
from lateen.serving import mixer_admin
from lateen.serving.mixer_door import MixerDoor
from lateen.serving.mixer_parts import Part
from lateen.serving.rate_limit_part import RateLimitPart
from lateen.serving.rules_part import RulesPart
from lateen.serving.trace_collector import TraceCollector
from lateen.telemetry.instruments import Counter

if TYPE_CHECKING:
    from lateen.adapters.redis_counts import RedisCounts

EXIT_UNRECOVERABLE: Final = 2
_GATHERING_MILLISECONDS: Final = 20
_LOOKING_AGAIN_MILLISECONDS: Final = 500
_LOCALHOST: Final = "localhost"
"""For adapters this name is the machine: in the mesh's own network nothing else would be there."""

_log = logging.getLogger("lateen.mixer")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    directory: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the Mixer process until it is told to end; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lateen.mixer_app", description="The Mixer of a local mesh.")
    parser.add_argument("--directory", required=True, type=Path)
    settings = Settings(parser.parse_args(arguments).directory)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    try:
        uvloop.run(_run_until_told(settings))
    except Unavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_UNRECOVERABLE
    return 0


async def _run_until_told(settings: Settings) -> None:
    running = asyncio.create_task(run(settings))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        _log.info("the Mixer process ends")


async def run(settings: Settings) -> None:
    """Take what was handed over, open the doors, and follow what is new."""
    parts = make_parts(settings)
    handed_over = _HandedOver(settings.directory, parts)
    handed_over.read()
    door = MixerDoor(service for part in parts for service in part.services())
    admin = await mixer_admin.serve(parts, lambda: handed_over.digest, settings.directory / mixer_files.ADMIN_SOCKET)
    await door.open(settings.directory / mixer_files.MIXER_SOCKET)
    try:
        async with asyncio.TaskGroup() as tasks:
            for part in parts:
                tasks.create_task(part.run(), name=type(part).__name__)
            await handed_over.follow()
    finally:
        await door.close()
        await admin.cleanup()


def make_parts(settings: Settings) -> tuple[Part, ...]:
    """Make everything that this process does."""
    rules: RulesPart
    locate = _locator(lambda: rules.snapshot)
    place = _placed(locate)
    rules = _rules(locate, place)
    return (TraceCollector(), RateLimitPart(lambda store: _open_redis(store, place)), rules)


def _locator(snapshot: Callable[[], Snapshot]) -> Locate:
    """Find hosts of the mesh at their workloads, and by `localhost` the machine that the mesh runs on."""
    in_mesh = mesh_locator(snapshot)

    def locate(host: str, port: int) -> Located | None:
        return Located(str(links.HOST), port) if host == _LOCALHOST else in_mesh(host, port)

    return locate


def _placed(locate: Locate) -> Place:
    """Return the same without who is to be found there."""

    def place(host: str, port: int) -> tuple[str, int] | None:
        found = locate(host, port)
        return (found.address, found.port) if found is not None else None

    return place


def _rules(locate: Locate, place: Place) -> RulesPart:
    """Make what decides and tells about calls, with the ways out that handlers have."""
    failures = Counter("lateen_mixer_handler_failures_total", "Questions that a handler did not answer.", "handler")
    surroundings = Surroundings(
        WebDocuments(locate=locate),
        lambda line: _log.warning("%s", line),
        place,
        resolver=lambda: MeshResolver(locate),
    )
    handlers = Handlers(surroundings, lambda name: failures.add(1, name))
    return RulesPart(handlers, Checker(handlers, surroundings.clock, counted_by_proxies), Reporter(handlers), failures)


def _open_redis(store: RedisStore, place: Place) -> "RedisCounts":
    # The client of Redis is loaded where there is one: it is large.
    from lateen.adapters.redis_counts import RedisCounts

    return RedisCounts(store.url, store.timeout, store.pool_size, locate=place)


class _HandedOver:
    """The files of the control plane, as they are and as they become."""

    def __init__(self, directory: Path, parts: Sequence[Part]) -> None:
        self.digest = ""
        self._marks: tuple[tuple[int, int], ...] = ()
        self._directory = directory
        self._parts = parts

    def read(self) -> None:
        """Have all parts work by the files as they are. Raises `Unavailable`."""
        marks = mixer_files.marks(self._directory)
        if marks == self._marks:
            return
        content = mixer_files.read(self._directory)
        self._marks = marks
        found = mixer_files.digest(content)
        if found != self.digest:
            snapshot = mixer_files.restore(content)
            for part in self._parts:
                _give(part, snapshot)
            self.digest = found

    async def follow(self) -> None:
        """Take what is new until cancelled; what cannot be read leaves the last good state in force.

        What nobody tells of, as it was written before the watch began, is found by looking again.
        """
        events = watchfiles.awatch(
            self._directory / mixer_files.DIRECTORY,
            debounce=_GATHERING_MILLISECONDS,
            step=_GATHERING_MILLISECONDS,
            rust_timeout=_LOOKING_AGAIN_MILLISECONDS,
            yield_on_timeout=True,
        )
        async for _ in events:
            try:
                self.read()
            except Unavailable as problem:
                _log.warning("%s", problem)
            except Exception:
                _log.exception("what the control plane handed over cannot be understood; the last good state stays")


def _give(part: Part, snapshot: Snapshot) -> None:
    """Have a part work by a state of the mesh; one that fails goes on as before, and spoils nothing for others."""
    try:
        part.take(snapshot)
    except Exception:
        _log.exception("%s cannot work by the newest state of the mesh", type(part).__name__)


if __name__ == "__main__":
    sys.exit(main())
