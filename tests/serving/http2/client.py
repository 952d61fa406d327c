"""A client made of the package h2, as the judge of what our side says."""

from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived

HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/test.Service/Method"),
    (":authority", "lateen-mixer"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]


@dataclass
class Answer:
    """What came on one stream."""

    fields: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    reset: int | None = None
    ended: bool = False

    @property
    def message(self) -> bytes:
        """The one message, without its prefix."""
        assert self.body[:5] == framed(self.body[5:])[:5]
        return self.body[5:]


class Client:
    """Speaks HTTP/2 as RFC 9113 has it, and collects answers by stream."""

    def __init__(self) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.answers: dict[int, Answer] = {}

    def call(self, *parts: bytes, path: str = "/test.Service/Method", end: bool = True) -> int:
        """Begin a call with a body in so many DATA frames."""
        stream = self.h2.get_next_available_stream_id()
        headers = [(name, path if name == ":path" else value) for name, value in HEADERS]
        self.h2.send_headers(stream, headers, end_stream=end and not parts)
        for position, part in enumerate(parts):
            self.h2.send_data(stream, part, end_stream=end and position == len(parts) - 1)
        self.answers[stream] = Answer()
        return stream

    def sent(self) -> bytes:
        """What this side has to say."""
        return self.h2.data_to_send()

    def read(self, data: bytes) -> None:
        """Take in what the server said; raises for whatever breaks the protocol."""
        for event in self.h2.receive_data(data):
            self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, ResponseReceived | TrailersReceived):
            assert event.stream_id is not None and event.headers is not None
            self.answers[event.stream_id].fields.update({str(n): str(v) for n, v in event.headers})
        elif isinstance(event, DataReceived):
            assert event.stream_id is not None and event.data is not None
            self.answers[event.stream_id].body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        elif isinstance(event, StreamReset):
            assert event.stream_id is not None
            self.answers[event.stream_id].reset = event.error_code
        elif isinstance(event, StreamEnded):
            assert event.stream_id is not None
            self.answers[event.stream_id].ended = True


def framed(message: bytes) -> bytes:
    """A message with the prefix of gRPC."""
    return b"\x00" + len(message).to_bytes(4, "big") + message
