"""What a view holds, made easy to look up: services, policies and rules by host."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lateen import names
from lateen.api.networking.destination_rule import DestinationRule
from lateen.api.networking.virtual_service import VirtualService
from lateen.api.objects import ConfigObject
from lateen.model.protocol import Protocol
from lateen.model.service import Service, ServicePort
from lateen.model.view import ProxyView
from lateen.plan import defaults, traffic
from lateen.plan.cache import PlanCache
from lateen.plan.traffic import NO_POLICY, HostPolicy, Rules

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


class Policies:
    """The DestinationRules that clients of one namespace see, with the merged policy of each host that was asked for.

    The client's namespace is asked first, then the service's, then the root namespace; the first one that has a rule
    for the host decides, and in it the most specific host.
    """

    def __init__(self, view: ProxyView, root_namespace: str) -> None:
        self._first, self._last = view.namespace, root_namespace
        self._by_namespace: dict[str, HostIndex[ConfigObject[DestinationRule]]] = {}
        self._known: dict[tuple[str, str], HostPolicy] = {}
        for rule in view.destination_rules:
            if _selects_client(rule, view):
                index = self._by_namespace.setdefault(rule.namespace, HostIndex())
                index.add(names.qualified_host(rule.spec.host, rule.namespace, view.domain), rule)

    def of(self, service: Service, cache: PlanCache) -> HostPolicy:
        """Return the merged policy of a service, which may be none."""
        if not self._by_namespace:
            return NO_POLICY
        key = (service.host, service.namespace)
        found = self._known.get(key)
        if found is None:
            rules = self._rules_of(service)
            found = cache.recall("policy", rules, (), lambda: traffic.merge_rules(rules)) if rules else NO_POLICY
            self._known[key] = found
        return found

    def _rules_of(self, service: Service) -> Rules:
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
        self.defaults = cache.intern(defaults.of_mesh(view.mesh, view.domain))
        indexed = cache.recall("services", view.services, (), lambda: _index_services(view.services))
        self.services, self._wildcards = indexed.by_host, indexed.wildcards
        self.virtual_services = cache.recall(
            "rules", view.virtual_services, (view.domain,), lambda: _index_rules(view.virtual_services, view.domain)
        )
        self._policies = cache.recall(
            "policies",
            view.destination_rules,
            (view.namespace, view.labels, view.domain, self.defaults.root_namespace),
            lambda: Policies(view, self.defaults.root_namespace),
        )
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
        """Return the merged DestinationRules of a service, which may be none."""
        return self._policies.of(service, self.cache)

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
