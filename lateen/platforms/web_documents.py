"""Documents of the web over HTTP and HTTPS and nothing else, bounded in size, time and redirections."""

import random
import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from lateen import names
from lateen.errors import ProtocolError, Unavailable
from lateen.model.snapshot import Snapshot

MAX_BYTES: Final = 1024 * 1024
MAX_REDIRECTS: Final = 3
_ACCEPT: Final = {"accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Located:
    """Where a host of the mesh runs, and the SPIFFE id that it has to show; none where it is called in plaintext."""

    address: str
    port: int
    identity: str = ""


Locate = Callable[[str, int], Located | None]
"""Finds a host of the mesh by its name and port; None for hosts outside of it."""


class WebDocuments:
    """Documents over HTTP and HTTPS, and nothing else; bounded in size, time and redirections."""

    def __init__(
        self,
        ca_file: Path | None = None,
        locate: Locate = lambda host, port: None,
        own_identity: Callable[[], ssl.SSLContext | None] = lambda: None,
    ) -> None:
        self._tls = ssl.create_default_context()
        if ca_file is not None:
            self._tls.load_verify_locations(ca_file)
        self._locate = locate
        self._own_identity = own_identity

    async def read(self, url: str, patience: timedelta) -> bytes:
        """Return a document; what was asked over HTTPS never comes by plain HTTP."""
        connector = aiohttp.TCPConnector(resolver=MeshResolver(self._locate), ssl=self._tls, force_close=True)
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
            async with self._asked(session, url) as answer:
                if answer.status in (301, 302, 303, 307, 308):
                    url = _next_url(url, str(URL(url).join(_location(answer))))
                    continue
                if answer.status != 200:
                    raise Unavailable(f"{url} answered {answer.status}")
                return await _bounded(answer, url)
        raise Unavailable(f"{url} redirects more than {MAX_REDIRECTS} times")

    def _asked(self, session: aiohttp.ClientSession, url: str) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Ask once; a workload whose proxy takes the mesh's TLS, with it, and only if it is who it should be."""
        identity = self._identity_at(URL(url))
        if not identity:
            return session.get(url, allow_redirects=False, headers=_ACCEPT)
        context = self._own_identity()
        if context is None:
            raise Unavailable(f"{url} cannot be read: the control plane has no certificate yet")
        context.sslobject_class = _talking_to(identity)
        through = URL(url).with_scheme("https").with_port(URL(url).port)
        headers = {**_ACCEPT, "host": URL(url).authority}
        return session.get(through, allow_redirects=False, headers=headers, ssl=context)

    def _identity_at(self, url: URL) -> str:
        found = self._locate(url.host or "", url.port or 0) if url.scheme == "http" else None
        return found.identity if found is not None else ""


def _talking_to(identity: str) -> type[ssl.SSLObject]:
    """Return a side of TLS whose handshake fails with everybody else: Python itself compares no URIs."""

    class _Talking(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            names = cast(Iterable[tuple[str, str]], (self.getpeercert() or {}).get("subjectAltName", ()))
            shown = [name for kind, name in names if kind == "URI"]
            if shown != [identity]:
                raise ssl.SSLCertVerificationError(f"answered by {', '.join(shown) or 'nobody'}, not by {identity}")

    return _Talking


class MeshResolver(AbstractResolver):
    """Finds hosts of the mesh where they run, for a process that has no proxy; all others as the system does."""

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
        flags = socket.AI_NUMERICHOST
        return [ResolveResult(hostname=host, host=found.address, port=found.port, family=family, proto=0, flags=flags)]

    async def close(self) -> None:
        """Let go of the system's resolver."""
        await self._system.close()


def mesh_locator(snapshot: Callable[[], Snapshot]) -> Locate:
    """Return a lookup of the endpoints of the mesh's services: the control plane has no proxy that would do it."""

    def locate(host: str, port: int) -> Located | None:
        now = snapshot()
        for (known, number), endpoints in now.endpoints.items():
            if number == port and endpoints and (known == host or known.startswith(f"{host}.")):
                one = random.choice(endpoints)  # noqa: S311
                peer = names.Identity(now.mesh.trust_domain, one.namespace, one.service_account)
                return Located(one.address, one.port, str(peer) if one.tls and one.service_account else "")
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
