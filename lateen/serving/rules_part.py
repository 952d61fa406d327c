"""The part of the Mixer process that works by rules: Envoys ask it about calls, and tell it about them."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

from aiohttp import web

from lateen.api.config_set import ConfigSet
from lateen.mixer import rules
from lateen.mixer.directory import Directory
from lateen.mixer.ready import ReadyRules, make_ready
from lateen.mixer.rules import RuleSet
from lateen.mixer.told import only_told
from lateen.mixer.values import Bag
from lateen.model.service import Service
from lateen.model.snapshot import EMPTY, Snapshot
from lateen.serving.access_log_service import access_log_service
from lateen.serving.checks import Decides, check_service
from lateen.serving.grpc_services import GrpcService
from lateen.telemetry import exposition
from lateen.telemetry.exposition import Family
from lateen.telemetry.instruments import Counter, Instrument, Registry


class Handlers(Protocol):
    """All handlers of the mesh; `faults` says of each that cannot be made why."""

    @property
    def faults(self) -> Mapping[str, str]: ...
    def families(self) -> Iterable[Family]: ...
    def take(self, rules: RuleSet, config: ConfigSet, *, fails_open: bool) -> None: ...
    async def close(self) -> None: ...


class Checker(Decides, Protocol):
    """Decides about calls by rules."""

    @property
    def instruments(self) -> Iterable[Instrument]: ...
    def take(self, rules: RuleSet, ready_rules: ReadyRules, directory: Directory) -> None: ...


class Reporter(Protocol):
    """Tells handlers what happened, by rules."""

    @property
    def instruments(self) -> Iterable[Instrument]: ...
    def take(self, rules: RuleSet, ready_rules: ReadyRules, directory: Directory) -> None: ...
    def tell(self, calls: Iterable[Bag]) -> None: ...
    async def close(self) -> None: ...


class RulesPart:
    """Resolves the rules of each state of the mesh, and has calls checked and reported by them."""

    def __init__(self, handlers: Handlers, checker: Checker, reporter: Reporter, failures: Counter) -> None:
        """`failures` counts, by handler, the questions that were not answered."""
        self.snapshot = EMPTY
        self._handlers = handlers
        self._checker = checker
        self._registry = Registry()
        self._reporter = reporter
        self._registry.add(*checker.instruments, *reporter.instruments, failures)

    @property
    def directory(self) -> Directory:
        """Who is who in the mesh."""
        return self._checker.directory

    @property
    def services_by_host(self) -> Mapping[str, Service]:
        """The services of the mesh."""
        return self.snapshot.services

    def services(self) -> Iterable[GrpcService]:
        """Serve Envoy's external authorization, and its access logs."""
        return (check_service(self._checker), access_log_service(self))

    def tell(self, calls: Iterable[Bag]) -> None:
        """Take calls that are over."""
        self._reporter.tell(calls)

    def routes(self) -> Iterable[web.RouteDef]:
        """Tell which handlers cannot be used, and why."""

        async def faults(_: web.Request) -> web.Response:
            return web.json_response(dict(self._handlers.faults))

        return (web.get("/handlers/faults", faults),)

    def take(self, snapshot: Snapshot) -> None:
        """Decide by this state from now on."""
        self.snapshot = snapshot
        resolved = rules.resolve(snapshot.config, snapshot.mesh.root_namespace)
        directory = Directory(snapshot.workloads, snapshot.services.values(), snapshot.mesh.trust_domain)
        self._handlers.take(resolved, snapshot.config, fails_open=snapshot.mesh.policy_check_fail_open)
        self._checker.take(resolved, make_ready(resolved), directory)
        told = only_told(resolved)
        self._reporter.take(told, make_ready(told), directory)

    async def run(self) -> None:
        """Close all handlers at the end."""
        try:
            await asyncio.Event().wait()
        finally:
            await self._reporter.close()
            await self._handlers.close()

    def metrics(self) -> Iterable[str]:
        """Tell what checks and reports came to, and the metrics that handlers keep."""
        return exposition.write((*self._registry.families(), *self._handlers.families())).splitlines()
