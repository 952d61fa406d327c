"""What a view holds, made easy to look up: services, policies and rules by host."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
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


class Directory:
    """A view with its indexes; lives as long as one plan is being made."""

    def __init__(self, view: ProxyView, cache: PlanCache) -> None:
        self.view = view
        self.cache = cache
        self.defaults = cache.intern(defaults.of_mesh(view.mesh, view.domain))
        self.services = {service.host: service for service in view.services}
        self.delegates = {(item.namespace, item.name): item for item in view.virtual_services if not item.spec.hosts}
        self.virtual_services = self._index_virtual_services()
        self._wildcards = self._index_wildcard_services()
        self._rules = self._index_rules()
        self._policies: dict[str, HostPolicy] = {}

    def service(self, host: str) -> Service | None:
        """Find the service of a host: its own, else the one of the narrowest wildcard that covers it."""
        found = self.services.get(host)
        if found is None and self._wildcards:
            found = next(iter(self._wildcards.find(host)), None)
        return found

    def stands_for(self, service: Service) -> Service:
        """Follow an ExternalName to the service that it names; a service that names none we know is itself."""
        seen = {service.host}
        while service.alias_of:
            target = self.service(names.qualified_host(service.alias_of, service.namespace, self.view.domain))
            if target is None or target.host in seen:
                break
            seen.add(target.host)
            service = target
        return service

    def policy(self, service: Service) -> HostPolicy:
        """Return the merged DestinationRules of a service, which may be none.

        The client's namespace is asked first, then the service's, then the root namespace; the first one that has a
        rule for the host decides, and in it the most specific host.
        """
        if not self._rules:
            return NO_POLICY
        found = self._policies.get(service.host)
        if found is None:
            rules = self._rules_of(service)
            found = self.cache.recall("policy", rules, (), lambda: traffic.merge_rules(rules)) if rules else NO_POLICY
            self._policies[service.host] = found
        return found

    def destination(self, host: str, namespace: str) -> tuple[Service | None, HostPolicy]:
        """Find what a rule of a namespace means by a destination's host, and the policy for it."""
        service = self.service(names.qualified_host(host, namespace, self.view.domain))
        if service is None:
            return None, NO_POLICY
        service = self.stands_for(service)
        return service, self.policy(service)

    def aliased_ports(self, service: Service) -> tuple[ServicePort, ...]:
        """List the ports that clients of a service call; an ExternalName without ports has those of its target."""
        return service.ports or self.stands_for(service).ports

    def _rules_of(self, service: Service) -> Rules:
        for namespace in dict.fromkeys((self.view.namespace, service.namespace, self.defaults.root_namespace)):
            index = self._rules.get(namespace)
            found = index.find(service.host) if index else ()
            if found:
                return tuple(found)
        return ()

    def _index_rules(self) -> dict[str, HostIndex[ConfigObject[DestinationRule]]]:
        indexes: dict[str, HostIndex[ConfigObject[DestinationRule]]] = {}
        for rule in self.view.destination_rules:
            if self._selects_client(rule):
                index = indexes.setdefault(rule.namespace, HostIndex())
                index.add(names.qualified_host(rule.spec.host, rule.namespace, self.view.domain), rule)
        return indexes

    def _selects_client(self, rule: ConfigObject[DestinationRule]) -> bool:
        selector = rule.spec.workload_selector
        if selector is None:
            return True
        return rule.namespace == self.view.namespace and selector.match_labels.items() <= dict(self.view.labels).items()

    def _index_virtual_services(self) -> HostIndex[ConfigObject[VirtualService]]:
        index: HostIndex[ConfigObject[VirtualService]] = HostIndex()
        for item in self.view.virtual_services:
            for host in hosts_of(item, self.view.domain):
                index.add(host, item)
        return index

    def _index_wildcard_services(self) -> HostIndex[Service]:
        index: HostIndex[Service] = HostIndex()
        for service in self.view.services:
            if service.host.startswith("*"):
                index.add(service.host, service)
        return index


def hosts_of(item: ConfigObject[VirtualService], domain: str) -> tuple[str, ...]:
    """List the hosts of a VirtualService with short names resolved in its namespace, each once."""
    return tuple(dict.fromkeys(names.qualified_host(host, item.namespace, domain) for host in item.spec.hosts))


def tcp_ports(ports: Iterable[ServicePort]) -> tuple[ServicePort, ...]:
    """Keep the ports that a proxy carries; UDP passes it by."""
    return tuple(port for port in ports if port.protocol is not Protocol.UDP)
