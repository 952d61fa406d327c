"""The names that the node's resolver answers by itself, and the few DNS messages (RFC 1035) that this needs. Pure.

A name is kept as it stands in a question: labels with their lengths, in small letters. Whatever cannot be read is
nobody's question: it is left to those who are asked for other names.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

DATAGRAM_BYTES: Final = 512
STREAM_BYTES: Final = 65535
_HEADER: Final = struct.Struct("!HBBHHHH")
_QUESTION_TAIL: Final = struct.Struct("!HH")
_RECORD_TAIL: Final = struct.Struct("!HHIH")
_INTERNET, _ANY_NETWORK = 1, 255
_IPV4, _IPV6, _ANY_KIND = 1, 28, 255
_ADDRESS_BYTES: Final = {_IPV4: 4, _IPV6: 16}
_TIME_TO_LIVE_SECONDS: Final = 5
_LONGEST_LABEL, _LONGEST_NAME = 63, 255
_POINTER: Final = 0xC0
_POINTER_TO_QUESTION: Final = bytes((_POINTER, _HEADER.size))
_NO_PLAIN_QUERY: Final = 0xF8
_RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x01, 0x80
_ANSWER, _WITH_AUTHORITY, _TRUNCATED = 0x80, 0x04, 0x02
_CODE: Final = 0x0F
_NO_SUCH_NAME: Final = 3


@dataclass(frozen=True, slots=True)
class Question:
    """What a message asks for; `end` is where the question ends in it."""

    name: bytes
    kind: int
    end: int


class NameTable:
    """The names of one mesh, as they were last told; none at first."""

    def __init__(self) -> None:
        self._addresses: dict[bytes, tuple[bytes, ...]] = {}
        self._aliases: dict[bytes, bytes] = {}
        self._domain = b""

    def replace(
        self, domain: str, addresses: Mapping[str, Sequence[str]], aliases: Mapping[str, str] | None = None
    ) -> None:
        """Knows these names from now on, and of all others below `domain` that they do not exist.

        Raises `ValueError` for what is no IPv4 address. A name that nobody can ask for is left out.
        """
        packed = {
            name: tuple(IPv4Address(address).packed for address in found)
            for text, found in addresses.items()
            if (name := wire_name(text))
        }
        named = {wire_name(text): wire_name(other) for text, other in (aliases or {}).items()}
        self._aliases = {name: other for name, other in named.items() if name and other}
        self._addresses, self._domain = packed, wire_name(domain)

    def answer(self, query: bytes, most_bytes: int = DATAGRAM_BYTES) -> bytes | None:
        """The answer of at most so many bytes; None where others are to be asked.

        Names have IPv4 addresses only: asked for anything else of a known name the answer is that there is none. The
        addresses begin with another one from query to query.
        """
        asked = read_question(query)
        if asked is None or asked.name in self._aliases:
            return None
        addresses = self._addresses.get(asked.name)
        if addresses is None:
            return _reply(query, asked, (), code=_NO_SUCH_NAME) if self._is_ours(asked.name) else None
        if asked.kind not in (_IPV4, _ANY_KIND):
            return _reply(query, asked, ())
        first = int.from_bytes(query[:2], "big") % max(1, len(addresses))
        turned = addresses[first:] + addresses[:first]
        records = [_record(_IPV4, _TIME_TO_LIVE_SECONDS, address) for address in turned]
        return _reply(query, asked, records, most_bytes=most_bytes)

    def query_for(self, query: bytes) -> bytes:
        """The query to ask of others: for an alias it has the name that it stands for."""
        asked = read_question(query)
        other = self._aliases.get(asked.name) if asked else None
        if asked is None or other is None:
            return query
        return query[: _HEADER.size] + other + query[asked.end - _QUESTION_TAIL.size :]

    def _is_ours(self, name: bytes) -> bool:
        return bool(self._domain) and name.endswith(self._domain)


def restated(query: bytes, answer: bytes, most_bytes: int = DATAGRAM_BYTES) -> bytes | None:
    """The answer to a query for an alias: the addresses in the answer for the name that it stands for.

    None where either cannot be read.
    """
    asked, answered = read_question(query), _question_of(answer)
    if asked is None or answered is None:
        return None
    records = list(_addresses_in(answer, answered.end, asked.kind))
    return _reply(query, asked, records, code=answer[3] & _CODE, most_bytes=most_bytes)


def wire_name(text: str) -> bytes:
    """A name as questions carry it; empty for one that they cannot carry."""
    if not text.isascii():
        return b""
    labels = text.removesuffix(".").lower().encode().split(b".")
    if not all(0 < len(label) <= _LONGEST_LABEL for label in labels):
        return b""
    name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return name if len(name) <= _LONGEST_NAME else b""


def read_question(query: bytes) -> Question | None:
    """The one question of an ordinary query; None for every other message."""
    if len(query) < _HEADER.size or query[2] & _NO_PLAIN_QUERY:
        return None
    return _question_of(query)


def _question_of(message: bytes) -> Question | None:
    if len(message) < _HEADER.size or message[4:6] != b"\0\1":
        return None
    end_of_name = _end_of_name(message, _HEADER.size)
    if end_of_name is None or end_of_name + _QUESTION_TAIL.size > len(message):
        return None
    name = message[_HEADER.size : end_of_name].lower()
    kind, network = _QUESTION_TAIL.unpack_from(message, end_of_name)
    if network not in (_INTERNET, _ANY_NETWORK) or len(name) > _LONGEST_NAME:
        return None
    return Question(name, kind, end_of_name + _QUESTION_TAIL.size)


def _end_of_name(message: bytes, place: int) -> int | None:
    """Where a name ends that begins at a place, be it by a pointer to the rest; None for one that is cut off."""
    while place < len(message):
        length = message[place]
        if length & _POINTER:
            return place + 2
        place += length + 1
        if length == 0:
            return place
    return None


def _addresses_in(answer: bytes, place: int, kind: int) -> Iterator[bytes]:
    """The addresses among an answer's records, as records of the name in question; ends where it is cut off."""
    for _ in range(int.from_bytes(answer[6:8], "big")):
        end_of_name = _end_of_name(answer, place)
        if end_of_name is None or end_of_name + _RECORD_TAIL.size > len(answer):
            return
        found, _, time_to_live, size = _RECORD_TAIL.unpack_from(answer, end_of_name)
        begin = end_of_name + _RECORD_TAIL.size
        place = begin + size
        content = answer[begin:place]
        if found == kind and len(content) == _ADDRESS_BYTES.get(kind):
            yield _record(kind, time_to_live, content)


def _reply(
    query: bytes, asked: Question, records: Sequence[bytes], *, code: int = 0, most_bytes: int = DATAGRAM_BYTES
) -> bytes:
    """An answer with as many of the records, which are equally long, as there is room for."""
    room = (most_bytes - asked.end) // max(map(len, records), default=1)
    flags = _ANSWER | _WITH_AUTHORITY | query[2] & _RECURSION_DESIRED
    if len(records) > room:
        flags |= _TRUNCATED
    number = int.from_bytes(query[:2], "big")
    header = _HEADER.pack(number, flags, _RECURSION_AVAILABLE | code, 1, min(len(records), room), 0, 0)
    return header + query[_HEADER.size : asked.end] + b"".join(records[:room])


def _record(kind: int, time_to_live: int, content: bytes) -> bytes:
    return _POINTER_TO_QUESTION + _RECORD_TAIL.pack(kind, _INTERNET, time_to_live, len(content)) + content
