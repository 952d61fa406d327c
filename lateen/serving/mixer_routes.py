"""The part of the API that tells where Mixer's rules ended up.

What tells it is loaded when it is asked for first: a mesh starts without it.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING

from aiohttp import web

from lateen.serving.explain_routes import Mesh

if TYPE_CHECKING:
    from lateen.plan.explain.plans import Plans


class MixerRoutes:
    """What can be asked about rules."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.get("/v1/mixer/rules", self._rules),
            web.get("/v1/mixer/rules/{namespace}/{name}", self._rule),
        ]

    async def _rules(self, _: web.Request) -> web.Response:
        from lateen.mixer import explain

        return web.json_response({"rules": [asdict(one) for one in explain.rules(self._plans())]})

    async def _rule(self, request: web.Request) -> web.Response:
        from lateen.mixer import explain

        asked = request.match_info
        return web.json_response(asdict(explain.rule(self._plans(), asked["namespace"], asked["name"])))

    def _plans(self) -> "Plans":
        from lateen.plan.explain.plans import Plans

        return Plans(self._mesh.snapshot)
