"""The plans that an explanation reads: made once for all proxies of a class, or taken from whoever has made them."""

from collections.abc import Callable

from lateen.api.networking.gateway import Gateway
from lateen.model import proxy as proxies
from lateen.model.proxy import Proxy, Role
from lateen.model.snapshot import Snapshot
from lateen.model.view import ClassKey, ProxyView
from lateen.model.views import Views
from lateen.model.workload import Workload
from lateen.plan import guard, inbound, manners
from lateen.plan.cache import PlanCache
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory
from lateen.plan.planner import build_plan
from lateen.plan.types import ProxyPlan

Known = Callable[[ClassKey], ProxyPlan | None]
"""Gives the plan of a class that was made before, if it was."""


class Plans:
    """The views and plans of one snapshot's proxies."""

    def __init__(self, snapshot: Snapshot, known: Known = lambda _: None, cache: PlanCache | None = None) -> None:
        self.snapshot = snapshot
        self._views = Views(snapshot)
        self._selectors = [item.spec.selector.items() for item in snapshot.config.of(Gateway)]
        self._known = known
        self._cache = PlanCache() if cache is None else cache
        self._made: dict[ClassKey, ProxyPlan] = {}
        self._servers: dict[ClassKey, ProxyPlan] = {}

    def is_gateway(self, workload: Workload) -> bool:
        """Tell whether any Gateway selects a workload."""
        return any(selector <= workload.labels.items() for selector in self._selectors)

    def view(self, workload: Workload) -> ProxyView:
        """Return what the proxy of a workload sees."""
        return self._views.view_for(self.place(workload))

    def place(self, workload: Workload) -> ClassKey:
        """Return the class of a workload's proxy."""
        return self._views.class_of(self._proxy(workload))

    def plan(self, workload: Workload) -> ProxyPlan:
        """Return what the proxy of a workload does."""
        place = self.place(workload)
        if place not in self._made:
            self._made[place] = self._known(place) or build_plan(self._views.view_for(place), self._cache)
        return self._made[place]

    def server_plan(self, workload: Workload) -> ProxyPlan:
        """Return what a proxy does with calls to its workload: the plan, possibly without anything outbound."""
        place = self.place(workload)
        if place.role is Role.GATEWAY or place in self._made or self._known(place) is not None:
            return self.plan(workload)
        if place not in self._servers:
            self._servers[place] = _server_plan(self._views.view_for(place), self._cache)
        return self._servers[place]

    def _proxy(self, workload: Workload) -> Proxy:
        return proxies.of_workload(workload, Role.GATEWAY if self.is_gateway(workload) else Role.SIDECAR)


def _server_plan(view: ProxyView, cache: PlanCache) -> ProxyPlan:
    """Make only what concerns calls to the workload, which takes a small part of the time."""
    directory, notes = Directory(view, cache), Notes()
    into = inbound.inbound(directory)
    return ProxyPlan(
        role=view.role,
        clusters=into.clusters,
        route_tables=(),
        inbound=into.ports,
        inbound_fallback=inbound.FALLBACK,
        inbound_mode=view.peers.mode,
        guards=guard.guards(directory, notes),
        manner=manners.manner(directory),
    )
