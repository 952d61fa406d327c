"""The part of the API that explains: what becomes of a request, why one failed, and what concerns a service.

What explains is loaded when it is asked for first: a mesh starts without it.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from lateen.api.decode import DEFAULT_NAMESPACE
from lateen.errors import ProtocolError
from lateen.model.snapshot import Snapshot
from lateen.model.view import ClassKey
from lateen.plan.cache import PlanCache
from lateen.plan.types import ProxyPlan
from lateen.serving import requests

if TYPE_CHECKING:
    from lateen.plan.explain.plans import Plans
    from lateen.plan.explain.questions import Question


class Mesh(Protocol):
    """Knows the mesh at its newest version, and the plans of the proxies that are connected: the control loop."""

    @property
    def snapshot(self) -> Snapshot:
        """The mesh as it is now."""
        ...

    def known_plan(self, key: ClassKey) -> ProxyPlan | None:
        """Return the plan of a class that has proxies."""
        ...


class ExplainRoutes:
    """What is asked and told. Plans are those that the proxies have, others are made once a version of the mesh."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._cache = PlanCache()
        self._plans: Plans | None = None

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.post("/v1/explain", self._explain),
            web.post("/v1/explain/why", self._why),
            web.get("/v1/describe/{what}", self._describe),
        ]

    async def _explain(self, request: web.Request) -> web.Response:
        from lateen.plan.explain import explanation

        question = question_of(await requests.body_of(request))
        return web.json_response(asdict(explanation.explain(self._current(), question)))

    async def _why(self, request: web.Request) -> web.Response:
        """Tell what happened in each of the lines of a proxy's log; what is no record is left out."""
        from lateen.plan.explain import causes, records

        body = await requests.body_of(request)
        workload = requests.text(body, "workload")
        namespace = requests.text({"namespace": DEFAULT_NAMESPACE, **body}, "namespace")
        lines = body.get("lines")
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise ProtocolError("lines must be a list of texts")
        found = [record for line in lines if (record := records.parse(line)) is not None]
        told = [asdict(causes.cause(self._current(), record, workload, namespace)) for record in found]
        return web.json_response({"causes": told})

    async def _describe(self, request: web.Request) -> web.Response:
        from lateen.plan.explain import descriptions

        name, namespace = requests.needed(request, "name"), request.query.get("namespace") or DEFAULT_NAMESPACE
        plans = self._current()
        if request.match_info["what"] == "service":
            return web.json_response(asdict(descriptions.service(plans, name, namespace)))
        if request.match_info["what"] == "workload":
            return web.json_response(asdict(descriptions.workload(plans, name, namespace)))
        raise ProtocolError(
            f"there is nothing to say about a {request.match_info['what']}: ask for service or workload"
        )

    def _current(self) -> "Plans":
        from lateen.manager.beyond import BeyondPlans
        from lateen.plan.explain.plans import Plans

        if self._plans is None or self._plans.snapshot is not self._mesh.snapshot:
            self._plans = Plans(self._mesh.snapshot, self._mesh.known_plan, self._cache, BeyondPlans())
        return self._plans


def question_of(body: Mapping[str, Any]) -> "Question":
    """Read a question; raises `ProtocolError`."""
    from lateen.plan.explain.questions import Question

    names = ("namespace", "method", "host", "server_name", "address", "source_ip")
    texts = {name: requests.text(body, name) for name in names if body.get(name) is not None}
    headers, claims = body.get("headers") or {}, body.get("claims")
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise ProtocolError("headers must be a JSON object of texts")
    if claims is not None and not isinstance(claims, dict):
        raise ProtocolError("claims must be a JSON object")
    return Question(requests.text(body, "caller"), requests.text(body, "url"), headers=headers, claims=claims, **texts)
