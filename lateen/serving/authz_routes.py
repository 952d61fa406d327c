"""The part of the API that says who may call whom, and which rule a proxy's log speaks of.

What decides it here is loaded when it is asked for first: a mesh starts without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiohttp import web

from lateen.api.decode import DEFAULT_NAMESPACE
from lateen.errors import ProtocolError
from lateen.model.snapshot import Snapshot
from lateen.serving import requests
from lateen.serving.requests import Refusal

if TYPE_CHECKING:
    from lateen.plan.access_check import Question

_TEXTS: Final = ("namespace", "method", "path", "host", "source_ip")


class Mesh(Protocol):
    """Knows the mesh at its newest version: the control loop."""

    @property
    def snapshot(self) -> Snapshot:
        """The mesh as it is now."""
        ...


@dataclass(frozen=True, slots=True)
class AuthzRoutes:
    """What is asked and told about access."""

    mesh: Mesh

    def table(self) -> Sequence[web.RouteDef]:
        """List the routes."""
        return (web.post("/v1/authz/check", self._check), web.post("/v1/authz/explain", self._explain))

    async def _check(self, request: web.Request) -> web.Response:
        from lateen.plan import access_check

        question = question_of(await requests.body_of(request))
        return web.json_response(asdict(access_check.check(self.mesh.snapshot, question)))

    async def _explain(self, request: web.Request) -> web.Response:
        """Tell where the rule stands that a log names, or where those stand of which none let a call pass."""
        from lateen.plan import access_check

        body, snapshot = await requests.body_of(request), self.mesh.snapshot
        place = access_check.explain(snapshot, requests.text(body, "details"))
        policies = []
        if place is None and body.get("workload"):
            name = requests.text(body, "workload")
            namespace = requests.text({"namespace": DEFAULT_NAMESPACE, **body}, "namespace")
            found = access_check.find_workloads(snapshot, name, namespace)
            if not found:
                raise Refusal(404, f"there is no workload '{name}' in namespace '{namespace}'")
            policies = [asdict(each) for each in access_check.allowing_policies(snapshot, found[0])]
        return web.json_response({"rule": asdict(place) if place is not None else None, "policies": policies})


def question_of(body: Mapping[str, Any]) -> "Question":
    """Read a question; raises `ProtocolError`."""
    from lateen.plan.access_check import Question

    texts = {name: requests.text(body, name) for name in _TEXTS if body.get(name) is not None}
    port, claims = body.get("port"), body.get("claims")
    if port is not None and not (isinstance(port, int) and 0 < port < 65536):
        raise ProtocolError(f"port is {port!r}; it must be a port number")
    if claims is not None and not isinstance(claims, dict):
        raise ProtocolError("claims must be a JSON object")
    return Question(
        requests.text(body, "caller"),
        requests.text(body, "callee"),
        port=port,
        headers=_headers(body.get("headers") or {}),
        claims=claims,
        **texts,
    )


def _headers(written: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(written, dict):
        raise ProtocolError("headers must be a JSON object of lists of texts")
    found = {}
    for name, values in written.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ProtocolError(f"header {name} must have a list of texts")
        found[name.lower()] = tuple(values)
    return found
