"""The door of the Mixer process, as gRPC's own client finds it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from lateen.api.status_codes import StatusCode
from lateen.serving.grpc_services import GrpcRefusal, GrpcService
from lateen.serving.mixer_door import MOST_WAITING, MixerDoor


class Calls:
    """What the methods of the test service were asked."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.waiting = asyncio.Event()

    def service(self) -> GrpcService:
        return GrpcService(
            "test.Service",
            {
                "Echo": lambda message: message,
                "Later": self.later,
                "Refuse": self.refuse,
                "Break": self.fail,
                "Hang": self.hang,
            },
            {"Join": self.join, "Stuck": self.stuck},
        )

    async def later(self, message: bytes) -> bytes:
        await asyncio.sleep(0)
        if message == b"refuse":
            self.refuse(message)
        if message == b"break":
            self.fail(message)
        return message

    def refuse(self, message: bytes) -> bytes:
        raise GrpcRefusal(StatusCode.RESOURCE_EXHAUSTED, "enough: ä")

    def fail(self, message: bytes) -> bytes:
        raise ZeroDivisionError

    async def hang(self, message: bytes) -> bytes:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()
        return b""

    async def join(self, messages: AsyncIterator[bytes]) -> bytes:
        return b",".join([message async for message in messages])

    async def stuck(self, messages: AsyncIterator[bytes]) -> bytes:
        return await self.hang(b"")


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
async def channel(tmp_path: Path, calls: Calls) -> AsyncIterator[grpc.aio.Channel]:
    door = MixerDoor([calls.service()])
    await door.open(tmp_path / "mixer.sock")
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/mixer.sock") as made:
        yield made
    await door.close()


def unary(channel: grpc.aio.Channel, method: str) -> "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]":
    return channel.unary_unary(f"/test.Service/{method}")


def stream(channel: grpc.aio.Channel, method: str) -> "grpc.aio.StreamUnaryMultiCallable[bytes, bytes]":
    return channel.stream_unary(f"/test.Service/{method}")


async def test_the_socket_is_for_its_owner_only(tmp_path: Path) -> None:
    door = MixerDoor([])
    await door.open(tmp_path / "mixer.sock")
    assert (tmp_path / "mixer.sock").stat().st_mode & 0o777 == 0o600
    await door.close()


@pytest.mark.parametrize("method", ["Echo", "Later"])
@pytest.mark.parametrize("size", [0, 5, 100_000, 3_000_000])
async def test_one_message_gets_one_answer(channel: grpc.aio.Channel, method: str, size: int) -> None:
    call = unary(channel, method)
    assert await call(bytes(size), timeout=5) == bytes(size)


async def test_many_calls_at_once_get_their_own_answers(channel: grpc.aio.Channel) -> None:
    call = unary(channel, "Later")
    messages = [str(number).encode() for number in range(500)]
    assert await asyncio.gather(*(call(message, timeout=5) for message in messages)) == messages


@pytest.mark.parametrize(
    ("method", "message", "code", "details"),
    [
        ("Refuse", b"", grpc.StatusCode.RESOURCE_EXHAUSTED, "enough: ä"),
        ("Later", b"refuse", grpc.StatusCode.RESOURCE_EXHAUSTED, "enough: ä"),
        ("Break", b"", grpc.StatusCode.INTERNAL, "see mixer.log"),
        ("Later", b"break", grpc.StatusCode.INTERNAL, "see mixer.log"),
        ("Unheard", b"", grpc.StatusCode.UNIMPLEMENTED, "/test.Service/Unheard"),
    ],
)
async def test_a_call_that_fails_says_how(
    channel: grpc.aio.Channel, method: str, message: bytes, code: grpc.StatusCode, details: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unary(channel, method)(message, timeout=5)
    assert caught.value.code() == code
    assert details in str(caught.value.details())


async def test_a_call_that_nobody_waits_for_is_stopped(channel: grpc.aio.Channel, calls: Calls) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await unary(channel, "Hang")(b"", timeout=0.1)
    await asyncio.wait_for(calls.cancelled.wait(), 5)


async def test_all_calls_of_a_lost_connection_are_stopped(tmp_path: Path, calls: Calls) -> None:
    door = MixerDoor([calls.service()])
    await door.open(tmp_path / "other.sock")
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/other.sock") as made:
        call = unary(made, "Hang")(b"")
        await asyncio.wait_for(calls.waiting.wait(), 5)
        await door.close()
        await asyncio.wait_for(calls.cancelled.wait(), 5)
        with pytest.raises(grpc.aio.AioRpcError):
            await call


async def test_a_stream_is_read_to_its_end(channel: grpc.aio.Channel) -> None:
    call = stream(channel, "Join")
    assert await call(iter([b"a", b"b", b"c"]), timeout=5) == b"a,b,c"
    assert await call(iter([]), timeout=5) == b""


async def test_a_stream_whose_reader_does_not_keep_up_is_ended(channel: grpc.aio.Channel, calls: Calls) -> None:
    call = stream(channel, "Stuck")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(iter([b"x"] * (MOST_WAITING + 2)), timeout=5)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    await asyncio.wait_for(calls.cancelled.wait(), 5)


async def test_compressed_questions_are_read(channel: grpc.aio.Channel) -> None:
    call = unary(channel, "Echo")
    assert await call(bytes(5000), timeout=5, compression=grpc.Compression.Gzip) == bytes(5000)
