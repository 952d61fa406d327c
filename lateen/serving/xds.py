"""The discovery service that Envoys connect to: delta ADS over gRPC."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import grpc
import grpc.aio
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from lateen.errors import LateenError, NotPermitted, ProtocolError
from lateen.manager.ports import NodeIdentity, ProxyDoor
from lateen.manager.pushes import Connection
from lateen.model.workload import WorkloadKey
from lateen.serving.door_tls import workload_of
from lateen.xds.events import Ack, Event, Nack, Subscribe
from lateen.xds.versions import Delta

_log = logging.getLogger(__name__)

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
METHOD = "DeltaAggregatedResources"

_Context = grpc.aio.ServicerContext[bytes, bytes]

MIB = 1024 * 1024
OPTIONS = (
    ("grpc.max_receive_message_length", 64 * MIB),
    ("grpc.max_send_message_length", -1),
    # Without these, grpc resets streams when thousands of proxies connect at once.
    ("grpc.server.max_pending_requests", 100_000),
    ("grpc.server.max_pending_requests_hard_limit", 200_000),
    # A proxy that is gone without a word is found out within a minute; one that pings is not scolded.
    ("grpc.keepalive_time_ms", 40_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
)

LARGE_BYTES = 64 * 1024
"""Responses of this size and more are counted against the budget."""

BUDGET_BYTES = 48 * MIB
"""What may be on its way to proxies at any moment: grpc copies every response for every stream."""

STALL_SECONDS = 20.0
"""A proxy that does not take a large response in this time is cut off, so that it does not hold up the others."""


class DiscoveryServer:
    """Serves delta ADS to proxies that `door` lets in.

    With `credentials`, which must demand a certificate of every client, a proxy is what its certificate says. Without,
    as tests and benchmarks run it, a proxy is what it says itself. `others` are further services on the same socket.
    """

    def __init__(
        self,
        door: ProxyDoor,
        credentials: grpc.ServerCredentials | None = None,
        others: tuple[grpc.GenericRpcHandler, ...] = (),
    ) -> None:
        self._door = door
        self._credentials = credentials
        self._responses = Responses()
        self._budget = Budget(BUDGET_BYTES)
        self._server = grpc.aio.server(options=OPTIONS)
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._serve)
        own = grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler})
        self._server.add_generic_rpc_handlers((own, *others))

    async def start(self, socket: Path | None = None, address: str | None = None) -> int:
        """Listen on a unix socket, on `host:port`, or on both; return the port (0 if there is none).

        A socket file that an earlier server left behind is replaced.
        """
        if socket is not None:
            self._bind(socket)
        port = 0
        if address is not None and self._credentials is not None:
            port = self._server.add_secure_port(address, self._credentials)
        elif address is not None:
            port = self._server.add_insecure_port(address)
        await self._server.start()
        return port

    def _bind(self, socket: Path) -> None:
        socket.unlink(missing_ok=True)
        if self._credentials is not None:
            self._server.add_secure_port(f"unix:{socket}", self._credentials)
        else:
            self._server.add_insecure_port(f"unix:{socket}")
        socket.chmod(0o600)

    async def stop(self, grace_seconds: float = 0.0) -> None:
        """Stop listening and end all streams; proxies go on with what they have."""
        await self._server.stop(grace_seconds)

    async def _serve(self, _requests: AsyncIterator[bytes], context: _Context) -> None:
        """Serve one stream from its first request to its end."""
        outlet = StreamOutlet(context, self._responses, self._budget)
        try:
            await self._converse(context, outlet)
        except LateenError as error:
            _log.warning("turned away %s: %s", context.peer(), error)
            await context.abort(_status_code(error), str(error))
        except asyncio.CancelledError:
            if outlet.reason is None:
                raise
            await context.abort(grpc.StatusCode.ABORTED, outlet.reason)

    async def _converse(self, context: _Context, outlet: "StreamOutlet") -> None:
        peer = _peer(context) if self._credentials is not None else None
        request = await _next_request(context)
        if request is None:
            return
        connection = self._door.connect(_node_identity(request), outlet, peer)
        try:
            while request is not None:
                _pass_on(request, connection)
                request = None  # the first one is large, and it may be long before the next comes
                request = await _next_request(context)
        finally:
            outlet.end()
            self._door.disconnect(connection)


async def _next_request(context: _Context) -> Any:
    """Return the next request, None at the end of the stream."""
    data = await context.read()
    if not isinstance(data, bytes):
        return None
    try:
        return discovery_pb2.DeltaDiscoveryRequest.FromString(data)
    except DecodeError as error:
        raise ProtocolError("request is not an envoy.service.discovery.v3.DeltaDiscoveryRequest") from error


def _pass_on(request: Any, connection: Connection) -> None:
    for event in events(request):
        connection.receive(event)


def events(request: Any) -> Iterator[Event]:
    """Read the events in a `DeltaDiscoveryRequest`.

    What is asked for comes before the acknowledgement, so that one response can answer it.
    """
    url, nonce = request.type_url, request.response_nonce
    if not nonce or request.resource_names_subscribe or request.resource_names_unsubscribe:
        yield Subscribe(
            url,
            tuple(request.resource_names_subscribe),
            tuple(request.resource_names_unsubscribe),
            dict(request.initial_resource_versions),
        )
    if nonce:
        yield (Nack(url, nonce, request.error_detail.message) if request.HasField("error_detail") else Ack(url, nonce))


def _node_identity(request: Any) -> NodeIdentity:
    node = request.node
    if not node.id:
        raise ProtocolError(
            "first request names no node: expected node.id, as Envoy takes it from its bootstrap or --service-node"
        )
    return NodeIdentity(node.id, node.cluster, MessageToDict(node.metadata))


def _peer(context: _Context) -> WorkloadKey:
    """Return the workload that the other side has proved to be."""
    name, namespace = workload_of(context.auth_context())
    return WorkloadKey(namespace, name)


def _status_code(error: LateenError) -> grpc.StatusCode:
    if isinstance(error, NotPermitted):
        return grpc.StatusCode.PERMISSION_DENIED
    return grpc.StatusCode.INVALID_ARGUMENT if isinstance(error, ProtocolError) else grpc.StatusCode.UNAVAILABLE


class Responses:
    """Encodes each delta once, for as long as it is in flight anywhere."""

    def __init__(self) -> None:
        self._encoded: WeakKeyDictionary[Delta, bytes] = WeakKeyDictionary()

    def encode(self, delta: Delta) -> bytes:
        """Return the delta as a serialized `DeltaDiscoveryResponse`."""
        known = self._encoded.get(delta)
        if known is None:
            envelope = discovery_pb2.DeltaDiscoveryResponse(
                type_url=delta.type_url, removed_resources=delta.removed, nonce=delta.nonce
            )
            known = b"".join((envelope.SerializeToString(), *(resource.frame for resource in delta.resources)))
            self._encoded[delta] = known
        return known


class Budget:
    """Limits the bytes that are on their way, first come first served."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._free_bytes = limit_bytes
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size_bytes: int) -> int:
        """Wait for one's turn; return what is to be given back.

        A size above the limit waits until nothing else is on its way.
        """
        size_bytes = min(size_bytes, self._limit_bytes)
        if self._free_bytes >= size_bytes and not self._queue:
            self._free_bytes -= size_bytes
            return size_bytes
        turn = asyncio.get_running_loop().create_future()
        self._queue.append((size_bytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(size_bytes)
            raise
        return size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Let the next ones take their turn."""
        self._free_bytes += size_bytes
        while self._queue and (self._queue[0][1].cancelled() or self._queue[0][0] <= self._free_bytes):
            wanted_bytes, turn = self._queue.popleft()
            if not turn.cancelled():
                self._free_bytes -= wanted_bytes
                turn.set_result(None)


class StreamOutlet:
    """Writes to one stream, one response after the other; at most one of each type is ever waiting."""

    def __init__(self, context: _Context, responses: Responses, budget: Budget) -> None:
        self.reason: str | None = None
        self._context = context
        self._responses = responses
        self._budget = budget
        self._reader = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Delta] = deque()
        self._writer: asyncio.Task[None] | None = None

    def send(self, delta: Delta) -> None:
        """Write a response when those before it have been written."""
        self._queue.append(delta)
        if self._writer is None:
            self._writer = self._loop.create_task(self._write_all())

    def close(self, reason: str) -> None:
        """End the stream with this reason."""
        if self.reason is None and self._reader is not None:
            self.reason = reason
            self._reader.cancel()

    def end(self) -> None:
        """Stop writing: the stream is over."""
        self._queue.clear()
        if self._writer is not None:
            self._writer.cancel()

    async def _write_all(self) -> None:
        try:
            while self._queue:
                delta = self._queue.popleft()
                if delta.size_bytes < LARGE_BYTES:
                    await self._context.write(self._responses.encode(delta))
                else:
                    await self._write_large(delta)
        except grpc.aio.BaseError:
            # The proxy has gone; the reading side finds out too and ends the stream.
            self._queue.clear()
        except TimeoutError:
            self.close(f"did not take a response within {STALL_SECONDS:.0f} s")
        finally:
            self._writer = None

    async def _write_large(self, delta: Delta) -> None:
        """Write a response when its turn has come; before that it takes no memory."""
        taken_bytes = await self._budget.take(delta.size_bytes)
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await self._context.write(self._responses.encode(delta))
        finally:
            self._budget.give_back(taken_bytes)
