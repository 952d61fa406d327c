"""Which ports of the mesh's services are open on the host, and under which numbers.

The ports of Services of type LoadBalancer and NodePort are published: on `nodePort` where that is written, else on the
service's own port, 8000 higher where that is one of the privileged first 1024 (80 becomes 8080, 443 becomes 8443). A
port that somebody else has makes way to the next free one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from lateen.api.config_set import ConfigSet
from lateen.api.core.service import Service, ServicePort, ServiceType, TransportProtocol
from lateen.api.mesh.settings import mesh_config
from lateen.api.networking.gateway import Gateway, wants_http3
from lateen.api.objects import ConfigObject
from lateen.model.protocol import Protocol as WireProtocol
from lateen.model.protocol import choose_protocol
from lateen.model.proxy_settings import effective
from lateen.model.workload import Workload, port_of
from lateen.names import CONTROL_PLANE_ACCOUNT, CONTROL_PLANE_NAMESPACE
from lateen.platforms.local.protocol import PortOutcome, PublishedPort
from lateen.platforms.local.report import PublishedRow

STATUS_PORT: Final = 15021
HOST_ADDRESS: Final = "127.0.0.1"
_PRIVILEGED_BELOW: Final = 1024
_PRIVILEGED_OFFSET: Final = 8000
_MOST_TRIES: Final = 100
_PUBLISHED_TYPES: Final = (ServiceType.LOAD_BALANCER, ServiceType.NODE_PORT)
_SCHEMES: Final = {WireProtocol.HTTPS: "https", WireProtocol.TLS: "https"}


class Publisher(Protocol):
    """Whoever opens ports on the host: the supervisor."""

    async def set_published_ports(self, ports: tuple[PublishedPort, ...]) -> tuple[PortOutcome, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One port of a service that should be open on the host; `preferred` is the number that comes first."""

    namespace: str
    service: str
    port: int
    preferred: int
    scheme: str
    targets: tuple[str, ...] = ()
    tells_client: bool = False
    speaks_http3: bool = False

    @property
    def key(self) -> str:
        """The name under which its host port is remembered."""
        return f"{self.namespace}/{self.service}:{self.port}"


def metrics_publication(port: int) -> Publication:
    """Say the port at which the mesh's metrics are read, on the same number of the host if that is free."""
    return Publication(
        namespace=CONTROL_PLANE_NAMESPACE,
        service=CONTROL_PLANE_ACCOUNT,
        port=port,
        preferred=port,
        scheme="http",
        targets=(f"127.0.0.1:{port}",),
    )


def wanted_publications(config: ConfigSet, workloads: Iterable[Workload]) -> tuple[Publication, ...]:
    """List what should be published, with the ready endpoints behind each."""
    return tuple(_publications(config, tuple(workloads)))


def preferred_host_port(port: ServicePort) -> int:
    """Give the host port that comes first for a service's port."""
    if port.node_port is not None:
        return port.node_port
    return port.port if port.port >= _PRIVILEGED_BELOW else port.port + _PRIVILEGED_OFFSET


class HostPorts:
    """Keeps the published ports open, and remembers which host port each got."""

    def __init__(self, publisher: Publisher, remembered: Mapping[str, int], host_address: str = HOST_ADDRESS) -> None:
        self._publisher = publisher
        self._host_address = host_address
        self._given = dict(remembered)
        self._open: tuple[Publication, ...] | None = None
        self.rows: tuple[PublishedRow, ...] = ()

    @property
    def given(self) -> Mapping[str, int]:
        """Which host port each publication has."""
        return self._given

    async def publish(self, wanted: tuple[Publication, ...]) -> bool:
        """Open exactly these ports; tell whether anything was new in it."""
        if wanted == self._open:
            return False
        failures = await self._open_all(wanted)
        self._open = wanted
        self._given = {each.key: self._given[each.key] for each in wanted}
        self.rows = tuple(self._row(each, failures.get(each.key, "")) for each in wanted)
        return True

    async def _open_all(self, wanted: tuple[Publication, ...]) -> Mapping[str, str]:
        """Open the ports, moving to the next number where one is taken; give the reasons of those that stay closed."""
        for each in wanted:
            self._given.setdefault(each.key, self._free_number(each.preferred, wanted))
        for _ in range(_MOST_TRIES):
            outcomes = await self._ask(wanted)
            taken = [each for each, code, _ in outcomes if code == "address_in_use"]
            if not taken:
                return {each.key: message for each, code, message in outcomes if code}
            for each in taken:
                self._given[each.key] = self._free_number(self._given[each.key] + 1, wanted)
        return {each.key: f"no free port from {each.preferred} on" for each in taken}

    async def _ask(self, wanted: tuple[Publication, ...]) -> list[tuple[Publication, str, str]]:
        ports = tuple(
            PublishedPort(
                host_port=self._given[each.key],
                targets=each.targets,
                host_address=self._host_address,
                tells_client=each.tells_client,
                also_udp=each.speaks_http3,
            )
            for each in wanted
        )
        outcomes = await self._publisher.set_published_ports(ports)
        failures = (
            (outcome.failure.code, outcome.failure.message) if outcome.failure else ("", "") for outcome in outcomes
        )
        return [(each, code, message) for each, (code, message) in zip(wanted, failures, strict=True)]

    def _free_number(self, first: int, wanted: tuple[Publication, ...]) -> int:
        own = {self._given[each.key] for each in wanted if each.key in self._given}
        return next(number for number in range(first, first + len(own) + 1) if number not in own)

    def _row(self, publication: Publication, error: str) -> PublishedRow:
        host_port = self._given[publication.key]
        shown_host = "localhost" if self._host_address in ("127.0.0.1", "0.0.0.0") else self._host_address
        return PublishedRow(
            namespace=publication.namespace,
            service=publication.service,
            port=publication.port,
            host_address=self._host_address,
            host_port=host_port,
            url=f"{publication.scheme}://{shown_host}:{host_port}",
            ready_targets=len(publication.targets),
            error=error,
        )


def _publications(config: ConfigSet, workloads: tuple[Workload, ...]) -> Iterator[Publication]:
    told, quic = _gateways_that_are_told(config, workloads), _quic_ports(config, workloads)
    for service in config.of(Service):
        if service.spec.type in _PUBLISHED_TYPES:
            for port in service.spec.ports:
                if port.protocol is TransportProtocol.TCP and port.port != STATUS_PORT:
                    found = _publication(service, port, workloads)
                    addresses = {target.rpartition(":")[0] for target in found.targets}
                    yield replace(
                        found,
                        tells_client=bool(addresses) and addresses <= told,
                        speaks_http3=_speaks_http3(found, quic),
                    )


def _gateways_that_are_told(config: ConfigSet, workloads: tuple[Workload, ...]) -> frozenset[str]:
    """List the addresses of gateways that are to learn who their clients are, as the settings of their proxies say."""
    defaults = mesh_config(config).default_config
    selectors = [item.spec.selector.items() for item in config.of(Gateway) if item.spec.selector]
    gateways = (one for one in workloads if any(each <= one.labels.items() for each in selectors))
    return frozenset(one.address for one in gateways if effective(defaults, one.settings).tells_gateways_of_clients)


def _quic_ports(config: ConfigSet, workloads: tuple[Workload, ...]) -> frozenset[tuple[str, int]]:
    """List the addresses of gateways with those ports, as clients call them, at which they speak HTTP/3."""
    told = _gateways_that_are_told(config, workloads)
    found = [
        (item.spec.selector.items(), server.port.number)
        for item in config.of(Gateway)
        if wants_http3(item) and item.spec.selector
        for server in item.spec.servers
        if server.can_speak_http3
    ]
    return frozenset(
        (one.address, port)
        for one in workloads
        for selector, port in found
        if selector <= one.labels.items() and one.address not in told
    )


def _speaks_http3(publication: Publication, ports: frozenset[tuple[str, int]]) -> bool:
    """Tell whether a gateway behind a port speaks HTTP/3 there, known by the service's port or by its own."""
    places = (target.rpartition(":") for target in publication.targets)
    return any((address, number) in ports for address, _, own in places for number in (publication.port, int(own)))


def _publication(service: ConfigObject[Service], port: ServicePort, workloads: tuple[Workload, ...]) -> Publication:
    selector = service.spec.selector.items()
    targets = (
        f"{workload.address}:{number}"
        for workload in workloads
        if workload.is_offered and workload.key.namespace == service.namespace
        if selector and selector <= workload.labels.items()
        if (number := _target(port, workload))
    )
    protocol = choose_protocol(port.port, port.name, port.app_protocol or None)
    return Publication(
        namespace=service.namespace,
        service=service.name,
        port=port.port,
        preferred=preferred_host_port(port),
        scheme="http" if protocol.is_http or protocol is WireProtocol.AUTO else _SCHEMES.get(protocol, "tcp"),
        targets=tuple(sorted(targets)),
    )


def _target(port: ServicePort, workload: Workload) -> int | None:
    """Resolve a service port's target on one workload; None where the name is not one of its ports."""
    return port_of(port.name, port.target_port or port.port, workload.ports, workload.entry_ports)
