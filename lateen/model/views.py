"""From a proxy to its class, and from a class to its view; equal views are one object."""

from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Final

from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.networking.destination_rule import DestinationRule
from lateen.api.networking.gateway import Gateway
from lateen.api.networking.sidecar import Sidecar
from lateen.api.networking.virtual_service import HttpRoute, TcpRoute, TlsRoute, VirtualService
from lateen.api.objects import ConfigObject, ObjectKey
from lateen.model import visibility
from lateen.model.headless import headless_names
from lateen.model.proxy import Proxy, Role
from lateen.model.service import Service
from lateen.model.snapshot import Snapshot, oldest_first, services_of
from lateen.model.view import ClassKey, OwnPort, ProxyView

MESH_GATEWAY: Final = "mesh"

_VirtualServices = tuple[ConfigObject[VirtualService], ...]
_DestinationRules = tuple[ConfigObject[DestinationRule], ...]


@dataclass(frozen=True, slots=True)
class _Scope:
    """What all classes of a namespace with the same Sidecar have in common."""

    services: tuple[Service, ...]
    virtual_services: _VirtualServices
    destination_rules: _DestinationRules


@dataclass(slots=True)
class Views:
    """The classes and views of one snapshot. What classes have in common is derived once and shared."""

    snapshot: Snapshot
    predecessor: InitVar["Views | None"] = None
    named_labels: frozenset[str] = field(init=False)
    _sidecars: tuple[ConfigObject[Sidecar], ...] = field(init=False)
    _gateways: Mapping[ObjectKey, ConfigObject[Gateway]] = field(init=False)
    _virtual_services: _VirtualServices = field(init=False)
    _by_namespace: dict[str, list[Service]] = field(default_factory=dict)
    _scopes: dict[tuple[str, ObjectKey | None], _Scope] = field(default_factory=dict)
    _public: tuple[Service, ...] = field(init=False)

    def __post_init__(self, predecessor: "Views | None") -> None:
        config = self.snapshot.config
        public = tuple(service for service in self.snapshot.services.values() if "*" in service.export_to)
        self._public = predecessor._public if predecessor is not None and predecessor._public == public else public
        self._sidecars = tuple(oldest_first(config.of(Sidecar)))
        self._gateways = {item.key: item for item in oldest_first(config.of(Gateway))}
        self._virtual_services = tuple(oldest_first(config.of(VirtualService)))
        self.named_labels = _labels_named_by(self._virtual_services, config.of(DestinationRule))
        for service in self.snapshot.services.values():
            self._by_namespace.setdefault(service.namespace, []).append(service)

    def class_of(self, proxy: Proxy) -> ClassKey:
        """Tell which class a proxy belongs to in this snapshot."""
        namespace = proxy.key.namespace
        own = self._by_namespace.get(namespace, ())
        selecting = list(services_of({service.host: service for service in own}, namespace, proxy.labels))
        is_gateway = proxy.role is Role.GATEWAY
        sidecar = None if is_gateway else self._sidecar_of(proxy)
        return ClassKey(
            role=proxy.role,
            namespace=namespace,
            own_ports=() if is_gateway else _own_ports(selecting, proxy),
            gateways=self._gateways_of(proxy) if is_gateway else (),
            gateway_ports=_gateway_ports(selecting, proxy) if is_gateway else (),
            sidecar=sidecar.key if sidecar else None,
            labels=tuple(sorted((k, v) for k, v in proxy.labels.items() if k in self.named_labels)),
            locality=proxy.locality,
            network=proxy.network,
        )

    def view_for(self, key: ClassKey, previous: ProxyView | None = None) -> ProxyView:
        """Return what a class of proxies may see: `previous` itself when nothing of it changed."""
        sidecar = next((item for item in self._sidecars if item.key == key.sidecar), None)
        scope = self._scope(key.namespace, sidecar)
        view = ProxyView(
            key=key,
            mesh=self.snapshot.mesh,
            services=scope.services,
            virtual_services=_bound_to(scope.virtual_services, key),
            destination_rules=scope.destination_rules,
            gateways=tuple(self._gateways[name] for name in key.gateways),
            sidecar=sidecar,
            names=() if key.role is Role.GATEWAY else headless_names(self.snapshot, scope.services),
        )
        return previous if previous == view else view

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
            number = port.target if isinstance(port.target, int) else proxy.ports.get(port.target)
            if number is not None:
                found.append(OwnPort(number, port.protocol, service.host, port.number))
    return tuple(sorted(found))


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


def _rules_for(namespace: str, rules: Iterable[ConfigObject[DestinationRule]], mesh: MeshConfig) -> _DestinationRules:
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
        if rule.spec.workload_selector is not None:
            found |= rule.spec.workload_selector.match_labels.keys()
    return frozenset(found)
