"""The clusters of a service: one for each port and each subset of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lateen import names
from lateen.api.networking.destination_rule import ConnectionPool, Http2Upgrade
from lateen.api.networking.sidecar import OutboundMode, OutboundTrafficPolicy
from lateen.api.objects import ConfigObject
from lateen.api.traffic.health_check import HealthCheck
from lateen.model import endpoint
from lateen.model.endpoint import Endpoint
from lateen.model.protocol import Protocol
from lateen.model.service import Resolution, Service, ServicePort
from lateen.plan import health_checks, localities, tls, traffic
from lateen.plan.defaults import Defaults
from lateen.plan.directory import Directory, tcp_ports
from lateen.plan.localities import Client
from lateen.plan.telemetry_types import ServiceName
from lateen.plan.traffic import HostPolicy, Settings
from lateen.plan.types import Balancing, Cluster, Discovery, Origin

_DISCOVERY: Final = {
    Resolution.REGISTRY: Discovery.EDS,
    Resolution.DNS: Discovery.DNS,
    Resolution.DNS_ROUND_ROBIN: Discovery.DNS_ROUND_ROBIN,
    Resolution.PASSTHROUGH: Discovery.ORIGINAL_DESTINATION,
    Resolution.DYNAMIC_DNS: Discovery.DYNAMIC_DNS,
}
_RESOLVED_BY_PROXY: Final = (Discovery.DNS, Discovery.DNS_ROUND_ROBIN)

PASSTHROUGH: Final = Cluster(
    names.PASSTHROUGH_CLUSTER,
    Discovery.ORIGINAL_DESTINATION,
    balancing=Balancing.ORIGINAL_DESTINATION,
    follows_client_protocol=True,
    service=ServiceName("", names.PASSTHROUGH_CLUSTER),
)
DYNAMIC_DNS: Final = Cluster(
    names.DYNAMIC_DNS_CLUSTER,
    Discovery.DYNAMIC_DNS,
    balancing=Balancing.ORIGINAL_DESTINATION,
    follows_client_protocol=True,
)
BLACK_HOLE: Final = Cluster(names.BLACK_HOLE_CLUSTER, Discovery.NONE, service=ServiceName("", names.BLACK_HOLE_CLUSTER))


@dataclass(frozen=True, slots=True)
class _Place:
    """What a cluster stands for."""

    service: Service
    port: ServicePort
    subset: str = ""
    labels: tuple[tuple[str, str], ...] = ()


def of_service(service: Service, directory: Directory, *, captures: bool) -> tuple[Cluster, ...]:
    """Return the clusters of a service's ports in order, each followed by its subsets; UDP ports have none.

    `captures` is false for gateways, which know no original destination and have to find endpoints themselves. What
    browsers speak with a gateway says nothing of a port whose protocol is detected: it is spoken to in HTTP/1.1.
    The same objects are returned while the service and its policy did not change.
    """
    policy, defaults = directory.policy(service), directory.defaults
    client, checks = directory.client(policy), directory.health_checks(service)
    return directory.cache.recall(
        "clusters",
        (service, policy, defaults, *checks),
        (captures, client),
        lambda: tuple(
            _cluster(place, policy, defaults, captures, client, checks)
            for port in tcp_ports(service.ports)
            for place in _places(service, port, policy)
        ),
    )


def service_name(service: Service) -> ServiceName:
    """Say what telemetry calls a service: a Kubernetes Service by its name, others by their host."""
    name = service.origin.name if service.origin.kind == "Service" else service.host
    return ServiceName(service.host, name, service.namespace)


def _places(service: Service, port: ServicePort, policy: HostPolicy) -> Iterator[_Place]:
    yield _Place(service, port)
    for name, defined in policy.subsets.items():
        yield _Place(service, port, name, tuple(sorted(defined.subset.labels.items())))


def _cluster(
    place: _Place,
    policy: HostPolicy,
    defaults: Defaults,
    captures: bool,
    client: Client,
    checks: tuple[ConfigObject[HealthCheck], ...],
) -> Cluster:
    service, port = place.service, place.port
    settings = traffic.settle(policy, port.number, place.subset, defaults)
    discovery = _discovery(service, settings, captures)
    spoken = port.protocol if captures or port.protocol is not Protocol.AUTO else Protocol.HTTP
    follows = follows_client(spoken, settings.pool)
    warmup = traffic.slow_start(settings.load_balancer)
    return Cluster(
        name=names.outbound_cluster(service.host, port.number, place.subset),
        discovery=discovery,
        host=service.host,
        port=port.number,
        subset=place.subset,
        labels=place.labels,
        protocol=spoken if follows else _upstream_protocol(spoken, settings.pool, defaults),
        balancing=_balancing(discovery, settings),
        ring_size=traffic.ring_size(settings.load_balancer),
        table_size=traffic.table_size(settings.load_balancer),
        slow_start=warmup.duration,
        slow_start_aggression=warmup.aggression,
        slow_start_min_percent=warmup.minimum_percent,
        limits=traffic.limits(settings, defaults),
        outliers=traffic.outlier_detection(settings.outliers),
        endpoints=_endpoints(place) if discovery in _RESOLVED_BY_PROXY else (),
        includes_unready=service.includes_unready,
        follows_client_protocol=follows,
        tls=tls.towards(service, port, place.subset, settings, discovery, defaults),
        probe=health_checks.probe(checks, service, port),
        tells_client=settings.proxy_protocol.version if settings.proxy_protocol else None,
        name_refresh=defaults.name_refresh,
        spread=localities.spread(
            localities.setting_of(settings.load_balancer, defaults.localities, defaults.zones),
            client,
            finds_failures=settings.outliers is not None,
            prefers_near=service.prefers_near,
        ),
        service=service_name(service),
        describes_endpoints=defaults.describes_endpoints,
        target_port=_target_port(place, discovery),
        origin=_origin(place, policy),
    )


def _target_port(place: _Place, discovery: Discovery) -> int | None:
    """Return the port of whatever address clients call: of an entry without resolution it is the entry's to say."""
    is_entry = place.service.resolution is Resolution.PASSTHROUGH and not place.service.headless
    if discovery is not Discovery.ORIGINAL_DESTINATION or not is_entry or not isinstance(place.port.target, int):
        return None
    return place.port.target


def _discovery(service: Service, settings: Settings, captures: bool) -> Discovery:
    """Choose where endpoints come from.

    A gateway sends to the endpoints of a headless Service itself, and resolves the host of an entry without
    resolution, because no client has done so.
    """
    if service.alias_of:
        return Discovery.DNS
    if not captures:
        if service.headless:
            return Discovery.EDS
        if service.resolution is Resolution.PASSTHROUGH:
            return Discovery.NONE if service.host.startswith("*") else Discovery.DNS
    elif traffic.balancing(settings.load_balancer) is Balancing.ORIGINAL_DESTINATION:
        return Discovery.ORIGINAL_DESTINATION
    return _DISCOVERY[service.resolution]


def _balancing(discovery: Discovery, settings: Settings) -> Balancing:
    if discovery in (Discovery.ORIGINAL_DESTINATION, Discovery.DYNAMIC_DNS):
        return Balancing.ORIGINAL_DESTINATION
    chosen = traffic.balancing(settings.load_balancer)
    return Balancing.LEAST_REQUEST if chosen is Balancing.ORIGINAL_DESTINATION else chosen


def follows_client(protocol: Protocol, pool: ConnectionPool | None) -> bool:
    """Tell whether the client's version of HTTP is kept: asked for, or the protocol is only known when it is seen."""
    http = pool.http if pool else None
    return protocol is Protocol.AUTO or (protocol.is_http and http is not None and bool(http.use_client_protocol))


def _upstream_protocol(protocol: Protocol, pool: ConnectionPool | None, defaults: Defaults) -> Protocol:
    """Choose what is spoken upstream: as the port says, except where HTTP/1.1 is to be upgraded."""
    http = pool.http if pool else None
    wish = http.h2_upgrade_policy if http else None
    upgrades = defaults.upgrades_to_http2 if wish in (None, Http2Upgrade.DEFAULT) else wish is Http2Upgrade.UPGRADE
    return Protocol.HTTP2 if upgrades and protocol is Protocol.HTTP else protocol


def _endpoints(place: _Place) -> tuple[Endpoint, ...]:
    """List the names that the proxy resolves: those written for the port, else the service's own name."""
    service, port = place.service, place.port
    written = dict(service.static_endpoints).get(port.number, ())
    if not written:
        target = port.target if isinstance(port.target, int) and not service.alias_of else port.number
        written = (Endpoint(service.alias_of or service.host, target),)
    return endpoint.select(written, dict(place.labels))


def _origin(place: _Place, policy: HostPolicy) -> Origin:
    """Name the rule that shapes the cluster, else the object that the service came from."""
    if place.subset:
        return policy.subsets[place.subset].origin
    position = place.service.ports.index(place.port)
    return policy.origin or Origin(place.service.origin, f"spec.ports[{position}]")


def of_strangers(policy: OutboundTrafficPolicy, *, follows_names: bool = False) -> tuple[Cluster, ...]:
    """Return the clusters for traffic to hosts that the mesh does not know.

    With `follows_names` some requests come that were going to no address, but name their host.
    """
    is_dynamic = follows_names or policy.mode is OutboundMode.ALLOW_ANY_DYNAMIC_DNS
    return (PASSTHROUGH, BLACK_HOLE, *((DYNAMIC_DNS,) if is_dynamic else ()))
