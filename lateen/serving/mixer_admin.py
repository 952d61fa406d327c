"""What the Mixer process tells the control plane: its numbers, and what it works by. HTTP on a unix socket."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from aiohttp import web

from lateen.serving.mixer_parts import Part

_OWNER_ONLY: Final = 0o600
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


async def serve(parts: Iterable[Part], taken: Callable[[], str], socket: Path) -> web.AppRunner:
    """Answer `/metrics`, `/status` and the parts' own routes until the runner's `cleanup()`.

    `taken` gives the fingerprint of the state of the mesh that all parts work by.
    """
    parts = tuple(parts)

    async def metrics(_: web.Request) -> web.Response:
        lines = (line for part in parts for line in part.metrics())
        return web.Response(text="\n".join(lines) + "\n", headers={"Content-Type": _TEXT})

    async def status(_: web.Request) -> web.Response:
        return web.json_response({"taken": taken()})

    application = web.Application()
    application.add_routes([web.get("/metrics", metrics), web.get("/status", status)])
    for part in parts:
        application.add_routes(part.routes())
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    socket.unlink(missing_ok=True)  # noqa: ASYNC240 - takes no time
    await web.UnixSite(runner, str(socket)).start()
    socket.chmod(_OWNER_ONLY)  # noqa: ASYNC240 - takes no time
    return runner
