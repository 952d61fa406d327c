"""The supervisor's ear: a unix socket on which requests are answered and events are told."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from lateen.platforms.local import protocol
from lateen.platforms.local.protocol import EventName, Refused

Requests = Mapping[str, tuple[type, Callable[[Any], Awaitable[Any]]]]
"""Which requests there are: name → the kind of its body, and who answers it."""

REQUEST_SECONDS = 60.0
MOST_UNSENT_BYTES = 8 * 1024 * 1024
_log = logging.getLogger(__name__)


class ControlSocket:
    """Serves one socket file; requests of one connection are answered concurrently."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._requests: Requests = {}
        self._last_event = 0
        self._subscribers: set[asyncio.StreamWriter] = set()
        self._work: set[asyncio.Task[None]] = set()

    async def open(self, requests: Requests) -> None:
        """Starts to listen, for this user alone."""
        self._requests = requests
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=protocol.LINE_LIMIT_BYTES)
        self._path.chmod(0o600)

    def publish(self, name: EventName, **body: Any) -> None:
        """Tells all subscribers; one that does not read is cut off (it learns so, and asks for everything anew)."""
        self._last_event += 1
        encoded = {key: value if isinstance(value, str) else protocol.encode(value) for key, value in body.items()}
        event = {"event": name, "number": self._last_event, "at": time.time(), "body": encoded}
        for writer in tuple(self._subscribers):
            if writer.transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
                writer.transport.abort()
                self._subscribers.discard(writer)
            else:
                writer.write(_line(event))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                self._begin(self._reply(line, writer))
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            _log.info("a connection broke off: %s", error)
        finally:
            self._subscribers.discard(writer)
            writer.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _reply(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        reply: dict[str, Any] = {"id": None}
        try:
            asked = _request(line)
            reply["id"] = asked["id"]
            if asked["request"] == "subscribe":
                self._subscribers.add(writer)
                reply["reply"] = {}
            else:
                answer = await self._answer(asked["request"], asked.get("body", {}))
                reply["reply"] = protocol.encode(answer)
        except Refused as refused:
            reply["error"] = {"code": refused.code, "message": refused.message}
        except Exception:
            _log.exception("request failed: %.200r", line)
            reply["error"] = {"code": "defect", "message": "the supervisor failed at this; see supervisor.log"}
        with contextlib.suppress(OSError):
            writer.write(_line(reply))
            await writer.drain()

    async def _answer(self, request: str, body: object) -> Any:
        try:
            kind, answer = self._requests[request]
        except KeyError:
            known = ", ".join(sorted(self._requests))
            raise Refused("bad_request", f"there is no request {request!r}; there are {known}") from None
        message: Any = protocol.decode(kind, body)
        limit = REQUEST_SECONDS + 2 * getattr(message, "grace_seconds", 0.0)
        try:
            async with asyncio.timeout(limit):
                return await answer(message)
        except TimeoutError:
            raise Refused("timeout", f"{request} took more than {limit:.0f} seconds; see supervisor.log") from None


def _request(line: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(line)
    except ValueError:
        asked = None
    if not isinstance(asked, dict) or not {"id", "request"} <= asked.keys():
        raise Refused("bad_request", 'a request is one line such as {"id": 1, "request": "list", "body": {}}')
    return asked


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
