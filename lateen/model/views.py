"""From a proxy to its class, and from a class to its view; equal views are one object."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Final, TypeVar, cast

from lateen.api.core.secret import Secret
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.networking.destination_rule import DestinationRule
from lateen.api.networking.envoy_filter import EnvoyFilter
from lateen.api.networking.gateway import Gateway
from lateen.api.networking.sidecar import Sidecar
from lateen.api.networking.virtual_service import HttpRoute, TcpRoute, TlsRoute, VirtualService
from lateen.api.objects import ConfigObject, ObjectKey
from lateen.api.policy.api_key_authentication import ApiKeyAuthentication
from lateen.api.policy.external_processor import ExternalProcessor
from lateen.api.policy.rate_limit import RateLimit
from lateen.api.security.attachment import Attached
from lateen.api.security.authorization_policy import AuthorizationPolicy
from lateen.api.security.oidc_login import OidcLogin
from lateen.api.security.request_authentication import RequestAuthentication
from lateen.api.telemetry.telemetry import Telemetry
from lateen.api.traffic.health_check import HealthCheck
from lateen.api.traffic.session_persistence import SessionPersistence
from lateen.model import named_secrets, node_metadata, visibility
from lateen.model import policies as attachments
from lateen.model.headless import headless_names
from lateen.model.key_sets import KeySet
from lateen.model.peers import ALL_TAKEN
from lateen.model.policies import Policies, ServedPort
from lateen.model.proxy import Proxy, Role
from lateen.model.service import Service
from lateen.model.snapshot import Snapshot, oldest_first, services_of
from lateen.model.view import ClassKey, OwnPort, ProxyView, Runs
from lateen.model.workload import port_of

MESH_GATEWAY: Final = "mesh"

_Policy = TypeVar("_Policy", bound=Attached)
_HostRule = TypeVar("_HostRule", DestinationRule, HealthCheck, SessionPersistence)
_VirtualServices = tuple[ConfigObject[VirtualService], ...]
_DestinationRules = tuple[ConfigObject[DestinationRule], ...]


@dataclass(frozen=True, slots=True)
class _Scope:
    """What all classes of a namespace with the same Sidecar have in common."""

    services: tuple[Service, ...]
    virtual_services: _VirtualServices
    destination_rules: _DestinationRules
    health_checks: tuple[ConfigObject[HealthCheck], ...]
    sessions: tuple[ConfigObject[SessionPersistence], ...]


@dataclass(slots=True)
class Views:
    """The classes and views of one snapshot. What classes have in common is derived once and shared."""

    snapshot: Snapshot
    predecessor: InitVar["Views | None"] = None
    named_labels: frozenset[str] = field(init=False)
    _sidecars: tuple[ConfigObject[Sidecar], ...] = field(init=False)
    _gateways: Mapping[ObjectKey, ConfigObject[Gateway]] = field(init=False)
    _filters: Mapping[ObjectKey, ConfigObject[EnvoyFilter]] = field(init=False)
    _virtual_services: _VirtualServices = field(init=False)
    _by_namespace: dict[str, list[Service]] = field(default_factory=dict)
    _scopes: dict[tuple[str, ObjectKey | None], _Scope] = field(default_factory=dict)
    _public: tuple[Service, ...] = field(init=False)
    _policies: Policies = field(init=False)

    def __post_init__(self, predecessor: "Views | None") -> None:
        config = self.snapshot.config
        public = tuple(service for service in self.snapshot.services.values() if "*" in service.export_to)
        self._public = predecessor._public if predecessor is not None and predecessor._public == public else public
        self._sidecars = tuple(oldest_first(config.of(Sidecar)))
        self._gateways = {item.key: item for item in oldest_first(config.of(Gateway))}
        self._filters = {item.key: item for item in oldest_first(config.of(EnvoyFilter))}
        self._virtual_services = tuple(oldest_first(config.of(VirtualService)))
        policies: tuple[ConfigObject[Attached], ...] = (
            *config.of(AuthorizationPolicy),
            *config.of(RequestAuthentication),
            *config.of(OidcLogin),
            *config.of(RateLimit),
            *config.of(ExternalProcessor),
            *config.of(ApiKeyAuthentication),
            *oldest_first(config.of(Telemetry)),
        )
        self._policies = Policies(policies, self.snapshot.mesh.root_namespace)
        self.named_labels = _labels_named_by(self._virtual_services, config.of(DestinationRule))
        mesh = self.snapshot.mesh
        if mesh.locality_lb_setting is not None:
            self.named_labels |= mesh.locality_lb_setting.client_labels
        if mesh.zone_aware_lb_setting is not None:
            self.named_labels |= mesh.zone_aware_lb_setting.client_labels
        self.named_labels |= self.snapshot.mixer.asked.labels
        for service in self.snapshot.services.values():
            self._by_namespace.setdefault(service.namespace, []).append(service)

    def class_of(self, proxy: Proxy) -> ClassKey:
        """Tell which class a proxy belongs to in this snapshot."""
        namespace = proxy.key.namespace
        own = self._by_namespace.get(namespace, ())
        selecting = list(services_of({service.host: service for service in own}, namespace, proxy.labels))
        is_gateway = proxy.role is Role.GATEWAY
        sidecar = None if is_gateway else self._sidecar_of(proxy)
        gateways = self._gateways_of(proxy) if is_gateway else ()
        own_ports = () if is_gateway else _own_ports(selecting, proxy)
        filters = self._filters_of(proxy, gateways)
        return ClassKey(
            role=proxy.role,
            namespace=namespace,
            own_ports=own_ports,
            gateways=gateways,
            gateway_ports=_gateway_ports(selecting, proxy) if is_gateway else (),
            sidecar=sidecar.key if sidecar else None,
            labels=tuple(sorted((k, v) for k, v in proxy.labels.items() if k in self.named_labels)),
            locality=proxy.locality,
            network=proxy.network,
            peers=ALL_TAKEN if is_gateway else self.snapshot.peers.of(namespace, proxy.labels),
            policies=self._policies.of(proxy, gateways, _served(selecting, own_ports)),
            runs=Runs(proxy.owner, proxy.account) if self.snapshot.mixer.asked.about_runners else None,
            envoy_filters=filters,
            settings=proxy.settings,
            metadata=node_metadata.asked_for(proxy, (self._filters[name].spec for name in filters)),
        )

    def view_for(self, key: ClassKey, previous: ProxyView | None = None) -> ProxyView:
        """Return what a class of proxies may see: `previous` itself when nothing of it changed."""
        sidecar = next((item for item in self._sidecars if item.key == key.sidecar), None)
        scope = self._scope(key.namespace, sidecar)
        policies = [self._policies.by_key[attached.policy] for attached in key.policies]
        logins = tuple(_of_kind(policies, OidcLogin)) if key.role is Role.GATEWAY else ()
        authentication = tuple(_of_kind(policies, RequestAuthentication))
        api_keys = tuple(_of_kind(policies, ApiKeyAuthentication))
        view = ProxyView(
            key=key,
            mesh=self.snapshot.mesh,
            services=scope.services,
            virtual_services=_bound_to(scope.virtual_services, key),
            destination_rules=scope.destination_rules,
            health_checks=scope.health_checks,
            sessions=scope.sessions,
            gateways=tuple(self._gateways[name] for name in key.gateways),
            sidecar=sidecar,
            secrets=self._secrets(key, scope.destination_rules, logins, api_keys, sidecar),
            names=() if key.role is Role.GATEWAY else headless_names(self.snapshot, scope.services),
            authorization=tuple(_of_kind(policies, AuthorizationPolicy)),
            authentication=authentication,
            key_sets=self._key_sets(authentication, logins),
            logins=logins,
            limits=tuple(_of_kind(policies, RateLimit)),
            processors=tuple(_of_kind(policies, ExternalProcessor)),
            api_keys=api_keys,
            telemetries=tuple(_of_kind(policies, Telemetry)),
            envoy_filters=tuple(self._filters[name] for name in key.envoy_filters),
            session_key=self.snapshot.inputs.session_key if logins else b"",
            mixer=self.snapshot.mixer.of(key.namespace, self.snapshot.mesh.root_namespace),
            callers=self.snapshot.callers,
        )
        return previous if previous == view else view

    def _key_sets(
        self, policies: Iterable[ConfigObject[RequestAuthentication]], logins: Iterable[ConfigObject[OidcLogin]]
    ) -> tuple[KeySet, ...]:
        """Return the fetched keys that policies verify tokens with; what was not fetched yet is not there."""
        urls = dict.fromkeys(rule.keys_url for item in policies for rule in item.spec.jwt_rules)
        urls.update(dict.fromkeys(url for item in logins for url in item.spec.fetched_urls))
        known = self.snapshot.inputs.key_sets
        return tuple(known[url] for url in urls if url in known)

    def _secrets(
        self,
        key: ClassKey,
        rules: _DestinationRules,
        logins: Iterable[ConfigObject[OidcLogin]],
        api_keys: Iterable[ConfigObject[ApiKeyAuthentication]],
        sidecar: ConfigObject[Sidecar] | None,
    ) -> tuple[ConfigObject[Secret], ...]:
        """Find the Secrets that a class names, in its own namespace only: nobody is given another namespace's keys.

        A sidecar takes certificates only from rules that are written for its workload alone.
        """
        is_gateway = key.role is Role.GATEWAY
        concerned = (item.spec for item in rules if is_gateway or _selects(item, key))
        wanted = {
            *named_secrets.of_gateways(self._gateways[name].spec for name in key.gateways),
            *named_secrets.of_rules(concerned),
            *(named_secrets.of_sidecar(sidecar.spec) if sidecar else ()),
            *(item.spec.client_secret.name for item in logins),
            *(item.spec.secret.name for item in api_keys),
        }
        shelf = self.snapshot.config.shelf(Secret, key.namespace) if wanted else {}
        return tuple(cast(ConfigObject[Secret], shelf[name]) for name in sorted(wanted & shelf.keys()))

    def _filters_of(self, proxy: Proxy, gateways: tuple[ObjectKey, ...]) -> tuple[ObjectKey, ...]:
        """Find the EnvoyFilters of a proxy's own and of the root namespace that concern it, oldest first."""
        namespaces = (self.snapshot.mesh.root_namespace, proxy.key.namespace)
        return tuple(
            key
            for key, item in self._filters.items()
            if key.namespace in namespaces and attachments.patches(item.spec, key.namespace, proxy, gateways)
        )

    def _sidecar_of(self, proxy: Proxy) -> ConfigObject[Sidecar] | None:
        root = self.snapshot.mesh.root_namespace
        return visibility.chosen_sidecar(self._sidecars, proxy.key.namespace, proxy.labels, root)

    def _gateways_of(self, proxy: Proxy) -> tuple[ObjectKey, ...]:
        """Find the Gateways whose selector fits; as in Istio they may be in any namespace."""
        return tuple(key for key, item in self._gateways.items() if item.spec.selector.items() <= proxy.labels.items())

    def _scope(self, namespace: str, sidecar: ConfigObject[Sidecar] | None) -> _Scope:
        place = (namespace, sidecar.key if sidecar else None)
        if place not in self._scopes:
            self._scopes[place] = self._make_scope(namespace, sidecar)
        return self._scopes[place]

    def _make_scope(self, namespace: str, sidecar: ConfigObject[Sidecar] | None) -> _Scope:
        mesh = self.snapshot.mesh
        services = self._visible_services(namespace)
        return _Scope(
            visibility.in_scope(services, sidecar.spec, namespace) if sidecar else services,
            tuple(
                item
                for item in self._virtual_services
                if visibility.is_exported(
                    item.spec.export_to, mesh.default_virtual_service_export_to, item.namespace, namespace
                )
            ),
            _rules_for(namespace, self.snapshot.config.of(DestinationRule), mesh),
            _rules_for(namespace, self.snapshot.config.of(HealthCheck), mesh),
            _rules_for(namespace, self.snapshot.config.of(SessionPersistence), mesh),
        )

    def _visible_services(self, namespace: str) -> tuple[Service, ...]:
        """Return the services that a namespace sees; while all are public, every namespace gets the same tuple."""
        if len(self._public) == len(self.snapshot.services):
            return self._public
        return tuple(s for s in self.snapshot.services.values() if s.is_visible_from(namespace))


def _own_ports(selecting: Iterable[Service], proxy: Proxy) -> tuple[OwnPort, ...]:
    found = []
    for service in selecting:
        for port in service.ports:
            number = port_of(port.name, port.target, proxy.ports, proxy.entry_ports)
            if number is not None:
                found.append(OwnPort(number, port.protocol, service.host, port.number))
    return tuple(sorted(found))


def _of_kind(policies: Iterable[ConfigObject[Attached]], kind: type[_Policy]) -> Iterator[ConfigObject[_Policy]]:
    return (cast(ConfigObject[_Policy], item) for item in policies if isinstance(item.spec, kind))


def _served(selecting: Iterable[Service], own_ports: Iterable[OwnPort]) -> tuple[ServedPort, ...]:
    origins = {service.host: service.origin for service in selecting}
    return tuple(ServedPort(origins[port.host], port.number) for port in own_ports)


def _gateway_ports(selecting: Iterable[Service], proxy: Proxy) -> tuple[tuple[int, int], ...]:
    return tuple(sorted({(port.service_port, port.number) for port in _own_ports(selecting, proxy)}))


def _bound_to(virtual_services: _VirtualServices, key: ClassKey) -> _VirtualServices:
    """Keep the VirtualServices that apply to a role, and the delegates that they may hand over to."""
    if key.role is Role.GATEWAY:
        bound = {f"{gateway.namespace}/{gateway.name}" for gateway in key.gateways}
    else:
        bound = {MESH_GATEWAY}
    return tuple(item for item in virtual_services if not item.spec.hosts or bound & set(gateways_of(item)))


def gateways_of(item: ConfigObject[VirtualService]) -> tuple[str, ...]:
    """List the gateways of a VirtualService as `namespace/name`, or `mesh` for all sidecars, which is the default."""
    written = item.spec.gateways or (MESH_GATEWAY,)
    return tuple(text if text == MESH_GATEWAY or "/" in text else f"{item.namespace}/{text}" for text in written)


def _rules_for(
    namespace: str, rules: Iterable[ConfigObject[_HostRule]], mesh: MeshConfig
) -> tuple[ConfigObject[_HostRule], ...]:
    """Order the visible rules for lookup: the client's namespace first, the root namespace last, else the oldest."""
    visible = [
        item
        for item in oldest_first(rules)
        if visibility.is_exported(
            item.spec.export_to, mesh.default_destination_rule_export_to, item.namespace, namespace
        )
    ]
    rank = {namespace: 0, mesh.root_namespace: 2} if namespace != mesh.root_namespace else {namespace: 0}
    return tuple(sorted(visible, key=lambda item: rank.get(item.namespace, 1)))


def _selects(rule: ConfigObject[DestinationRule], key: ClassKey) -> bool:
    """Tell whether a rule is written for a class's workloads: of its own namespace, by their labels."""
    selector = rule.spec.workload_selector
    return (
        selector is not None
        and rule.namespace == key.namespace
        and selector.match_labels.items() <= dict(key.labels).items()
    )


def _labels_named_by(
    virtual_services: _VirtualServices, rules: Iterable[ConfigObject[DestinationRule]]
) -> frozenset[str]:
    """Collect the labels that any rule selects clients by; only these make classes differ."""
    found: set[str] = set()
    for item in virtual_services:
        spec = item.spec
        routes: tuple[HttpRoute | TlsRoute | TcpRoute, ...] = (*spec.http, *spec.tls, *spec.tcp)
        for route in routes:
            for condition in route.match:
                found |= condition.source_labels.keys()
    for rule in rules:
        found |= rule.spec.client_labels
    return frozenset(found)
