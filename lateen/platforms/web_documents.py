"""Documents of the web over HTTP and HTTPS and nothing else, bounded in size, time and redirections."""

import random
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from lateen.errors import ProtocolError, Unavailable
from lateen.model.snapshot import Snapshot

MAX_BYTES: Final = 1024 * 1024
MAX_REDIRECTS: Final = 3

Locate = Callable[[str, int], tuple[str, int] | None]
"""Finds the address and port of a host of the mesh; None for hosts outside of it."""


class WebDocuments:
    """Documents over HTTP and HTTPS, and nothing else; bounded in size, time and redirections."""

    def __init__(self, ca_file: Path | None = None, locate: Locate = lambda host, port: None) -> None:
        self._tls = ssl.create_default_context()
        if ca_file is not None:
            self._tls.load_verify_locations(ca_file)
        self._locate = locate

    async def read(self, url: str, patience: timedelta) -> bytes:
        """Return a document; what was asked over HTTPS never comes by plain HTTP."""
        connector = aiohttp.TCPConnector(resolver=_MeshResolver(self._locate), ssl=self._tls, force_close=True)
        limit = aiohttp.ClientTimeout(total=patience.total_seconds())
        try:
            async with aiohttp.ClientSession(connector=connector, timeout=limit, trust_env=False) as session:
                return await self._get(session, url)
        except TimeoutError:
            raise Unavailable(f"{url} did not answer within {patience.total_seconds():g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"{url} cannot be read: {str(error) or type(error).__name__}") from None

    async def _get(self, session: aiohttp.ClientSession, url: str) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            async with session.get(url, allow_redirects=False, headers={"accept": "application/json"}) as answer:
                if answer.status in (301, 302, 303, 307, 308):
                    url = _next_url(url, str(answer.url.join(_location(answer))))
                    continue
                if answer.status != 200:
                    raise Unavailable(f"{url} answered {answer.status}")
                return await _bounded(answer, url)
        raise Unavailable(f"{url} redirects more than {MAX_REDIRECTS} times")


class _MeshResolver(AbstractResolver):
    """Finds hosts of the mesh where they run, all others as the system does."""

    def __init__(self, locate: Locate) -> None:
        self._locate = locate
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return where to connect."""
        found = self._locate(host, port)
        if found is None:
            return await self._system.resolve(host, port, family)
        address, number = found
        return [
            ResolveResult(hostname=host, host=address, port=number, family=family, proto=0, flags=socket.AI_NUMERICHOST)
        ]

    async def close(self) -> None:
        """Let go of the system's resolver."""
        await self._system.close()


def mesh_locator(snapshot: Callable[[], Snapshot]) -> Locate:
    """Return a lookup of the endpoints of the mesh's services: the control plane has no proxy that would do it."""

    def locate(host: str, port: int) -> tuple[str, int] | None:
        now = snapshot()
        for (known, number), endpoints in now.endpoints.items():
            if number == port and endpoints and (known == host or known.startswith(f"{host}.")):
                one = random.choice(endpoints)  # noqa: S311
                return one.address, one.port
        return None

    return locate


def _location(answer: aiohttp.ClientResponse) -> URL:
    return URL(answer.headers.get("location", ""))


def _next_url(url: str, target: str) -> str:
    """Return where a redirection leads; never out of HTTP, and never from HTTPS to HTTP."""
    schemes = ("https",) if urlsplit(url).scheme == "https" else ("http", "https")
    if urlsplit(target).scheme not in schemes:
        raise ProtocolError(f"{url} redirects to {target}, which is not {' or '.join(schemes)}")
    return target


async def _bounded(answer: aiohttp.ClientResponse, url: str) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > MAX_BYTES:
            raise ProtocolError(f"{url} answered more than {MAX_BYTES} bytes")
    return bytes(body)
