"""How the node agent and the command line talk to the supervisor: one coroutine a request, one iterator of events.

client = SupervisorClient(directory / "supervisor.sock")
state = await client.list_mesh()
await client.create_sandbox(SandboxSpec(id="default.ratings-0", address="10.244.1.4", hostname="ratings-0"))
async for event in client.events(): ...
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lateen.platforms.local import protocol
from lateen.platforms.local.protocol import Event, Nothing, Refused

_Answer = TypeVar("_Answer")
_ATTEMPTS = 2
_RECONNECT_SECONDS = 0.2


class SupervisorClient:
    """A connection that is made when first needed and made again when it was lost.

    Any number of requests may be under way at once. A request whose connection broke is asked once more (requests
    are idempotent). Raises `Refused`, with code `unavailable` where nobody listens and `timeout` after
    `timeout_seconds` (to which a request's own grace is added).
    """

    def __init__(self, socket: Path, timeout_seconds: float = 15.0) -> None:
        self._socket = socket
        self._timeout_seconds = timeout_seconds
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    async def hello(self) -> protocol.Hello:
        """Who the supervisor is."""
        return await self._ask("hello", Nothing(), protocol.Hello)

    async def list_mesh(self) -> protocol.MeshState:
        """Everything that exists."""
        return await self._ask("list", Nothing(), protocol.MeshState)

    async def create_sandbox(self, spec: protocol.SandboxSpec) -> protocol.SandboxState:
        """The sandbox, made if it is not there yet."""
        return await self._ask("create_sandbox", spec, protocol.SandboxState)

    async def delete_sandbox(self, sandbox: str, grace_seconds: float = 5.0) -> None:
        """Returns when the sandbox and all its processes are gone."""
        key = protocol.SandboxKey(id=sandbox, grace_seconds=grace_seconds)
        await self._ask("delete_sandbox", key, Nothing, grace_seconds * 2)

    async def start_process(self, spec: protocol.ProcessSpec) -> protocol.ProcessState:
        """The process, started if it does not run; one that has ended is started anew."""
        return await self._ask("start_process", spec, protocol.ProcessState)

    async def stop_process(self, sandbox: str, name: str, grace_seconds: float = 5.0) -> protocol.ProcessState | None:
        """How the process ended, after its stop signal and, past the grace, SIGKILL; None where it never was."""
        key = protocol.ProcessKey(sandbox=sandbox, name=name, grace_seconds=grace_seconds)
        stopped = await self._ask("stop_process", key, protocol.Stopped, grace_seconds)
        return stopped.process

    async def signal_process(self, sandbox: str, name: str, signal: str) -> None:
        """Sends a signal, such as `SIGHUP`, to the process's group."""
        await self._ask("signal_process", protocol.ProcessKey(sandbox=sandbox, name=name, signal=signal), Nothing)

    async def set_published_ports(self, ports: Sequence[protocol.PublishedPort]) -> tuple[protocol.PortOutcome, ...]:
        """Opens these host ports and no others; one outcome a port."""
        wanted = protocol.PublishedPorts(ports=tuple(ports))
        return (await self._ask("set_published_ports", wanted, protocol.PortOutcomes)).outcomes

    async def set_service_routes(self, routes: Sequence[protocol.ServiceRoute]) -> None:
        """Leads these service addresses to workloads, and no others."""
        await self._ask("set_service_routes", protocol.ServiceRoutes(routes=tuple(routes)), Nothing)

    async def set_names(self, names: protocol.MeshNames) -> None:
        """Has the node's resolver answer these names, and no others, by itself."""
        await self._ask("set_names", names, Nothing)

    async def set_companions(self, companions: Sequence[protocol.Companion]) -> None:
        """Keeps these processes running beside the control plane, and no others."""
        await self._ask("set_companions", protocol.Companions(companions=tuple(companions)), Nothing, 5.0)

    async def progress(self, text: str) -> None:
        """Shows one line to whoever watches the mesh come up."""
        await self._ask("progress", protocol.Progress(text=text), Nothing)

    async def shutdown(self, grace_seconds: float = 5.0) -> None:
        """Asks for the end of the mesh; returns when it has begun. `gone` waits for the end."""
        await self._ask("shutdown", protocol.Shutdown(grace_seconds=grace_seconds), Nothing)

    async def gone(self) -> None:
        """Returns when the supervisor has closed its socket, which it does last."""
        with contextlib.suppress(Refused):
            await (await self._connected()).lost.wait()

    async def events(self) -> AsyncGenerator[Event, None]:
        """Events as they happen, for ever; an event `subscribed` comes first, and again after a lost connection."""
        while True:
            try:
                async for event in self._events_of_one_connection():
                    yield event
            except OSError:
                pass
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def close(self) -> None:
        """Ends the connection; a later request makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def _events_of_one_connection(self) -> AsyncGenerator[Event, None]:
        reader, writer = await _open(self._socket)
        try:
            writer.write(_line({"id": 0, "request": "subscribe", "body": {}}))
            await reader.readline()
            yield Event(name="subscribed", number=0, at=time.time())
            while line := await reader.readline():
                told = json.loads(line)
                yield protocol.decode(
                    Event, {"name": told["event"], "number": told["number"], "at": told["at"], **told["body"]}
                )
        finally:
            writer.close()

    async def _ask(self, request: str, body: Any, answer: type[_Answer], more_seconds: float = 0.0) -> _Answer:
        try:
            async with asyncio.timeout(self._timeout_seconds + more_seconds):
                return protocol.decode(answer, await self._reply(request, protocol.encode(body)))
        except TimeoutError:
            raise Refused("timeout", f"the supervisor did not answer {request} in time; see supervisor.log") from None

    async def _reply(self, request: str, body: dict[str, Any]) -> Any:
        for attempt in range(1, _ATTEMPTS + 1):
            connection = await self._connected()
            try:
                return await connection.ask(request, body)
            except ConnectionError:
                if attempt == _ATTEMPTS:
                    raise Refused("unavailable", f"the supervisor at {self._socket} went away") from None
        raise AssertionError("the last attempt returns or raises")

    async def _connected(self) -> "_Connection":
        async with self._connecting:
            if self._connection is None or self._connection.lost.is_set():
                try:
                    self._connection = _Connection(*await _open(self._socket))
                except OSError as error:
                    message = f"no supervisor listens on {self._socket} ({error.strerror}); is the mesh up?"
                    raise Refused("unavailable", message) from None
            return self._connection


class _Connection:
    """One open socket: matches replies to requests by their id."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lost = asyncio.Event()
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._reading = asyncio.create_task(self._read())

    async def ask(self, request: str, body: dict[str, Any]) -> Any:
        if self.lost.is_set():
            raise ConnectionError("lost")
        self._last_id += 1
        number = self._last_id
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        try:
            self._writer.write(_line({"id": number, "request": request, "body": body}))
            await self._writer.drain()
            return await reply
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        self._reading.cancel()
        self._writer.close()

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                self._settle(json.loads(line))
        except OSError:
            pass
        finally:
            self.lost.set()
            self._writer.close()
            for reply in self._waiting.values():
                if not reply.done():
                    reply.set_exception(ConnectionError("lost"))

    def _settle(self, answer: dict[str, Any]) -> None:
        reply = self._waiting.get(answer.get("id", 0))
        if reply is None or reply.done():
            return
        if "error" in answer:
            reply.set_exception(Refused(answer["error"]["code"], answer["error"]["message"]))
        else:
            reply.set_result(answer["reply"])


async def _open(socket: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(socket, limit=protocol.LINE_LIMIT_BYTES)


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
