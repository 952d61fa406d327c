"""Where adapters find the hosts that they ask: those of the mesh at their workloads, all others as the system does."""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from lateen.adapters.surroundings import Locate


class MeshResolver(AbstractResolver):
    """Finds hosts of the mesh where they run: this process has no proxy that would do it."""

    def __init__(self, locate: Locate) -> None:
        self._locate = locate
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return where to connect."""
        found = self._locate(host, port)
        if found is None:
            return await self._system.resolve(host, port, family)
        address, number = found
        return [
            ResolveResult(hostname=host, host=address, port=number, family=family, proto=0, flags=socket.AI_NUMERICHOST)
        ]

    async def close(self) -> None:
        """Let go of the system's resolver."""
        await self._system.close()
