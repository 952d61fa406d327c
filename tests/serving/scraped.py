"""Workloads to scrape: a proxy's admin interface on a unix socket, an application at a port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from aiohttp import web

PROXY_TEXT = """# TYPE envoy_istio_requests_total counter
envoy_istio_requests_total{reporter="source"} 3
"""
APPLICATION_TEXT = "# TYPE books gauge\nbooks 7\n"

Answer = Callable[[web.Request], web.Response]


def told(text: str, status: int = 200) -> Answer:
    """An answer that is always the same."""
    return lambda _: web.Response(text=text, status=status)


@contextlib.asynccontextmanager
async def proxy(socket: Path, answer: Answer | None = None) -> AsyncIterator[str]:
    """A proxy's admin interface; without an answer it takes connections and says nothing. Gives the socket's path."""
    async with _served(answer) as runner:
        await web.UnixSite(runner, socket).start()
        yield str(socket)


@contextlib.asynccontextmanager
async def application(answer: Answer | None = None) -> AsyncIterator[str]:
    """An application; gives the URL of its metrics."""
    async with _served(answer) as runner:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/metrics"


@contextlib.asynccontextmanager
async def _served(answer: Answer | None) -> AsyncIterator[web.AppRunner]:
    ended = asyncio.Event()

    async def any_path(request: web.Request) -> web.Response:
        if answer is None:
            await ended.wait()
            return web.Response()
        return answer(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", any_path)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        yield runner
    finally:
        ended.set()
        await runner.cleanup()
