"""One HTTP/2 connection of a gRPC server, without I/O: bytes in, calls out; answers in, bytes out.

connection = Connection()
for event in connection.receive(data): ...
connection.answer(stream, message)
transport.write(connection.data_to_send())
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from lateen.api.status_codes import StatusCode
from lateen.serving.grpc_services import GrpcRefusal
from lateen.serving.http2 import fields, frames, messages
from lateen.serving.http2.fields import Decoder, Request
from lateen.serving.http2.frames import Code, ConnectionFault, FrameHeader, Setting, Type

MOST_STREAMS: Final = 1000
STREAM_WINDOW: Final = 1024 * 1024
CONNECTION_WINDOW: Final = 16 * 1024 * 1024
_PRIORITY_BYTES: Final = 5
_LARGEST_FRAME: Final = 2**24 - 1
_LAST_FIELDS: Final = frames.END_STREAM | frames.END_HEADERS


class Message(NamedTuple):
    """A message of a call has come; `is_last` when the caller has said all."""

    stream: int
    path: str
    body: bytes
    is_last: bool


class Ended(NamedTuple):
    """A caller has said all, some time after its last message."""

    stream: int
    path: str


class Cancelled(NamedTuple):
    """Nobody waits for an answer any more."""

    stream: int


Event = Message | Ended | Cancelled


@dataclass(slots=True)
class _Stream:
    """One call: what has come of it, what is still to go, and how much of each the other side allows."""

    path: str
    encoding: str
    send_window: int
    receive_window: int = STREAM_WINDOW
    incoming: bytearray = field(default_factory=bytearray)
    outgoing: bytes = b""
    is_heard: bool = False


class Connection:
    """Reads what a client sends and writes what it is to get; one call is one stream.

    `receive` raises `ConnectionFault` when the client breaks the protocol; `data_to_send` then says so to it.
    """

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._streams: dict[int, _Stream] = {}
        self._unread = b""
        self._out: list[bytes] = [
            frames.settings(
                header_table_size=fields.TABLE_BYTES,
                max_concurrent_streams=MOST_STREAMS,
                initial_window_size=STREAM_WINDOW,
                max_header_list_size=fields.MOST_HEADER_BYTES,
            ),
            frames.window_update(0, CONNECTION_WINDOW - frames.INITIAL_WINDOW),
        ]
        self._preface = frames.PREFACE
        self._last_stream = 0
        self._receive_window = CONNECTION_WINDOW
        self._send_window = frames.INITIAL_WINDOW
        self._peer_stream_window = frames.INITIAL_WINDOW
        self._peer_frame_bytes = frames.MOST_FRAME_BYTES
        self._headers: tuple[FrameHeader, bytearray] | None = None
        self._takes = {
            Type.DATA: self._take_data,
            Type.HEADERS: self._take_headers,
            Type.RST_STREAM: self._take_reset,
            Type.SETTINGS: self._take_settings,
            Type.PING: self._take_ping,
            Type.WINDOW_UPDATE: self._take_window_update,
            Type.CONTINUATION: self._take_continuation,
            Type.PUSH_PROMISE: self._take_push_promise,
        }

    @property
    def calls(self) -> int:
        """How many calls have no answer yet."""
        return len(self._streams)

    def data_to_send(self) -> bytes:
        """Return what is to be written, once."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def receive(self, data: bytes) -> list[Event]:
        """Take in what was read; return what it means."""
        events: list[Event] = []
        unread = self._unread + data if self._unread else data
        try:
            at = self._skip_preface(unread)
            end = len(unread)
            while end - at >= frames.HEADER_BYTES:
                header = frames.read_header(unread, at)
                if header.length > frames.MOST_FRAME_BYTES:
                    raise ConnectionFault(Code.FRAME_SIZE_ERROR, f"a frame of {header.length} bytes")
                body = at + frames.HEADER_BYTES
                if end - body < header.length:
                    break
                at = body + header.length
                self._take(header, unread[body:at], events)
            self._unread = unread[at:]
        except ConnectionFault as fault:
            self._out.append(frames.goaway(self._last_stream, fault.code))
            raise
        return events

    def answer(self, number: int, message: bytes) -> None:
        """End a call with its one answer; a call that was cancelled is passed over."""
        stream = self._streams.get(number)
        if stream is None:
            return
        block = fields.RESPONSE
        self._out.append(frames.header(len(block), Type.HEADERS, frames.END_HEADERS, number) + block)
        body = messages.framed(message)
        if len(body) <= min(self._send_window, stream.send_window, self._peer_frame_bytes):
            self._send_window -= len(body)
            self._out.append(frames.header(len(body), Type.DATA, 0, number) + body)
            self._finish(number, stream, fields.OK)
        else:
            stream.outgoing = body
            self._flush(number, stream)

    def refuse(self, number: int, status: int, message: str) -> None:
        """End a call with a status other than OK."""
        stream = self._streams.get(number)
        if stream is not None:
            self._finish(number, stream, fields.RESPONSE + fields.trailers(status, message))

    def _skip_preface(self, data: bytes) -> int:
        """Check that a client begins as it must; return how much of the data that was."""
        if not self._preface:
            return 0
        begun = data[: len(self._preface)]
        if not self._preface.startswith(begun):
            raise ConnectionFault(Code.PROTOCOL_ERROR, "not HTTP/2")
        self._preface = self._preface[len(begun) :]
        return len(begun)

    def _take(self, header: FrameHeader, payload: bytes, events: list[Event]) -> None:
        if self._headers is not None and header.type != Type.CONTINUATION:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "fields that do not go on")
        take = self._takes.get(header.type)  # type: ignore[call-overload]
        if take is not None:
            take(header, payload, events)

    def _take_data(self, header: FrameHeader, payload: bytes, events: list[Event]) -> None:
        number = header.stream
        self._receive_window -= header.length
        if self._receive_window < 0:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "more than the connection's window")
        if self._receive_window < CONNECTION_WINDOW // 2:
            self._out.append(frames.window_update(0, CONNECTION_WINDOW - self._receive_window))
            self._receive_window = CONNECTION_WINDOW
        stream = self._streams.get(number)
        if stream is None or stream.is_heard:
            self._check_known(number)
            return
        stream.receive_window -= header.length
        if stream.receive_window < 0:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "more than the stream's window")
        stream.is_heard = bool(header.flags & frames.END_STREAM)
        if not stream.is_heard and stream.receive_window < STREAM_WINDOW // 2:
            self._out.append(frames.window_update(number, STREAM_WINDOW - stream.receive_window))
            stream.receive_window = STREAM_WINDOW
        stream.incoming += frames.unpadded(header, payload)
        self._take_messages(number, stream, events)

    def _take_messages(self, number: int, stream: _Stream, events: list[Event]) -> None:
        """Cut what has come into messages; what remains waits for more."""
        try:
            found = messages.cut(stream.incoming, stream.encoding)
        except GrpcRefusal as refusal:
            self.refuse(number, refusal.status, refusal.message)
            return
        events.extend(Message(number, stream.path, body, stream.is_heard and last) for body, last in found)
        if stream.is_heard and not (found and found[-1][1]):
            self._take_end(number, stream, events)

    def _take_end(self, number: int, stream: _Stream, events: list[Event]) -> None:
        if stream.incoming:
            self.refuse(number, StatusCode.INTERNAL, "the last message is not whole")
        else:
            events.append(Ended(number, stream.path))

    def _take_headers(self, header: FrameHeader, payload: bytes, events: list[Event]) -> None:
        block = frames.unpadded(header, payload)
        if header.flags & frames.PRIORITY:
            block = block[_PRIORITY_BYTES:]
        if header.flags & frames.END_HEADERS:
            self._take_fields(header, block, events)
        else:
            self._headers = header, bytearray(block)

    def _take_continuation(self, header: FrameHeader, payload: bytes, events: list[Event]) -> None:
        if self._headers is None or self._headers[0].stream != header.stream:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "fields that go on without a beginning")
        first, block = self._headers
        block += payload
        if len(block) > fields.MOST_HEADER_BYTES:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "too many fields")
        if header.flags & frames.END_HEADERS:
            self._headers = None
            self._take_fields(first, bytes(block), events)

    def _take_fields(self, header: FrameHeader, block: bytes, events: list[Event]) -> None:
        """Begin a call; fields in its middle can only be its end."""
        try:
            request = self._decoder.decode(block)
        except fields.Malformed as fault:
            raise ConnectionFault(Code.COMPRESSION_ERROR, str(fault)) from None
        number = header.stream
        stream = self._streams.get(number)
        is_last = bool(header.flags & frames.END_STREAM)
        if stream is not None and is_last and not stream.is_heard:
            stream.is_heard = True
            self._take_end(number, stream, events)
        elif number <= self._last_stream:
            self._check_known(number)
        else:
            self._begin(number, request, is_last, events)

    def _begin(self, number: int, request: Request, is_last: bool, events: list[Event]) -> None:
        if number % 2 == 0:
            raise ConnectionFault(Code.PROTOCOL_ERROR, f"a client's stream with the number {number}")
        self._last_stream = number
        if len(self._streams) >= MOST_STREAMS:
            self._out.append(frames.rst_stream(number, Code.REFUSED_STREAM))
            return
        if request.method != "POST" or not request.content_type.startswith("application/grpc"):
            block = fields.NOT_GRPC
            self._out.append(frames.header(len(block), Type.HEADERS, _LAST_FIELDS, number) + block)
            self._out.append(frames.rst_stream(number, Code.NO_ERROR))
            return
        stream = _Stream(request.path, request.encoding, self._peer_stream_window, is_heard=is_last)
        self._streams[number] = stream
        if is_last:
            self._take_end(number, stream, events)

    def _take_reset(self, header: FrameHeader, payload: bytes, events: list[Event]) -> None:
        if len(payload) != 4:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a RST_STREAM frame of another length")
        self._check_known(header.stream)
        if self._streams.pop(header.stream, None) is not None:
            events.append(Cancelled(header.stream))

    def _take_settings(self, header: FrameHeader, payload: bytes, events: list[Event]) -> None:
        if header.stream or len(payload) % 6 or (header.flags & frames.ACK and payload):
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a SETTINGS frame of another form")
        if header.flags & frames.ACK:
            return
        for setting, value in frames.read_settings(payload):
            if setting == Setting.INITIAL_WINDOW_SIZE:
                self._resize_windows(value)
            elif setting == Setting.MAX_FRAME_SIZE:
                self._peer_frame_bytes = max(frames.MOST_FRAME_BYTES, min(value, _LARGEST_FRAME))
        self._out.append(frames.SETTINGS_ACK)
        self._flush_all()

    def _resize_windows(self, size: int) -> None:
        if size > frames.LARGEST_WINDOW:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "a window of more than 31 bits")
        for stream in self._streams.values():
            stream.send_window += size - self._peer_stream_window
        self._peer_stream_window = size

    def _take_ping(self, header: FrameHeader, payload: bytes, events: list[Event]) -> None:
        if header.stream or len(payload) != 8:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a PING frame of another form")
        if not header.flags & frames.ACK:
            self._out.append(frames.header(8, Type.PING, frames.ACK, 0) + payload)

    def _take_window_update(self, header: FrameHeader, payload: bytes, events: list[Event]) -> None:
        if len(payload) != 4:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "a WINDOW_UPDATE frame of another length")
        increment = frames.read_number(payload)
        stream = self._streams.get(header.stream)
        if header.stream == 0:
            self._send_window += increment
            self._flush_all()
        elif stream is not None:
            stream.send_window += increment
            self._flush(header.stream, stream)
        else:
            self._check_known(header.stream)
        if not increment or max(self._send_window, stream.send_window if stream else 0) > frames.LARGEST_WINDOW:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "a window that does not grow, or beyond 31 bits")

    def _take_push_promise(self, header: FrameHeader, payload: bytes, events: list[Event]) -> None:
        raise ConnectionFault(Code.PROTOCOL_ERROR, "a client does not push")

    def _check_known(self, number: int) -> None:
        """Refuse frames on streams that were never begun; those on streams that have ended are passed over."""
        if number == 0 or number > self._last_stream:
            raise ConnectionFault(Code.PROTOCOL_ERROR, f"a frame on stream {number}, which was not begun")

    def _flush_all(self) -> None:
        for number, stream in tuple(self._streams.items()):
            self._flush(number, stream)

    def _flush(self, number: int, stream: _Stream) -> None:
        """Send as much of an answer as the windows let through."""
        while stream.outgoing:
            size = min(len(stream.outgoing), self._send_window, stream.send_window, self._peer_frame_bytes)
            if size <= 0:
                return
            part, stream.outgoing = stream.outgoing[:size], stream.outgoing[size:]
            self._send_window -= size
            stream.send_window -= size
            self._out.append(frames.header(size, Type.DATA, 0, number) + part)
            if not stream.outgoing:
                self._finish(number, stream, fields.OK)

    def _finish(self, number: int, stream: _Stream, block: bytes) -> None:
        """Send the last fields of a call, and forget it; a caller that still talks is told to stop."""
        del self._streams[number]
        self._out.append(frames.header(len(block), Type.HEADERS, _LAST_FIELDS, number) + block)
        if not stream.is_heard:
            self._out.append(frames.rst_stream(number, Code.NO_ERROR))
