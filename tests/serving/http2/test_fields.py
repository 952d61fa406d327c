"""Header fields: read by the complete decoder while a caller may have a table, and passed over afterwards."""

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lateen.serving.http2.fields import Decoder, Malformed, Request, trailers, wanted_fields

CALL = {
    ":method": "POST",
    ":scheme": "http",
    ":path": "/test.Service/Method",
    ":authority": "lateen-mixer",
    "content-type": "application/grpc",
    "grpc-encoding": "gzip",
}
READ = Request("POST", "/test.Service/Method", "application/grpc", "gzip")
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20)


def encoder(table: int = 4096) -> hpack.Encoder:
    made = hpack.Encoder()
    made.header_table_size = table
    return made


@pytest.mark.parametrize("huffman", [True, False])
def test_what_is_wanted_is_found_and_everything_else_passed_over(huffman: bool) -> None:
    block = encoder(0).encode([*CALL.items(), ("x-trace", "a" * 300), ("te", "trailers")], huffman=huffman)
    assert wanted_fields(block) == {name: CALL[name] for name in CALL if name not in (":scheme", ":authority")}


def test_a_caller_that_gives_up_its_table_is_understood_before_and_after() -> None:
    writer, reader = encoder(), Decoder()
    for number in range(3):
        assert reader.decode(writer.encode([*CALL.items(), ("x-trace", str(number))])) == READ
    writer.header_table_size = 0
    for number in range(3):
        assert reader.decode(writer.encode([*CALL.items(), ("x-trace", str(number))])) == READ
    assert not reader._has_table


def test_a_table_that_comes_back_is_refused() -> None:
    reader = Decoder()
    reader.decode(encoder(0).encode(CALL.items()))
    with pytest.raises(Malformed, match="larger than allowed"):
        reader.decode(b"\x3f\x01" + encoder(0).encode(CALL.items()))


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",
        b"\xff\xff\xff\xff\xff\xff\xff",
        b"\xbe",
        b"\x40",
        b"\x00\x05ab",
        b"\x00\x01a",
        b"\x00\x84\xff\xff\xff\xff\x01a",
    ],
)
def test_what_is_no_block_is_refused(block: bytes) -> None:
    with pytest.raises(Malformed):
        wanted_fields(block)


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, TEXTS), max_size=10), st.booleans())
def test_any_fields_are_read_as_the_complete_decoder_reads_them(more: list[tuple[str, str]], huffman: bool) -> None:
    named = [*CALL.items(), *((name, value) for name, value in more if name not in CALL)]
    block = encoder(0).encode(named, huffman=huffman)
    whole = dict(hpack.Decoder().decode(block))
    wanted = {":method", ":path", "content-type", "grpc-encoding"}
    assert wanted_fields(block) == {name: value for name, value in whole.items() if name in wanted}


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_are_fields_or_refused(block: bytes) -> None:
    try:
        wanted_fields(block)
    except Malformed:
        return


@given(st.text(max_size=2000))
@settings(deadline=None)
def test_any_message_can_be_a_trailer(message: str) -> None:
    found = dict(hpack.Decoder().decode(trailers(13, message.encode(errors="replace").decode())))
    assert found["grpc-status"] == "13"
