"""The classes of connected proxies, and what each is to have: work is done here once a class, never once a proxy."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from lateen.api.objects import ObjectKey
from lateen.envoy.cache import ResourceCache
from lateen.envoy.resources import load_assignments, resource_set
from lateen.manager.bootstrap_trials import BootstrapTrials
from lateen.manager.patch_trials import PatchTrials, Reviewer
from lateen.manager.pushes import Pushes
from lateen.model import proxy as proxies
from lateen.model.endpoint import Endpoint
from lateen.model.proxy import Proxy
from lateen.model.registry import PortKey
from lateen.model.snapshot import Difference, Snapshot
from lateen.model.view import ClassKey, ProxyView
from lateen.model.views import Views
from lateen.model.workload import Workload, WorkloadKey
from lateen.plan import origins, patches
from lateen.plan.cache import PlanCache
from lateen.plan.planner import build_plan
from lateen.plan.secrets import untimely
from lateen.plan.types import Cluster, Diagnostic, Discovery, PatchSet, ProxyPlan

if TYPE_CHECKING:
    from lateen.mixer.compile import RuleSets

_Shape = Hashable
_NO_ENDPOINTS: tuple[Endpoint, ...] = ()


@dataclass(slots=True)
class _Replicas:
    """Proxies that are alike in everything that can decide their class; `sample` is any of them."""

    sample: Proxy
    place: ClassKey
    members: set[WorkloadKey] = field(default_factory=set)


@dataclass(slots=True)
class _Class:
    """What the proxies of a class see and do. `clusters` are those with endpoints from us, by service port."""

    view: ProxyView
    plan: ProxyPlan
    clusters: Mapping[PortKey, tuple[Cluster, ...]]


class Classes:
    """Knows which class each connected proxy is in, and keeps what the classes are to have up to date."""

    def __init__(self, pushes: Pushes, snapshot: Snapshot, reviewer: Reviewer | None = None) -> None:
        self._pushes = pushes
        self._snapshot = snapshot
        self._views = Views(snapshot)
        self._replicas: dict[_Shape, _Replicas] = {}
        self._classes: dict[ClassKey, _Class] = {}
        self._shapes: dict[WorkloadKey, _Shape] = {}
        self._plans = PlanCache()
        self._rule_sets: RuleSets | None = None
        self._resources = ResourceCache()
        self._trials = PatchTrials(reviewer)
        self._bootstraps = BootstrapTrials(reviewer)
        self._held_back: set[ClassKey] = set()

    def admit(self, proxy: Proxy, generation: int) -> ClassKey:
        """Place a proxy; the configuration of its class is made and published if the proxy is the first of it."""
        self.dismiss(proxy.key)
        return self._enroll(proxy, generation)

    def _enroll(self, proxy: Proxy, generation: int) -> ClassKey:
        shape = _shape(proxy)
        replicas = self._replicas.get(shape)
        if replicas is None:
            replicas = self._replicas[shape] = _Replicas(proxy, self._views.class_of(proxy))
        replicas.members.add(proxy.key)
        self._shapes[proxy.key] = shape
        if replicas.place not in self._classes:
            self._make(replicas.place, self._views.view_for(replicas.place), generation)
        return replicas.place

    def follow(self, workload: Workload, generation: int) -> None:
        """Place a connected proxy anew where its workload is described otherwise than when it came."""
        shape = self._shapes.get(workload.key)
        replicas = self._replicas.get(shape) if shape is not None else None
        if replicas is None:
            return
        proxy = proxies.of_workload(workload, replicas.sample.role)
        if _shape(proxy) == shape:
            return
        self._pushes.move([str(proxy.key)], self._enroll(proxy, generation))
        replicas.members.discard(proxy.key)
        if not replicas.members:
            del self._replicas[shape]
        self._drop_unused()

    def dismiss(self, key: WorkloadKey) -> None:
        """Forget a proxy, and its class if it was the last of it."""
        shape = self._shapes.pop(key, None)
        replicas = self._replicas.get(shape) if shape is not None else None
        if replicas is None:
            return
        replicas.members.discard(key)
        if not replicas.members:
            del self._replicas[shape]
            self._drop_unused()

    def publish(self, snapshot: Snapshot, difference: Difference, generation: int) -> None:
        """Publish what a new snapshot changes: views first, then endpoints for the classes whose view is the same."""
        self._snapshot = snapshot
        remade: set[ClassKey] = set()
        if difference.views:
            self._views = Views(snapshot, self._views)
            self._move(generation)
            remade = self._remake(generation)
            if self._rule_sets is not None:
                self._rule_sets.forget_others(known.view for known in self._classes.values())
        if difference.endpoints:
            self._publish_endpoints(difference.endpoints, self._classes.keys() - remade, generation)
        self._pushes.reached(generation, self._held_back)

    def look_again(self, generation: int) -> None:
        """Publish for the classes that were held back until Envoy had said what it takes."""
        for place in self._held_back & self._classes.keys():
            self._offer(place, self._classes[place].plan, generation)
        self._pushes.reached(generation, self._held_back)

    def diagnostics(self, now: datetime) -> tuple[Diagnostic, ...]:
        """List what is doubtful in the configuration of any class, each once; what is expired, is so by `now`."""
        plans = [known.plan for known in self._classes.values()]
        found = {diagnostic: None for plan in plans for diagnostic in plan.diagnostics}
        found.update((diagnostic, None) for plan in plans for diagnostic in untimely(plan.secrets, now))
        found.update((diagnostic, None) for diagnostic in self._trials.diagnostics(plans))
        found.update((diagnostic, None) for diagnostic in self._bootstraps.diagnostics(plans))
        return tuple(found)

    def plan(self, place: ClassKey) -> ProxyPlan | None:
        """Return what the proxies of a class do, with the patches that act; None for a class without proxies."""
        known = self._classes.get(place)
        return self._trials.acting(place, known.plan) if known is not None else None

    def bootstrap_patches(self, proxy: Proxy) -> tuple[PatchSet, ...] | None:
        """Return the patches that a proxy is started with; None until Envoy has said which it takes."""
        place = self._views.class_of(proxy)
        if not place.envoy_filters:
            return ()
        return self._bootstraps.settled(patches.patches(self._views.view_for(place)), proxy.role)

    def concerns(self, key: ObjectKey) -> Callable[[WorkloadKey], bool]:
        """Return a test of which proxies can see an object; of one that no class sees, all are asked."""
        seeing = {place for place, known in self._classes.items() if _sees(known.view, key)}
        members = {
            member for replicas in self._replicas.values() if replicas.place in seeing for member in replicas.members
        }
        return members.__contains__ if members else lambda _: True

    def origins(self, proxy: WorkloadKey, kind: str, resource: str) -> tuple[ObjectKey, ...]:
        """List the objects that a proxy's resource comes from; `kind` is its short name, such as `RDS`."""
        replicas = self._replicas.get(self._shapes.get(proxy))
        known = self._classes.get(replicas.place) if replicas is not None else None
        if known is None:
            return ()
        return tuple(dict.fromkeys(origin.key for origin in origins.of_resource(known.plan, kind, resource)))

    def _make(self, place: ClassKey, view: ProxyView, generation: int) -> None:
        plan = self._with_mixer(build_plan(view, self._plans), view)
        self._classes[place] = _Class(view, plan, _by_port(plan.assigned))
        self._offer(place, plan, generation)

    def _with_mixer(self, plan: ProxyPlan, view: ProxyView) -> ProxyPlan:
        """Add what Mixer's rules come to. Their engine is loaded for the first class that they concern."""
        if not view.mixer:
            return plan
        from lateen.mixer import compile

        self._rule_sets = self._rule_sets or compile.RuleSets()
        return compile.with_mixer(plan, view, self._rule_sets)

    def _offer(self, place: ClassKey, plan: ProxyPlan, generation: int) -> None:
        """Publish what a plan comes to with its patches, or hold it back until they have been tried."""
        self._bootstraps.settled(plan.patches, plan.role)  # so that it is known when the next proxy is started
        resources = self._trials.settle(place, resource_set(plan, self._endpoints_of, self._resources), plan)
        if resources is None:
            self._held_back.add(place)
            return
        self._held_back.discard(place)
        self._pushes.publish(place, resources, generation)

    def _move(self, generation: int) -> None:
        """Place replicas anew whose class is another one now, such as when a new Service selects them."""
        for replicas in self._replicas.values():
            place = self._views.class_of(replicas.sample)
            if place != replicas.place:
                replicas.place = place
                if place not in self._classes:
                    self._make(place, self._views.view_for(place), generation)
                self._pushes.move(map(str, replicas.members), place)
        self._drop_unused()

    def _remake(self, generation: int) -> set[ClassKey]:
        """Plan anew for the classes that see something new; return them."""
        remade = set()
        for place, known in list(self._classes.items()):
            view = self._views.view_for(place, known.view)
            if view is not known.view:
                self._make(place, view, generation)
                remade.add(place)
        return remade

    def _publish_endpoints(self, changed: Iterable[PortKey], places: Iterable[ClassKey], generation: int) -> None:
        """Publish endpoints alone; classes with the same clusters on the changed ports share one patch."""
        ports = sorted(changed)
        by_clusters: dict[tuple[Cluster, ...], list[ClassKey]] = {}
        for place in places:
            known = self._classes[place].clusters
            clusters = tuple(cluster for port in ports for cluster in known.get(port, ()))
            if clusters:
                by_clusters.setdefault(clusters, []).append(place)
        for clusters, sharing in by_clusters.items():
            assignments = load_assignments(clusters, self._endpoints_of, self._resources)
            self._pushes.publish_endpoints(sharing, assignments, generation)

    def _endpoints_of(self, host: str, port: int) -> tuple[Endpoint, ...]:
        return self._snapshot.endpoints.get(PortKey(host, port), _NO_ENDPOINTS)

    def _drop_unused(self) -> None:
        used = {replicas.place for replicas in self._replicas.values()}
        for place in self._classes.keys() - used:
            del self._classes[place]
            self._trials.forget(place)
            self._held_back.discard(place)
            self._pushes.retire(place)


def _shape(proxy: Proxy) -> _Shape:
    """Return what replicas of one workload have in common."""
    labels, ports = frozenset(proxy.labels.items()), frozenset(proxy.ports.items())
    ports_of_entry = frozenset(proxy.entry_ports.items())
    place = (proxy.key.namespace, proxy.locality, proxy.network)
    return proxy.role, place, labels, ports, ports_of_entry, proxy.owner, proxy.account, proxy.settings


def _by_port(clusters: Iterable[Cluster]) -> dict[PortKey, tuple[Cluster, ...]]:
    found: dict[PortKey, tuple[Cluster, ...]] = {}
    for cluster in clusters:
        if cluster.discovery is Discovery.EDS:
            key = PortKey(cluster.host, cluster.port)
            found[key] = (*found.get(key, ()), cluster)
    return found


def _sees(view: ProxyView, key: ObjectKey) -> bool:
    policies = (*view.authorization, *view.authentication)
    rules = (*view.virtual_services, *view.destination_rules, *view.health_checks, *view.sessions, *view.envoy_filters)
    objects = (*rules, *view.gateways, *view.secrets, *policies, *view.mixer)
    return (
        any(item.key == key for item in objects)
        or any(service.origin == key for service in view.services)
        or view.key.sidecar == key
    )
