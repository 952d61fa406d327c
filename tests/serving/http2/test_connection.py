"""The server's side of HTTP/2, judged by another implementation, by chance and by rule breakers."""

import gzip

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lateen.serving.grpc_services import MOST_MESSAGE_BYTES
from lateen.serving.http2 import frames
from lateen.serving.http2.connection import (
    MOST_STREAMS,
    Cancelled,
    Connection,
    Ended,
    Event,
    Message,
)
from lateen.serving.http2.frames import Code, ConnectionFault, Type

from .client import HEADERS, Answer, Client, framed

PATH = "/test.Service/Method"


def exchange(client: Client, server: Connection) -> list[Event]:
    """Carry bytes both ways until nobody has anything to say."""
    events: list[Event] = []
    while True:
        to_server, to_client = client.sent(), server.data_to_send()
        if not to_server and not to_client:
            return events
        events += server.receive(to_server)
        client.read(to_client)


def test_a_call_and_its_answer() -> None:
    client, server = Client(), Connection()
    stream = client.call(framed(b"question"))
    assert exchange(client, server) == [Message(stream, PATH, b"question", True)]
    server.answer(stream, b"answer")
    exchange(client, server)
    answer = client.answers[stream]
    assert (answer.fields[":status"], answer.fields["content-type"]) == ("200", "application/grpc")
    assert (answer.message, answer.fields["grpc-status"], answer.ended) == (b"answer", "0", True)
    assert server.calls == 0


def test_a_refusal() -> None:
    client, server = Client(), Connection()
    stream = client.call(framed(b"question"))
    exchange(client, server)
    server.refuse(stream, 8, "too much: 100 % é")
    exchange(client, server)
    answer = client.answers[stream]
    assert (answer.fields["grpc-status"], answer.body, answer.ended) == ("8", b"", True)
    assert answer.fields["grpc-message"] == "too much: 100 %25 %C3%A9"


def test_the_same_call_again_is_decoded_from_memory() -> None:
    client, server = Client(), Connection()
    streams = [client.call(framed(bytes([number]))) for number in range(20)]
    assert exchange(client, server) == [
        Message(stream, PATH, bytes([number]), True) for number, stream in enumerate(streams)
    ]
    other = client.call(framed(b""), path="/test.Service/Other")
    again = client.call(framed(b""))
    assert exchange(client, server) == [
        Message(other, "/test.Service/Other", b"", True),
        Message(again, PATH, b"", True),
    ]


def test_messages_of_a_stream_come_as_they_are_complete() -> None:
    client, server = Client(), Connection()
    body = framed(b"one") + framed(b"two")
    stream = client.call(body[:2], body[2:11], end=False)
    assert exchange(client, server) == [Message(stream, PATH, b"one", False)]
    client.h2.send_data(stream, body[11:])
    assert exchange(client, server) == [Message(stream, PATH, b"two", False)]
    client.h2.end_stream(stream)
    assert exchange(client, server) == [Ended(stream, PATH)]


def test_a_stream_without_a_message_ends() -> None:
    client, server = Client(), Connection()
    stream = client.call()
    assert exchange(client, server) == [Ended(stream, PATH)]


def test_a_message_that_is_not_whole_at_the_end_is_refused() -> None:
    client, server = Client(), Connection()
    stream = client.call(framed(b"question")[:-1])
    assert exchange(client, server) == []
    assert client.answers[stream].fields["grpc-status"] == "13"


def test_trailers_of_the_client_end_its_stream() -> None:
    client, server = Client(), Connection()
    stream = client.call(framed(b"x"), end=False)
    client.h2.send_headers(stream, [("x-end", "1")], end_stream=True)
    assert exchange(client, server) == [Message(stream, PATH, b"x", False), Ended(stream, PATH)]


def test_whoever_hangs_up_gets_no_answer() -> None:
    client, server = Client(), Connection()
    stream = client.call(framed(b"x"))
    exchange(client, server)
    client.h2.reset_stream(stream, 8)
    assert exchange(client, server) == [Cancelled(stream)]
    server.answer(stream, b"late")
    server.refuse(stream, 13, "late")
    assert server.data_to_send() == b""


def test_a_refusal_in_the_middle_of_a_stream_tells_the_client_to_stop() -> None:
    client, server = Client(), Connection()
    stream = client.call(framed(b"x"), end=False)
    exchange(client, server)
    server.refuse(stream, 8, "enough")
    exchange(client, server)
    assert (client.answers[stream].fields["grpc-status"], client.answers[stream].reset) == ("8", 0)


def test_large_answers_keep_to_the_windows_of_the_client() -> None:
    client, server = Client(), Connection()
    large = bytes(300_000)
    streams = [client.call(framed(b"x")) for _ in range(3)]
    exchange(client, server)
    for stream in streams:
        server.answer(stream, large)
    exchange(client, server)
    for stream in streams:
        assert (client.answers[stream].message, client.answers[stream].fields["grpc-status"]) == (large, "0")


def test_large_questions_keep_getting_windows() -> None:
    client, server = Client(), Connection()
    exchange(client, server)
    stream = client.call(end=False)
    body, events = framed(bytes(3_000_000)), []
    for _ in range(3):
        rest = body
        while rest:
            size = min(len(rest), client.h2.local_flow_control_window(stream), 16_384)
            assert size > 0
            client.h2.send_data(stream, rest[:size])
            rest = rest[size:]
            events += exchange(client, server)
    assert [len(event.body) for event in events if isinstance(event, Message)] == [3_000_000] * 3


def test_compressed_messages_are_read() -> None:
    client, server = Client(), Connection()
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, [*HEADERS, ("grpc-encoding", "gzip")])
    packed = gzip.compress(b"question")
    client.h2.send_data(stream, b"\x01" + len(packed).to_bytes(4, "big") + packed, end_stream=True)
    assert exchange(client, server) == [Message(stream, PATH, b"question", True)]


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", b"nonsense"),
        ("gzip", gzip.compress(bytes(MOST_MESSAGE_BYTES + 1))),
        ("gzip", gzip.compress(b"x")[:-9]),
        ("snappy", b"x"),
    ],
    ids=["nonsense", "bomb", "cut", "unknown"],
)
def test_what_is_not_compressed_as_said_is_refused(encoding: str, packed: bytes) -> None:
    client, server = Client(), Connection()
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, [*HEADERS, ("grpc-encoding", encoding)])
    client.h2.send_data(stream, b"\x01" + len(packed).to_bytes(4, "big") + packed, end_stream=True)
    client.answers[stream] = Answer()
    assert exchange(client, server) == []
    assert client.answers[stream].fields["grpc-status"] == "13"


def test_a_message_that_is_too_large_is_refused_by_its_prefix() -> None:
    client, server = Client(), Connection()
    stream = client.call(b"\x00" + (MOST_MESSAGE_BYTES + 1).to_bytes(4, "big"), end=False)
    assert exchange(client, server) == []
    assert client.answers[stream].fields["grpc-status"] == "8"


@pytest.mark.parametrize("changed", [(":method", "GET"), ("content-type", "text/html")])
def test_what_is_no_grpc_is_answered_in_http(changed: tuple[str, str]) -> None:
    client, server = Client(), Connection()
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, [changed if name == changed[0] else (name, value) for name, value in HEADERS])
    client.answers[stream] = Answer()
    assert exchange(client, server) == []
    assert client.answers[stream].fields == {":status": "415"}


def test_more_calls_at_once_than_allowed_are_refused() -> None:
    server = Connection()
    server.receive(frames.PREFACE)
    block = hpack.Encoder().encode(HEADERS)
    for number in range(MOST_STREAMS + 1):
        server.data_to_send()
        assert server.receive(frame(Type.HEADERS, block, flags=4, stream=2 * number + 1)) == []
    assert server.data_to_send() == frames.rst_stream(2 * MOST_STREAMS + 1, Code.REFUSED_STREAM)
    assert server.calls == MOST_STREAMS


def test_a_ping_is_answered() -> None:
    client, server = Client(), Connection()
    client.h2.ping(b"12345678")
    exchange(client, server)
    with pytest.raises(ConnectionFault):
        server.receive(frames.header(7, Type.PING, 0, 0) + bytes(7))


def opened(*calls: bytes) -> Connection:
    """A connection on which calls have been made that wait for their answers."""
    client, server = Client(), Connection()
    for body in calls or (framed(b"x"),):
        client.call(body)
    exchange(client, server)
    return server


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    return frames.header(len(payload), kind, flags, stream) + payload


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(Type.DATA, b"x", stream=99), Code.PROTOCOL_ERROR),
        (frame(Type.DATA, b"x", stream=0), Code.PROTOCOL_ERROR),
        (frame(Type.HEADERS, b"\x82", flags=4, stream=2), Code.PROTOCOL_ERROR),
        (frame(Type.HEADERS, b"\xff\xff\xff\xff\xff", flags=4, stream=99), Code.COMPRESSION_ERROR),
        (frame(Type.HEADERS, b"\x05x", flags=4 | 8, stream=99), Code.PROTOCOL_ERROR),
        (frame(Type.HEADERS, b"", stream=99) + frame(Type.PING, bytes(8)), Code.PROTOCOL_ERROR),
        (frame(Type.HEADERS, b"", stream=99) + frame(Type.CONTINUATION, b"", stream=97), Code.PROTOCOL_ERROR),
        (frame(Type.CONTINUATION, b"", stream=1), Code.PROTOCOL_ERROR),
        (frame(Type.PUSH_PROMISE, bytes(8), stream=1), Code.PROTOCOL_ERROR),
        (frame(Type.RST_STREAM, bytes(3), stream=1), Code.FRAME_SIZE_ERROR),
        (frame(Type.RST_STREAM, bytes(4), stream=99), Code.PROTOCOL_ERROR),
        (frame(Type.SETTINGS, bytes(5)), Code.FRAME_SIZE_ERROR),
        (frame(Type.SETTINGS, bytes(6), flags=1), Code.FRAME_SIZE_ERROR),
        (frame(Type.SETTINGS, b"\x00\x04\xff\xff\xff\xff"), Code.FLOW_CONTROL_ERROR),
        (frame(Type.WINDOW_UPDATE, bytes(4)), Code.FLOW_CONTROL_ERROR),
        (frame(Type.WINDOW_UPDATE, bytes(3)), Code.FRAME_SIZE_ERROR),
        (frame(Type.WINDOW_UPDATE, b"\x7f\xff\xff\xff"), Code.FLOW_CONTROL_ERROR),
        (frame(Type.WINDOW_UPDATE, b"\x7f\xff\xff\xff", stream=1), Code.FLOW_CONTROL_ERROR),
        (frame(Type.WINDOW_UPDATE, b"\x00\x00\x00\x01", stream=99), Code.PROTOCOL_ERROR),
        (frame(Type.DATA, b"")[:0] + frames.header(20_000, Type.DATA, 0, 1), Code.FRAME_SIZE_ERROR),
        (
            frame(Type.HEADERS, b"", stream=99) + frame(Type.CONTINUATION, bytes(16_000), stream=99) * 5,
            Code.ENHANCE_YOUR_CALM,
        ),
    ],
)
def test_who_breaks_the_rules_is_told_and_loses_the_connection(sent: bytes, code: Code) -> None:
    server = opened()
    with pytest.raises(ConnectionFault) as caught:
        server.receive(sent)
    assert caught.value.code is code
    last = server.data_to_send()[-17:]
    assert (last[3], last[13:]) == (Type.GOAWAY, code.to_bytes(4, "big"))


def test_what_is_not_http2_is_noticed_at_its_first_byte() -> None:
    with pytest.raises(ConnectionFault):
        Connection().receive(b"GET / HTTP/1.1\r\n")


def test_frames_of_unknown_types_are_passed_over() -> None:
    assert opened().receive(frame(0xBE, b"grease", stream=7)) == []


def said(data: bytes, cuts: list[int]) -> list[Event]:
    """What a server makes of bytes that come in pieces."""
    server, events, at = Connection(), [], 0
    for cut in sorted({each % (len(data) + 1) for each in cuts} | {len(data)}):
        events += server.receive(data[at:cut])
        at = cut
    return events


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.lists(st.integers(min_value=0), max_size=12))
def test_it_does_not_matter_how_the_bytes_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    client = Client()
    streams = [client.call(framed(message)) for message in messages]
    data = client.sent()
    expected = [Message(stream, PATH, message, True) for stream, message in zip(streams, messages, strict=True)]
    assert said(data, []) == expected
    assert said(data, cuts) == expected


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_understood_or_refused(data: bytes) -> None:
    server = opened()
    try:
        for event in server.receive(data):
            server.answer(event.stream, b"x")
    except ConnectionFault:
        assert server.data_to_send()


@settings(deadline=None)
@given(st.data())
def test_any_frames_are_understood_or_refused(chosen: st.DataObject) -> None:
    server = opened(framed(b"x"), framed(b"y"))
    kinds = st.sampled_from(list(Type))
    for _ in range(chosen.draw(st.integers(1, 8))):
        payload = chosen.draw(st.binary(max_size=20))
        flags, stream = chosen.draw(st.integers(0, 255)), chosen.draw(st.integers(0, 9))
        try:
            server.receive(frame(chosen.draw(kinds), payload, flags=flags, stream=stream))
        except ConnectionFault:
            return
        server.data_to_send()
