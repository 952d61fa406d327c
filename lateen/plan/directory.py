"""What a view holds, made easy to look up: services, policies and rules by host."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lateen import names
from lateen.api.networking.destination_rule import DestinationRule
from lateen.api.networking.virtual_service import VirtualService
from lateen.api.objects import ConfigObject
from lateen.api.traffic.health_check import HealthCheck
from lateen.api.traffic.session_persistence import SessionPersistence
from lateen.model import proxy_settings
from lateen.model.protocol import Protocol
from lateen.model.service import Service, ServicePort
from lateen.model.view import ProxyView
from lateen.plan import defaults, traffic
from lateen.plan.cache import PlanCache
from lateen.plan.localities import Client
from lateen.plan.traffic import NO_POLICY, HostPolicy

VirtualServices = tuple[ConfigObject[VirtualService], ...]
T = TypeVar("T")


class HostIndex(Generic[T]):
    """Values by the host pattern that they are written for, in the order in which they were added."""

    def __init__(self) -> None:
        self._exact: defaultdict[str, list[T]] = defaultdict(list)
        self._suffixes: defaultdict[str, list[T]] = defaultdict(list)
        self._longest_first: list[str] = []

    def add(self, pattern: str, value: T) -> None:
        """Add a value for a host, for `*.suffix` or for `*`."""
        if not pattern.startswith("*"):
            self._exact[pattern].append(value)
            return
        if pattern[1:] not in self._suffixes:
            self._longest_first = sorted([*self._longest_first, pattern[1:]], key=len, reverse=True)
        self._suffixes[pattern[1:]].append(value)

    def find(self, host: str) -> Sequence[T]:
        """Return the values of the most specific pattern that covers a host, or a narrower wildcard."""
        if host in self._exact:
            return self._exact[host]
        text = host.removeprefix("*")
        for suffix in self._longest_first:
            if text.endswith(suffix):
                return self._suffixes[suffix]
        return ()


RuleT = TypeVar("RuleT", DestinationRule, HealthCheck, SessionPersistence)


class HostRules(Generic[RuleT]):
    """Objects that are written for hosts, as the clients of one namespace look them up.

    The client's namespace is asked first, then the service's, then the root namespace; the first one that has an
    object for the host decides, and in it the most specific host.
    """

    def __init__(self, items: Iterable[ConfigObject[RuleT]], client: str, domain: str, root: str) -> None:
        self._first, self._last = client, root
        self._by_namespace: dict[str, HostIndex[ConfigObject[RuleT]]] = {}
        self._known: dict[tuple[str, str], tuple[ConfigObject[RuleT], ...]] = {}
        for item in items:
            index = self._by_namespace.setdefault(item.namespace, HostIndex())
            index.add(names.qualified_host(item.spec.host, item.namespace, domain), item)

    def of(self, service: Service) -> tuple[ConfigObject[RuleT], ...]:
        """Return the objects for a service, the oldest first; the same ones for as long as they are asked for here."""
        if not self._by_namespace:
            return ()
        key = (service.host, service.namespace)
        if key not in self._known:
            self._known[key] = self._find(service)
        return self._known[key]

    def _find(self, service: Service) -> tuple[ConfigObject[RuleT], ...]:
        for namespace in (self._first, service.namespace, self._last):
            index = self._by_namespace.get(namespace)
            found = index.find(service.host) if index else ()
            if found:
                return tuple(found)
        return ()


@dataclass(frozen=True, slots=True, eq=False)
class Services:
    """The services that a proxy sees, by host; `wildcards` are those of many hosts."""

    by_host: Mapping[str, Service]
    wildcards: HostIndex[Service]


class Directory:
    """A view with its indexes; lives as long as one plan is being made, the indexes as long as they are the same."""

    def __init__(self, view: ProxyView, cache: PlanCache) -> None:
        self.view = view
        self.cache = cache
        self.defaults = cache.intern(defaults.of_view(view))
        self.proxy = proxy_settings.effective(view.mesh.default_config, view.key.settings)
        indexed = cache.recall("services", view.services, (), lambda: _index_services(view.services))
        self.services, self._wildcards = indexed.by_host, indexed.wildcards
        self.virtual_services = cache.recall(
            "rules", view.virtual_services, (view.domain,), lambda: _index_rules(view.virtual_services, view.domain)
        )
        place = (view.namespace, view.domain, self.defaults.root_namespace)
        self._policies = cache.recall(
            "policies",
            view.destination_rules,
            (*place, view.labels),
            lambda: HostRules((rule for rule in view.destination_rules if _selects_client(rule, view)), *place),
        )
        self._health_checks = cache.recall(
            "health checks", view.health_checks, place, lambda: HostRules(view.health_checks, *place)
        )
        self._sessions = cache.recall("sessions", view.sessions, place, lambda: HostRules(view.sessions, *place))
        self.delegates = {(item.namespace, item.name): item for item in view.virtual_services if not item.spec.hosts}

    def service(self, host: str) -> Service | None:
        """Find the service of a host: its own, else the one of the narrowest wildcard that covers it."""
        found = self.services.get(host)
        return found or next(iter(self._wildcards.find(host)), None)

    def stands_for(self, service: Service) -> Service:
        """Follow an ExternalName to the service that it names; a service that names none we know is itself."""
        seen = {service.host} if service.alias_of else set()
        while service.alias_of:
            target = self.service(names.qualified_host(service.alias_of, service.namespace, self.view.domain))
            if target is None or target.host in seen:
                break
            seen.add(target.host)
            service = target
        return service

    def policy(self, service: Service) -> HostPolicy:
        """Return the merged DestinationRules of a service, which may be none, over what the service itself asks for."""
        rules = self._policies.of(service)
        found = self.cache.recall("policy", rules, (), lambda: traffic.merge_rules(rules)) if rules else NO_POLICY
        if not service.keeps_clients:
            return found
        return self.cache.recall("affinity", (found,), (), lambda: traffic.keeping_clients(found))

    def health_checks(self, service: Service) -> tuple[ConfigObject[HealthCheck], ...]:
        """Return the HealthChecks for a service, of which the first that holds for a port acts there."""
        return self._health_checks.of(service)

    def session(self, service: Service) -> ConfigObject[SessionPersistence] | None:
        """Return what says how a service's sessions are kept; the oldest acts."""
        return next(iter(self._sessions.of(service)), None)

    def client(self, policy: HostPolicy) -> Client:
        """Tell what of this class of proxies the preferences in a policy, and in the mesh's settings, look at."""
        own = self.view.key
        named = traffic.preferred_labels(policy, self.defaults)
        return Client(own.locality, own.network, tuple(label for label in own.labels if label[0] in named))

    def destination(self, host: str, namespace: str) -> tuple[Service | None, HostPolicy]:
        """Find what a rule of a namespace means by a destination's host, and the policy for it."""
        service = self.service(names.qualified_host(host, namespace, self.view.domain))
        if service is None:
            return None, NO_POLICY
        service = self.stands_for(service)
        return service, self.policy(service)


def _selects_client(rule: ConfigObject[DestinationRule], view: ProxyView) -> bool:
    selector = rule.spec.workload_selector
    if selector is None:
        return True
    return rule.namespace == view.namespace and selector.match_labels.items() <= dict(view.labels).items()


def _index_services(services: Iterable[Service]) -> Services:
    wildcards: HostIndex[Service] = HostIndex()
    by_host = {service.host: service for service in services}
    for host, service in by_host.items():
        if host.startswith("*"):
            wildcards.add(host, service)
    return Services(by_host, wildcards)


def _index_rules(items: VirtualServices, domain: str) -> HostIndex[ConfigObject[VirtualService]]:
    index: HostIndex[ConfigObject[VirtualService]] = HostIndex()
    for item in items:
        for host in hosts_of(item, domain):
            index.add(host, item)
    return index


def hosts_of(item: ConfigObject[VirtualService], domain: str) -> tuple[str, ...]:
    """List the hosts of a VirtualService with short names resolved in its namespace, each once."""
    return tuple(dict.fromkeys(names.qualified_host(host, item.namespace, domain) for host in item.spec.hosts))


def tcp_ports(ports: Iterable[ServicePort]) -> tuple[ServicePort, ...]:
    """Keep the ports that a proxy carries; UDP passes it by."""
    return tuple(port for port in ports if port.protocol is not Protocol.UDP)
