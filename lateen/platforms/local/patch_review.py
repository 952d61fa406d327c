"""Asks an Envoy whether it takes a configuration, without running it."""

import asyncio
import logging
import re
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

KEPT: Final = 2000
_AT_ONCE: Final = 2
_PATIENCE_SECONDS: Final = 30.0
_REASON: Final = re.compile(r"error initializing configuration '[^']*': (.*)", re.DOTALL)
_ACCEPTED: Final = re.compile(rb"^configuration '[^']*' OK$", re.MULTILINE)
_PREFIX: Final = re.compile(r"^\[[^]]*\]\[[^]]*\]\[[^]]*\]\[[^]]*\] (\[[^]]*\] )?")
_log = logging.getLogger(__name__)


class PatchReview:
    """Runs `envoy --mode validate` once for each configuration that it is asked about, and remembers what it said."""

    def __init__(self, envoy: str) -> None:
        self._envoy = envoy
        self._followers: list[Callable[[], object]] = []
        self._verdicts: OrderedDict[str, str] = OrderedDict()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)

    def follow(self, follower: Callable[[], object]) -> None:
        """Have `follower` called whenever a verdict has come."""
        self._followers.append(follower)

    def verdict(self, digest: str, write: Callable[[], bytes]) -> str | None:
        """Return what Envoy has against a configuration, empty for nothing; None while it is being asked."""
        known = self._verdicts.get(digest)
        if known is not None:
            self._verdicts.move_to_end(digest)
            return known
        if digest not in self._asking:
            self._asking[digest] = asyncio.create_task(self._ask(digest, write()), name="review of a patch")
        return None

    async def answered(self) -> None:
        """Return when Envoy has said something about all that it is being asked."""
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def close(self) -> None:
        """Ask nothing more."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, digest: str, config: bytes) -> None:
        try:
            async with self._places:
                verdict = await self._validate(config)
        except OSError as error:
            verdict = f"it could not be asked: {error}"
        except TimeoutError:
            verdict = f"it did not answer within {_PATIENCE_SECONDS:g} s"
        finally:
            del self._asking[digest]
        self._verdicts[digest] = verdict
        while len(self._verdicts) > KEPT:
            self._verdicts.popitem(last=False)
        for follower in self._followers:
            follower()

    async def _validate(self, config: bytes) -> str:
        with tempfile.TemporaryDirectory(prefix="lateen-review-") as folder:
            file = Path(folder, "trial.json" if config.startswith(b"{") else "trial.pb")
            await asyncio.to_thread(file.write_bytes, config)
            arguments = ("--mode", "validate", "-c", str(file), "-l", "error", "--disable-hot-restart")
            process = await asyncio.create_subprocess_exec(
                self._envoy,
                *arguments,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    verdict, said = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        # What it says counts, not how it ends: with some statistics it stumbles over its own feet on the way out.
        return "" if _ACCEPTED.search(verdict) else _reason(said.decode(errors="replace"))


def _reason(said: str) -> str:
    """Find in what Envoy printed why it refused, on one line."""
    found = _REASON.search(said)
    text = found.group(1) if found else said
    lines = [_PREFIX.sub("", line).strip() for line in text.splitlines()]
    return " ".join(filter(None, lines))[:1000] or "it gives no reason"
