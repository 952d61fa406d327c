"""The API of a running mesh: JSON over HTTP on a unix socket, for the command line and whoever else the user lets in.

Paths begin with `/v1/`. Bad answers are `{"error": {"message": …, "details": [lines]}}` with status 400 or 422 (bad
input), 404 (not there), 409 (ambiguous), 503 (something needed does not answer). `/healthz`, `/readyz` and `/metrics`
are for machines.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from lateen.api import kinds
from lateen.api.decode import DEFAULT_NAMESPACE
from lateen.api.networking.workload_entry import WorkloadEntry
from lateen.api.objects import ConfigObject, ObjectKey
from lateen.api.structs import Struct
from lateen.api.violations import Severity, Violation
from lateen.errors import ConfigRejected, LateenError, NotPermitted, ProtocolError, Unavailable
from lateen.manager.liveness import Liveness
from lateen.manager.pushes import ProxyStatus
from lateen.manager.store import SCALABLE, Edit, Outcome, Store
from lateen.plan.types import Diagnostic
from lateen.serving import answers, envoy_admin, requests
from lateen.serving.authz_routes import AuthzRoutes
from lateen.serving.ca_routes import CaRoutes
from lateen.serving.door_tls import DoorTls, only_owner
from lateen.serving.explain_routes import ExplainRoutes
from lateen.serving.mixer_routes import MixerRoutes
from lateen.serving.ports import Loop, MeshFacts, Origins, Proxies, WorkloadRow, Workloads
from lateen.serving.requests import Refusal
from lateen.serving.telemetry_routes import TelemetryRoutes
from lateen.telemetry import exposition
from lateen.telemetry.instruments import Registry

_log = logging.getLogger(__name__)
Doubts = Mapping[ObjectKey, Sequence[Diagnostic]]

_LARGEST_BODY_BYTES: Final = 64 * 1024 * 1024
_ALL: Final = "all"
_STATUSES: Final[tuple[tuple[type[LateenError], int], ...]] = (
    (ConfigRejected, 422),
    (ProtocolError, 400),
    (NotPermitted, 403),
    (Unavailable, 503),
)


@dataclass(frozen=True, slots=True)
class Api:
    """Everything that requests are answered from.

    `look_at_files` takes in what was edited and not noticed yet. `now` is in seconds since the epoch; `is_ready` once
    all is read.
    """

    facts: MeshFacts
    store: Store
    loop: Loop
    liveness: Liveness
    workloads: Workloads
    proxies: Proxies
    origins: Origins
    look_at_files: Callable[[], None] = lambda: None
    is_ready: Callable[[], bool] = lambda: True
    now: Callable[[], float] = time.time
    ca: CaRoutes | None = None
    authz: AuthzRoutes | None = None
    explain: ExplainRoutes | None = None
    telemetry: TelemetryRoutes | None = None
    mixer: MixerRoutes | None = None
    measured: Registry = field(default_factory=Registry)

    def application(self) -> web.Application:
        """Return the table of what can be asked."""
        app = web.Application(middlewares=[_errors_as_json], client_max_size=_LARGEST_BODY_BYTES)
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
                web.get("/v1/mesh", self._mesh),
                web.get("/v1/workloads", self._list_workloads),
                web.get("/v1/find", self._find),
                web.get("/v1/objects", self._list_objects),
                web.post("/v1/apply", self._apply),
                web.post("/v1/delete", self._delete),
                web.post("/v1/scale", self._scale),
                web.get("/v1/wait", self._wait),
                web.get("/v1/proxies", self._list_proxies),
                web.get("/v1/envoy/{page}", self._envoy),
                web.get("/v1/ports", self._ports),
                web.get("/v1/notices", self._notices),
                web.get("/v1/violations", self._violations),
                web.get("/v1/analysis", self._analysis),
                web.get("/v1/words/{what}", self._words),
            ]
        )
        if self.ca is not None:
            app.add_routes(self.ca.table())
        if self.authz is not None:
            app.add_routes(self.authz.table())
        if self.explain is not None:
            app.add_routes(self.explain.table())
        if self.telemetry is not None:
            app.add_routes(self.telemetry.table())
        if self.mixer is not None:
            app.add_routes(self.mixer.table())
        return app

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        is_ready = self.is_ready()
        return web.Response(text="ok\n" if is_ready else "starting\n", status=200 if is_ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        told = exposition.write(self.measured.families()).encode()
        return web.Response(body=told, headers={"content-type": exposition.CONTENT_TYPE})

    async def _mesh(self, _: web.Request) -> web.Response:
        facts = asdict(self.facts)
        uptime = self.now() - facts["started_at"]
        ready = self.is_ready()
        return web.json_response(
            {**facts, "generation": self.loop.generation, "uptime_seconds": uptime, "is_ready": ready}
        )

    async def _list_workloads(self, request: web.Request) -> web.Response:
        namespace = request.query.get("namespace")
        rows = [row for row in self.workloads.workload_rows() if namespace in (None, row.namespace)]
        return web.json_response({"workloads": self._workloads_json(rows)})

    async def _find(self, request: web.Request) -> web.Response:
        rows = self._found(requests.needed(request, "reference"), request.query.get("namespace", ""))
        return web.json_response({"workloads": self._workloads_json(rows)})

    async def _list_objects(self, request: web.Request) -> web.Response:
        word, name = requests.needed(request, "kind"), request.query.get("name")
        row = None if word == _ALL else requests.kind_of(word)
        namespace = request.query.get("namespace") if row is None or row.namespaced else None
        doubts = _by_object(await self.loop.findings())
        found = [
            answers.config_object(
                status, self.loop.changed_at.get(status.object.key, 0), _warnings(status.object, doubts)
            )
            for status in self.store.statuses()
            if (row is None or (row.group, row.kind) == (status.object.key.group, status.object.key.kind))
            and namespace in (None, status.object.namespace or namespace)
            and name in (None, status.object.name)
        ]
        if row is not None and row.spec is WorkloadEntry:
            found += [
                answers.registered_entry(entry, self.loop.changed_at.get(entry.group, 0))
                for entry in self.loop.entries()
                if namespace in (None, entry.object.namespace) and name in (None, entry.object.name)
            ]
        if name is not None and not found:
            raise Refusal(404, f"{word} '{name}' does not exist{_in(namespace)}")
        return web.json_response({"objects": found})

    async def _apply(self, request: web.Request) -> web.Response:
        return await self._submitted(self.store.apply(requests.documents(await requests.body_of(request))))

    async def _delete(self, request: web.Request) -> web.Response:
        body = await requests.body_of(request)
        if "objects" in body:
            keys = [
                requests.key_of(requests.text(each, "kind"), requests.text(each, "name"), each.get("namespace"))
                for each in body["objects"]
            ]
        else:
            decoded = requests.documents(body)
            if decoded.errors:
                raise ConfigRejected("not deleted: the files are not valid", decoded.errors)
            keys = [item.key for item in decoded.objects]
        return await self._submitted(self._with_reasons(self.store.delete(keys)))

    def _with_reasons(self, edit: Edit) -> Edit:
        """Add why WorkloadEntries that stand for members of groups cannot be deleted."""
        groups = {entry.object.key: entry.group for entry in self.loop.entries()}
        told = "stands for a member of {}: it goes with the member's proxy, or with the group"
        outcomes = (
            replace(one, note=told.format(groups[one.key])) if one.key in groups and not one.note else one
            for one in edit.outcomes
        )
        return replace(edit, outcomes=tuple(outcomes))

    async def _scale(self, request: web.Request) -> web.Response:
        body = await requests.body_of(request)
        replicas = body.get("replicas")
        if not isinstance(replicas, int) or replicas < 0:
            raise ProtocolError(f"replicas is {replicas!r}; it must be a whole number, 0 or more")
        words = (body["kind"],) if body.get("kind") else SCALABLE
        keys = [requests.key_of(word, requests.text(body, "name"), body.get("namespace")) for word in words]
        key = next((key for key in keys if self.store.get(key) is not None), keys[0])
        return await self._submitted(self.store.scale(key, replicas))

    async def _wait(self, request: web.Request) -> web.Response:
        """Wait for an object, or for all that has been accepted where none is named."""
        seconds = requests.seconds(request.query.get("timeout", "30"))
        if "kind" not in request.query:
            self.look_at_files()
            return web.json_response(answers.verdict(None, await self.liveness.wait_for_all(seconds), self._statuses()))
        key = requests.key_of(
            requests.needed(request, "kind"), requests.needed(request, "name"), request.query.get("namespace")
        )
        if self.store.get(key) is None:
            raise Refusal(404, f"{key} does not exist")
        self.look_at_files()
        verdict = await self.liveness.wait(key, seconds)
        return web.json_response(answers.verdict(key, verdict, self._statuses()))

    async def _list_proxies(self, request: web.Request) -> web.Response:
        rows = {f"{row.name}.{row.namespace}": row for row in self.workloads.workload_rows()}
        statuses = self.proxies.statuses()
        if (reference := request.query.get("workload")) is not None:
            found = self._found(reference, request.query.get("namespace", ""))
            meant = {f"{row.name}.{row.namespace}" for row in found}
            statuses = [status for status in statuses if str(status.proxy) in meant]
        told = [answers.proxy(status, rows.get(str(status.proxy)), self.origins) for status in statuses]
        return web.json_response({"proxies": told})

    async def _envoy(self, request: web.Request) -> web.Response:
        page = request.match_info["page"]
        if page not in envoy_admin.PAGES:
            raise Refusal(404, f"there is no page {page}; there are {', '.join(envoy_admin.PAGES)}")
        row = self._found(requests.needed(request, "reference"), request.query.get("namespace", ""))[0]
        if not row.admin_socket:
            raise Refusal(404, f"{row.name}.{row.namespace} has no proxy")
        content = await envoy_admin.read(row.admin_socket, page)
        return web.Response(body=content, content_type="application/json")

    async def _ports(self, _: web.Request) -> web.Response:
        return web.json_response({"ports": [asdict(row) for row in self.workloads.published()]})

    async def _notices(self, _: web.Request) -> web.Response:
        return web.json_response({"notices": [asdict(row) for row in self.workloads.notices()]})

    async def _violations(self, _: web.Request) -> web.Response:
        return web.json_response({"violations": [answers.violation(each) for each in self.store.violations()]})

    async def _words(self, request: web.Request) -> web.Response:
        what, namespace = request.match_info["what"], request.query.get("namespace")
        if what == "kinds":
            return web.json_response({"words": answers.kind_words()})
        if what == "workloads":
            return web.json_response({"words": self._workload_words(namespace)})
        row = kinds.of_word(request.query.get("kind", ""))
        keys = [status.object.key for status in self.store.statuses()]
        keys += [entry.object.key for entry in self.loop.entries()]
        names = {key.name for key in keys if row is not None and (key.group, key.kind) == (row.group, row.kind)}
        return web.json_response({"words": sorted(names)})

    def _workload_words(self, namespace: str | None) -> list[str]:
        rows = [row for row in self.workloads.workload_rows() if row.namespace == (namespace or DEFAULT_NAMESPACE)]
        deployments = {
            row.owner.replace("Deployment/", "deploy/") for row in rows if row.owner.startswith("Deployment/")
        }
        return [*sorted(deployments), *sorted(row.name for row in rows)]

    async def _submitted(self, edit: Edit) -> web.Response:
        before = self.loop.moment()
        generation = self.loop.submit(edit.changes)
        after, known = await self.loop.findings(generation), set(await self.loop.findings_at(before))
        doubts = _by_object(after)
        warned = [self._with_doubts(outcome, doubts) for outcome in edit.outcomes]
        edited = {outcome.key for outcome in edit.outcomes}
        news = _by_object(one for one in after if one not in known and one.origin.key not in edited)
        others = (self.store.get(key) for key in news)
        consequences = [violation for item in others if item is not None for violation in _warnings(item, news)]
        return web.json_response(answers.outcomes(warned, generation, consequences))

    async def _analysis(self, _: web.Request) -> web.Response:
        """Tell all that is wrong with the files and doubtful in the mesh."""
        from lateen.plan.analysis import findings, reports

        objects = {status.object.key: status.object for status in self.store.statuses()}
        doubts = reports.of_diagnostics(await self.loop.findings(), objects)
        found = findings.in_order((*reports.of_violations(self.store.violations()), *doubts))
        return web.json_response({"findings": [asdict(one) for one in found]})

    def _with_doubts(self, outcome: Outcome, doubts: Doubts) -> Outcome:
        """Add to an outcome what is legal but doubtful about its object, as warnings."""
        item = self.store.get(outcome.key) if outcome.key is not None else None
        if item is None:
            return outcome
        return replace(outcome, violations=(*outcome.violations, *_warnings(item, doubts)))

    def _found(self, reference: str, namespace: str) -> list[WorkloadRow]:
        """List what a reference means; of several namespaces the default one is meant, if it is among them."""
        rows = list(self.workloads.find(reference, namespace))
        if not rows:
            raise Refusal(404, f"there is no workload '{reference}'{_in(namespace)}; `lateen ps` lists what there is")
        namespaces = sorted({row.namespace for row in rows})
        if len(namespaces) == 1:
            return rows
        if DEFAULT_NAMESPACE not in namespaces:
            raise Refusal(409, f"'{reference}' is in several namespaces; choose with -n: {', '.join(namespaces)}")
        return [row for row in rows if row.namespace == DEFAULT_NAMESPACE]

    def _workloads_json(self, rows: list[WorkloadRow]) -> list[answers.Json]:
        statuses, now = self._statuses(), self.now()
        return [answers.workload(row, statuses, now) for row in rows]

    def _statuses(self) -> dict[str, ProxyStatus]:
        return {str(status.proxy): status for status in self.proxies.statuses()}


async def serve(api: Api, socket: Path, tls: DoorTls | None = None) -> web.AppRunner:
    """Answer on a unix socket that only this user can open, until the runner's `cleanup()`.

    With `tls` only to the mesh's owner, who has a certificate that says so. Without, as tests do, to everybody.
    """
    socket.unlink(missing_ok=True)  # noqa: ASYNC240 - takes no time
    application = api.application()
    if tls is not None:
        application.middlewares.append(only_owner())
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.UnixSite(runner, socket, ssl_context=tls.context() if tls is not None else None).start()
    socket.chmod(0o600)  # noqa: ASYNC240 - takes no time
    return runner


@web.middleware
async def _errors_as_json(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
        return response
    except LateenError as error:
        details = [str(each) for each in getattr(error, "violations", ())]
        return _error(_status(error), str(error), details)
    except web.HTTPException as error:
        return _error(error.status, f"{request.method} {request.path}: {error.reason.lower()}")
    except asyncio.CancelledError:
        raise
    except Exception:
        _log.exception("%s %s failed", request.method, request.path)
        return _error(500, "the control plane has a defect here; see control-plane.log in its run directory")


def _status(error: LateenError) -> int:
    if isinstance(error, Refusal):
        return error.status
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def _error(status: int, message: str, details: list[str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "details": details or []}}, status=status)


def _by_object(found: Iterable[Diagnostic]) -> Doubts:
    by_object: dict[ObjectKey, list[Diagnostic]] = {}
    for one in found:
        by_object.setdefault(one.origin.key, []).append(one)
    return by_object


def _warnings(item: ConfigObject[Struct], doubts: Doubts) -> tuple[Violation, ...]:
    """Say what is legal but doubtful about an object as warnings, without what its annotation suppresses."""
    from lateen.plan.analysis import findings

    suppressed = item.metadata.annotations.get(findings.SUPPRESS, "")
    return tuple(
        Violation(doubt.origin.path, doubt.message, _severity(doubt), item.source, str(item.key), doubt.code)
        for doubt in doubts.get(item.key, ())
        if not findings.is_suppressed(suppressed, doubt.code)
    )


def _severity(doubt: Diagnostic) -> Severity:
    from lateen.plan.analysis import codes, findings

    return Severity.INFO if codes.of(doubt.code).level is findings.Level.INFO else Severity.WARNING


def _in(namespace: str | None) -> str:
    return f" in namespace '{namespace}'" if namespace else ""
