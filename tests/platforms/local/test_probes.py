"""Probes against real servers on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
import pytest
from aiohttp import web

from lateen.api.core.container import Container
from lateen.api.core.probe import GrpcHealth, HttpGet
from lateen.platforms.local import probing
from lateen.platforms.local.health import Health, ProbeKind
from lateen.platforms.local.probes import Prober, asks_of, health_at_start

SOURCE = "127.0.0.9"
HOST = "127.0.0.1"


@pytest.fixture
async def prober() -> AsyncIterator[Prober]:
    opened = Prober(SOURCE)
    yield opened
    await opened.close()


@contextlib.asynccontextmanager
async def http_server(answer: Callable[[web.Request], web.Response]) -> AsyncIterator[int]:
    async def answering(request: web.BaseRequest) -> web.Response:
        return answer(request)  # type: ignore[arg-type]

    runner = web.ServerRunner(web.Server(answering))
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "good"), [(200, True), (204, True), (302, True), (399, True), (400, False), (503, False)]
)
async def test_http_is_good_from_200_to_399(prober: Prober, status: int, good: bool) -> None:
    async with http_server(lambda request: web.Response(status=status)) as port:
        assert await prober.http(HttpGet(port=port), HOST, {}) is good


async def test_http_asks_as_it_is_told_from_the_probes_address(prober: Prober) -> None:
    seen: list[tuple[object, ...]] = []

    def answer(request: web.Request) -> web.Response:
        seen.append((request.path_qs, request.headers["x-from"], request.headers["host"], request.remote))
        return web.Response()

    get = {
        "path": "/live?a=b",
        "port": "http",
        "httpHeaders": [{"name": "X-From", "value": "p"}, {"name": "Host", "value": "h"}],
    }
    async with http_server(answer) as port:
        assert await prober.http(HttpGet.model_validate(get), HOST, {"http": port})
    assert seen == [("/live?a=b", "p", "h", SOURCE)]


async def test_nobody_listens(prober: Prober) -> None:
    async with http_server(lambda request: web.Response()) as port:
        assert await prober.tcp(HOST, port)
    assert not await prober.tcp(HOST, port)
    assert not await prober.http(HttpGet(port=port), HOST, {})
    assert not await prober.grpc(GrpcHealth(port=port), HOST)


async def test_grpc_is_good_when_the_named_service_serves(prober: Prober) -> None:
    peers: list[str] = []

    def check(request: bytes, context: grpc.ServicerContext) -> bytes:
        peers.append(context.peer())
        return b"\x08\x01" if request == b"\x0a\x02db" else b"\x08\x02"

    async def check_later(request: bytes, context: grpc.ServicerContext) -> bytes:
        return check(request, context)

    handler: Any = grpc.unary_unary_rpc_method_handler(check_later)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})])
    port = server.add_insecure_port(f"{HOST}:0")
    await server.start()
    try:
        assert await prober.grpc(GrpcHealth(port=port, service="db"), HOST)
        assert not await prober.grpc(GrpcHealth(port=port, service="web"), HOST)
        assert all(SOURCE in peer for peer in peers)
    finally:
        await server.stop(None)


async def follow(prober: Prober, container: dict[str, Any], codes: Sequence[int] = ()) -> tuple[Health, list[Health]]:
    """Watch a container until nothing is left to ask or it must die; exec probes end with the given codes in turn."""
    found = Container.model_validate({"name": "app", "command": ["x"], **container})
    exits = iter(codes)

    async def run(command: Sequence[str]) -> int:
        await asyncio.sleep(0)
        return next(exits)

    health = health_at_start(found, asyncio.get_running_loop().time())
    turns: list[Health] = []
    with contextlib.suppress(TimeoutError, StopIteration, RuntimeError):
        async with asyncio.timeout(4):
            await probing.watch(health, asks_of(found, HOST, {}, prober, run), turns.append)
    return health, turns


async def test_a_container_with_a_port_and_no_probe_is_ready_when_the_port_answers(prober: Prober) -> None:
    async with http_server(lambda request: web.Response()) as port:
        health, turns = await follow(prober, {"ports": [{"containerPort": port}]})
    assert (health.ready, [turn.ready for turn in turns]) == (False, [True])


async def test_or_after_two_seconds_when_it_never_does(prober: Prober) -> None:
    async with http_server(lambda request: web.Response()) as port:
        pass
    begin = asyncio.get_running_loop().time()
    _, turns = await follow(prober, {"ports": [{"containerPort": port}]})
    assert [turn.ready for turn in turns] == [True]
    assert 2 <= asyncio.get_running_loop().time() - begin < 3


async def test_a_failing_liveness_command_is_deadly(prober: Prober) -> None:
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 1, "failureThreshold": 1}
    _, turns = await follow(prober, {"livenessProbe": probe}, codes=(0, 1))
    assert [turn.deadly for turn in turns] == [ProbeKind.LIVENESS]
