"""A client for HTTP/3: one request on a connection of its own."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent

LIMIT_SECONDS = 15.0


@dataclass(frozen=True)
class Http3Answer:
    """An answer over HTTP/3."""

    status: int
    headers: dict[str, str]
    body: bytes


class Refused(Exception):
    """The server closed the connection without an answer."""


class _Client(QuicConnectionProtocol):
    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self._http = H3Connection(self._quic)
        self._headers: dict[str, str] = {}
        self._body = b""
        self._answer: asyncio.Future[Http3Answer] = asyncio.get_running_loop().create_future()

    async def request(self, authority: str, path: str, body: bytes) -> Http3Answer:
        stream = self._quic.get_next_available_stream_id()
        asked = {
            ":method": "POST" if body else "GET",
            ":scheme": "https",
            ":authority": authority,
            ":path": path,
        }
        self._http.send_headers(stream, [(name.encode(), text.encode()) for name, text in asked.items()], not body)
        if body:
            self._http.send_data(stream, body, end_stream=True)
        self.transmit()
        return await self._answer

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ConnectionTerminated) and not self._answer.done():
            self._answer.set_exception(Refused(event.reason_phrase))
        for one in self._http.handle_event(event):
            self._take(one)

    def _take(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            self._headers |= {name.decode(): text.decode() for name, text in event.headers}
        elif isinstance(event, DataReceived):
            self._body += event.data
        if getattr(event, "stream_ended", False) and not self._answer.done():
            self._answer.set_result(Http3Answer(int(self._headers[":status"]), self._headers, self._body))


def fetch(
    port: int,
    authority: str,
    root: str,
    *,
    path: str = "/",
    body: bytes = b"",
    shows: tuple[str, str] | None = None,
) -> Http3Answer:
    """Ask the host `authority` at a port of 127.0.0.1; `shows` are the files of the client's certificate and key."""
    settings = QuicConfiguration(
        is_client=True,
        alpn_protocols=H3_ALPN,
        server_name=authority.partition(":")[0],
        cadata=root.encode(),
        verify_mode=ssl.CERT_REQUIRED,
    )
    if shows is not None:
        settings.load_cert_chain(*shows)

    async def asked() -> Http3Answer:
        async with asyncio.timeout(LIMIT_SECONDS):
            async with connect("127.0.0.1", port, configuration=settings, create_protocol=_Client) as client:
                assert isinstance(client, _Client)
                return await client.request(authority, path, body)

    return asyncio.run(asked())
