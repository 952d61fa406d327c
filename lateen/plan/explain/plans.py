"""The plans that an explanation reads: made once for all proxies of a class, or taken from whoever has made them."""

from collections.abc import Callable
from typing import Final

from lateen.api.networking.envoy_filter import ApplyTo
from lateen.api.networking.gateway import Gateway
from lateen.model import proxy as proxies
from lateen.model.proxy import Proxy, Role
from lateen.model.snapshot import Snapshot
from lateen.model.view import ClassKey, ProxyView
from lateen.model.views import Views
from lateen.model.workload import Workload
from lateen.plan import guard, inbound, manners, patches
from lateen.plan.cache import PlanCache
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory
from lateen.plan.explain.ports import Beyond, Nothing, Passing, PlacedRule, TouchedPart
from lateen.plan.focus import Focus
from lateen.plan.planner import build_plan
from lateen.plan.types import ProxyPlan

NOTHING: Final = Nothing()
_ROUTING: Final = (ApplyTo.ROUTE_CONFIGURATION, ApplyTo.VIRTUAL_HOST, ApplyTo.HTTP_ROUTE, ApplyTo.CLUSTER)
Known = Callable[[ClassKey], ProxyPlan | None]
"""Gives the plan of a class that was made before, if it was."""


class Plans:
    """The views and plans of one snapshot's proxies."""

    def __init__(
        self,
        snapshot: Snapshot,
        known: Known = lambda _: None,
        cache: PlanCache | None = None,
        beyond: Beyond = NOTHING,
    ) -> None:
        self.snapshot = snapshot
        self._beyond = beyond
        self._views = Views(snapshot)
        self._selectors = [item.spec.selector.items() for item in snapshot.config.of(Gateway)]
        self._known = known
        self._cache = PlanCache() if cache is None else cache
        self._made: dict[ClassKey, ProxyPlan] = {}
        self._servers: dict[ClassKey, ProxyPlan] = {}
        self._rerouted: dict[int, tuple[ProxyPlan, ProxyPlan]] = {}

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
            view = self._views.view_for(place)
            known = self._known(place)
            self._made[place] = known or self._beyond.completed(build_plan(view, self._cache), view)
        return self._made[place]

    def plan_for(self, workload: Workload, port: int, authority: str) -> ProxyPlan:
        """Return what the proxy of a workload does with one request, which takes a small part of the time."""
        place = self.place(workload)
        if place in self._made or self._known(place) is not None:
            return self.plan(workload)
        view = self._views.view_for(place)
        if any(patch.apply_to in _ROUTING for item in view.envoy_filters for patch in item.spec.config_patches):
            # Such patches may lead anywhere.
            return self.plan(workload)
        return self._beyond.completed(build_plan(view, self._cache, Focus(port, authority)), view)

    def server_plan(self, workload: Workload) -> ProxyPlan:
        """Return what a proxy does with calls to its workload: the plan, possibly without anything outbound."""
        place = self.place(workload)
        if place.role is Role.GATEWAY or place in self._made or self._known(place) is not None:
            return self.plan(workload)
        if place not in self._servers:
            view = self._views.view_for(place)
            self._servers[place] = self._beyond.completed(_server_plan(view, self._cache), view)
        return self._servers[place]

    def rules(self, workload: Workload, port: int | None) -> tuple[PlacedRule, ...]:
        """Return Mixer's rules for calls to a port of a workload; None is for the calls that it makes."""
        return tuple(self._beyond.rules(self.view(workload), port))

    def rerouted(self, plan: ProxyPlan) -> ProxyPlan:
        """Return a plan with the routes that patches make of its own."""
        if not plan.patches:
            return plan
        if id(plan) not in self._rerouted:
            self._rerouted[id(plan)] = (plan, self._beyond.rerouted(plan))
        return self._rerouted[id(plan)][1]

    def touched(self, plan: ProxyPlan, passing: Passing) -> tuple[TouchedPart, ...]:
        """Return which patches have changed what a request passes in a proxy."""
        return tuple(self._beyond.touched(plan, passing)) if plan.patches else ()

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
        patches=patches.patches(view),
        manner=manners.manner(directory),
    )
