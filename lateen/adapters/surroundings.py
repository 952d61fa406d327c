"""What a handler gets from the process that it lives in."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver

Locate = Callable[[str, int], tuple[str, int] | None]
"""Finds the address and port of a host of the mesh; None for hosts outside of it."""


class Documents(Protocol):
    """Reads documents of the web."""

    async def read(self, url: str, patience: timedelta) -> bytes:
        """Return a document. Raises `Unavailable` or `ProtocolError`."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The ways out of a handler; `clock` counts seconds steadily, `tell` gets a line for people.

    `resolver` makes what finds hosts for HTTP, by the same knowledge as `locate`.
    """

    documents: Documents
    tell: Callable[[str], None]
    locate: Locate = lambda host, port: None
    resolver: Callable[[], AbstractResolver] = ThreadedResolver
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
