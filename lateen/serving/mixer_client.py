"""Asks the Mixer process: HTTP on its unix socket."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp

from lateen.errors import Unavailable
from lateen.telemetry import exposition
from lateen.telemetry.exposition import Family

_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
_AT_ONCE: Final = aiohttp.ClientTimeout(total=1)


class MixerClient:
    """The Mixer process of a mesh, which may not run."""

    def __init__(self, socket: Path) -> None:
        self._socket = str(socket)

    async def ask(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the JSON of an answer. Raises `Unavailable` when there is none."""
        return await self._read(path, query, aiohttp.ClientResponse.json)

    async def metrics(self) -> tuple[Family, ...]:
        """Return what the process measures; nothing where it does not run, or does not answer at once."""
        try:
            text = await self._read("/metrics", None, aiohttp.ClientResponse.text, _AT_ONCE)
        except Unavailable:
            return ()
        return tuple(exposition.read(text).families.values())

    async def _read(
        self, path: str, query: Mapping[str, str] | None, read: Any, patience: aiohttp.ClientTimeout = _TIMEOUT
    ) -> Any:
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(self._socket), timeout=patience) as session,
                session.get(f"http://mixer{path}", params=query) as answer,
            ):
                answer.raise_for_status()
                return await read(answer)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Unavailable(f"the Mixer process does not answer ({error or 'timeout'}); see mixer.log") from None
