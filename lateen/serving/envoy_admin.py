"""Asks an Envoy about itself: the admin interface over its unix socket."""

from typing import Final

import aiohttp

from lateen.errors import Unavailable

PAGES: Final = {
    "config_dump": "/config_dump?include_eds",
    "clusters": "/clusters?format=json",
    "listeners": "/listeners?format=json",
}
"""The pages that may be read, by name; nothing of the admin interface that changes a proxy is among them."""

_TIMEOUT: Final = aiohttp.ClientTimeout(total=20, connect=3)


async def read(socket: str, page: str) -> bytes:
    """Return the JSON of a page. Raises `Unavailable` when the Envoy does not answer."""
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket), timeout=_TIMEOUT) as session,
            session.get(f"http://envoy{PAGES[page]}") as answer,
        ):
            answer.raise_for_status()
            return await answer.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unavailable(
            f"the Envoy at {socket} does not answer ({error or 'timeout'}); is its workload up?"
        ) from None
