"""The routes from service addresses to workloads, put in place in the mesh namespace."""

import asyncio
import shutil
from collections.abc import Sequence

from lateen.platforms.local import namespaces
from lateen.platforms.local.processes import Nursery
from lateen.platforms.local.protocol import Refused, ServiceRoute
from lateen.platforms.local.sandboxes import MeshNamespace
from lateen.platforms.local.service_rules import service_rules


class ServiceRouting:
    """Replaces all routes at once, one replacement after the other. Connections that exist keep their endpoint."""

    def __init__(self, mesh: MeshNamespace, nursery: Nursery) -> None:
        self._mesh = mesh
        self._nursery = nursery
        self._files = mesh.directory / "mesh" / "services"
        self._replacing = asyncio.Lock()
        self._generation = 0

    async def replace(self, routes: Sequence[ServiceRoute]) -> None:
        """Makes these the routes; raises `Refused`, and leaves the earlier ones, where that is not possible."""
        async with self._replacing:
            await self._run(service_rules(routes, self._generation + 1))
            self._generation += 1

    async def _run(self, scripts: Sequence[str]) -> None:
        shutil.rmtree(self._files, ignore_errors=True)
        self._files.mkdir()
        files = [self._files / str(number) for number in range(len(scripts))]
        for file, script in zip(files, scripts, strict=True):
            file.write_text(script)
        argv = namespaces.route_services_argv(self._mesh.holder_pid, files, rootless=self._mesh.rootless)
        child, said = await self._nursery.start_talking(argv, self._mesh.environment())
        if (await child.ended).code != 0:
            reason = said.strip() or "no reason given"
            raise Refused("rules_failed", f"service addresses cannot be led to workloads: {reason}")
