"""Many delta xDS clients in one process, cheap enough not to be what is measured.

Each client has its own connection and behaves as an Envoy does: it asks for all clusters and listeners, for the
endpoints of every EDS cluster and for every route configuration that a listener names, acknowledges what it gets, and
reconnects with the versions that it holds. It speaks just as much HTTP/2 as this needs. Equal clients get equal
bytes, so a message is decoded once, what it does to a state is worked out once, and a thousand clients that hold the
same share one state.

Driven by JSON lines on stdin; see `Fleet`.
"""

import asyncio
import hashlib
import json
import resource
import struct
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.json_format import ParseDict

from lateen.xds import order

PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK_FLAG, END_HEADERS_FLAG = 0x1, 0x4
INITIAL_WINDOW_SIZE = 4
FIRST_WINDOW = 65_535
WHOLE_WINDOW = 2**31 - 1
FRAME_BYTES = 16_384


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return one HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header(name: bytes, value: bytes) -> bytes:
    """Return a header field that needs no table: literal, without indexing, without Huffman."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


SETTINGS_PAYLOAD = struct.pack(">HIHIHIHI", 1, 0, 2, 0, INITIAL_WINDOW_SIZE, WHOLE_WINDOW, 5, 2**24 - 1)
REQUEST_HEADERS = b"".join(
    header(name.encode(), value.encode())
    for name, value in {
        ":method": "POST",
        ":scheme": "http",
        ":path": PATH,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }.items()
)
OPENING = b"".join(
    (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        frame(SETTINGS, 0, 0, SETTINGS_PAYLOAD),
        frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WHOLE_WINDOW - FIRST_WINDOW)),
        frame(HEADERS, END_HEADERS_FLAG, 1, REQUEST_HEADERS),
    )
)


def request(url: str, **fields: Any) -> tuple[bytes, ...]:
    """Return a `DeltaDiscoveryRequest` as DATA frames."""
    data = discovery_pb2.DeltaDiscoveryRequest(type_url=url, **fields).SerializeToString()
    message = b"\0" + struct.pack(">I", len(data)) + data
    return tuple(
        frame(DATA, 0, 1, message[start : start + FRAME_BYTES]) for start in range(0, len(message), FRAME_BYTES)
    )


@dataclass(frozen=True, eq=False)
class State:
    """What a client holds of one type."""

    versions: Mapping[str, str]

    def digest(self) -> str:
        return hashlib.sha256(repr(sorted(self.versions.items())).encode()).hexdigest()[:16]


@dataclass(eq=False)
class Response:
    """A response, decoded once for all clients that get the same bytes."""

    url: str
    upserts: Mapping[str, str]
    removed: frozenset[str]
    answer: tuple[bytes, ...]
    wants: tuple[str, ...]
    wants_url: str = ""
    results: dict[State, State] = field(default_factory=dict)

    def apply(self, state: State) -> State:
        """Return the state after this response."""
        known = self.results.get(state)
        if known is None:
            kept = {name: version for name, version in state.versions.items() if name not in self.removed}
            known = self.results[state] = State({**kept, **self.upserts})
        return known


EMPTY = State({})


class Decoder:
    """Decodes responses and remembers the last ones."""

    def __init__(self) -> None:
        self._known: dict[int, list[tuple[bytes, Response]]] = {}

    def decode(self, data: bytes) -> Response:
        known = self._known.setdefault(len(data), [])
        for seen, response in known:
            if seen == data:
                return response
        response = self._decode(data)
        known.insert(0, (data, response))
        del known[32:]
        return response

    def forget(self) -> None:
        self._known.clear()

    def _decode(self, data: bytes) -> Response:
        message = discovery_pb2.DeltaDiscoveryResponse.FromString(data)
        url = message.type_url
        upserts = {item.name: item.version for item in message.resources}
        wants_url, wants = self._references(url, [item.resource.value for item in message.resources])
        frames = request(url, response_nonce=message.nonce)
        return Response(url, upserts, frozenset(message.removed_resources), frames, wants, wants_url)

    def _references(self, url: str, bodies: list[bytes]) -> tuple[str, tuple[str, ...]]:
        if url == order.CLUSTER:
            clusters = map(cluster_pb2.Cluster.FromString, bodies)
            names = [
                cluster.eds_cluster_config.service_name or cluster.name
                for cluster in clusters
                if cluster.type == cluster_pb2.Cluster.EDS
            ]
            return order.ENDPOINT, tuple(names)
        if url == order.LISTENER:
            names = [name for body in bodies for name in route_names(listener_pb2.Listener.FromString(body))]
            return order.ROUTE, tuple(dict.fromkeys(names))
        return "", ()


def route_names(listener: Any) -> list[str]:
    """Return the route configurations that a listener asks for."""
    names = []
    for chain in (*listener.filter_chains, listener.default_filter_chain):
        for filter_ in chain.filters:
            manager = http_connection_manager_pb2.HttpConnectionManager()
            if filter_.typed_config.Unpack(manager) and manager.HasField("rds"):
                names.append(manager.rds.route_config_name)
    return names


class Client(asyncio.Protocol):
    """One connection with one stream."""

    def __init__(self, fleet: "Fleet", node: Mapping[str, Any], kind: str) -> None:
        self.kind = kind
        self.held: dict[str, State] = {}
        self._wanted: dict[str, dict[str, None]] = {}
        self._fleet = fleet
        self._node = node
        self._transport: asyncio.Transport
        self._begin()

    def _begin(self) -> None:
        self._chunks: list[bytes] = []
        self._have = 0
        self._need = 9
        self._message: list[bytes] = []
        self._message_have = 0
        self._received = 0
        self._windows = [FIRST_WINDOW, FIRST_WINDOW]  # of the connection and of the stream
        self._first_window = FIRST_WINDOW
        self._waiting: list[bytes] = []
        self._is_closing = False

    # The stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._begin()
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(OPENING)
        node = ParseDict(dict(self._node), discovery_pb2.DeltaDiscoveryRequest().node)
        for url in (order.CLUSTER, order.ENDPOINT, order.LISTENER, order.ROUTE):
            names = tuple(self._wanted.get(url, ()))
            if names or url in (order.CLUSTER, order.LISTENER):
                versions = self.held.get(url, EMPTY).versions
                self._send(request(url, node=node, resource_names_subscribe=names, initial_resource_versions=versions))
                node = None

    def connection_lost(self, error: Exception | None) -> None:
        if not self._is_closing:
            self._fleet.lost += 1

    def close(self) -> None:
        self._is_closing = True
        self._transport.close()

    def _respond(self, data: bytes) -> None:
        """Take a response: note what it changes, ask for what it refers to, acknowledge it."""
        response = self._fleet.decoder.decode(data)
        self.held[response.url] = response.apply(self.held.get(response.url, EMPTY))
        if response.wants:
            wanted = self._wanted.setdefault(response.wants_url, {})
            fresh = tuple(name for name in response.wants if name not in wanted)
            wanted.update(dict.fromkeys(fresh))
            if fresh:
                self._send(self._fleet.subscription(response.wants_url, fresh))
        self._send(response.answer)

    # HTTP/2

    def _send(self, frames: tuple[bytes, ...]) -> None:
        self._waiting.extend(frames)
        self._flush()

    def _flush(self) -> None:
        sent = 0
        for data in self._waiting:
            size = len(data) - 9
            if min(self._windows) < size:
                break
            self._windows[0] -= size
            self._windows[1] -= size
            sent += 1
        if sent:
            self._transport.write(b"".join(self._waiting[:sent]))
            del self._waiting[:sent]

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._have += len(data)
        if self._have < self._need:
            return
        buffer = b"".join(self._chunks) if len(self._chunks) > 1 else data
        start, end = 0, len(buffer)
        self._need = 9
        while end - start >= 9:
            size = int.from_bytes(buffer[start : start + 3], "big")
            if end - start < 9 + size:
                self._need = 9 + size
                break
            payload = buffer[start + 9 : start + 9 + size]
            self._frame(buffer[start + 3], buffer[start + 4], buffer[start + 8], payload)
            start += 9 + size
        self._chunks = [buffer[start:]] if start < end else []
        self._have = end - start

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == DATA:
            self._data(payload)
        elif kind == WINDOW_UPDATE:
            self._window_update(stream, payload)
        elif kind == SETTINGS and not flags & ACK_FLAG:
            self._settings(payload)
        elif kind == PING and not flags & ACK_FLAG:
            self._transport.write(frame(PING, ACK_FLAG, 0, payload))
        elif kind in (RST_STREAM, GOAWAY) and not self._is_closing:
            self._fleet.lost += 1
            self.close()

    def _data(self, payload: bytes) -> None:
        self._fleet.bytes += len(payload)
        self._received += len(payload)
        if self._received > WHOLE_WINDOW // 4:
            update = struct.pack(">I", self._received)
            self._transport.write(frame(WINDOW_UPDATE, 0, 0, update) + frame(WINDOW_UPDATE, 0, 1, update))
            self._received = 0
        self._message.append(payload)
        self._message_have += len(payload)
        while self._message_have >= 5:
            head = self._message[0] if len(self._message[0]) >= 5 else b"".join(self._message)
            size = 5 + int.from_bytes(head[1:5], "big")
            if self._message_have < size:
                return
            whole = b"".join(self._message)
            self._message = [whole[size:]] if len(whole) > size else []
            self._message_have = len(whole) - size
            self._respond(whole[5:size])

    def _window_update(self, stream: int, payload: bytes) -> None:
        self._windows[1 if stream else 0] += int.from_bytes(payload, "big")
        self._flush()

    def _settings(self, payload: bytes) -> None:
        for start in range(0, len(payload), 6):
            key, value = struct.unpack_from(">HI", payload, start)
            if key == INITIAL_WINDOW_SIZE:
                self._windows[1] += value - self._first_window
                self._first_window = value
        self._transport.write(frame(SETTINGS, ACK_FLAG, 0, b""))
        self._flush()


class Fleet:
    """All clients of this process, and the commands that drive them.

    {"do": "connect", "socket": path, "nodes": [{"node": {…}, "class": name}]}   connect all at once
    {"do": "disconnect"}    break all connections
    {"do": "connect_again"} come back with the versions held
    {"do": "report"}        what the clients hold, by class: one digest if all is well
    """

    def __init__(self) -> None:
        self.decoder = Decoder()
        self.clients: list[Client] = []
        self.lost = 0
        self.bytes = 0
        self._socket = ""
        self._subscriptions: dict[tuple[str, tuple[str, ...]], tuple[bytes, ...]] = {}

    def subscription(self, url: str, names: tuple[str, ...]) -> tuple[bytes, ...]:
        """Return the request for these names, built once for all clients that send it."""
        known = self._subscriptions.get((url, names))
        if known is None:
            known = self._subscriptions[url, names] = request(url, resource_names_subscribe=names)
        return known

    async def connect(self, socket: str, nodes: list[Mapping[str, Any]]) -> Mapping[str, Any]:
        self._socket = socket
        fresh = [Client(self, item["node"], item["class"]) for item in nodes]
        self.clients += fresh
        return await self._connect(fresh)

    async def disconnect(self) -> Mapping[str, Any]:
        for client in self.clients:
            client.close()
        return {}

    async def connect_again(self) -> Mapping[str, Any]:
        return await self._connect(self.clients)

    async def _connect(self, clients: list[Client]) -> Mapping[str, Any]:
        loop = asyncio.get_running_loop()
        started = time.monotonic()
        slots = asyncio.Semaphore(100)

        async def connect(client: Client) -> None:
            async with slots:
                await loop.create_unix_connection(lambda: client, self._socket)

        await asyncio.gather(*map(connect, clients))
        return {"started": started}

    async def report(self) -> Mapping[str, Any]:
        digests: dict[str, Counter[str]] = {}
        known: dict[State, str] = {}
        for client in self.clients:
            parts = [known.setdefault(state, "") or self._digest(known, state) for state in self._states(client)]
            digests.setdefault(client.kind, Counter())["-".join(parts)] += 1
        received, self.bytes = self.bytes, 0
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.decoder.forget()
        return {
            "clients": len(self.clients),
            "classes": {kind: dict(counter) for kind, counter in digests.items()},
            "lost": self.lost,
            "bytes": received,
            "cpu": usage.ru_utime + usage.ru_stime,
        }

    def _states(self, client: Client) -> list[State]:
        return [client.held.get(kind.url, EMPTY) for kind in order.TYPES]

    def _digest(self, known: dict[State, str], state: State) -> str:
        known[state] = state.digest()
        return known[state]


async def main() -> None:
    """Obey the commands on stdin, one answer a line."""
    fleet = Fleet()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        answer = await getattr(fleet, command.pop("do"))(**command)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
