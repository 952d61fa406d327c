"""What a sidecar does with the connections to its workload."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from lateen import names
from lateen.api.networking.destination_rule import ConnectionPool
from lateen.api.networking.gateway import ServerTls
from lateen.api.networking.selectors import CaptureMode
from lateen.api.networking.sidecar import IngressListener, Sidecar
from lateen.model.endpoint import Endpoint
from lateen.model.peers import PeerMode, PeerModes
from lateen.model.protocol import Protocol, choose_protocol, parse_protocol
from lateen.model.view import OwnPort, ProxyView
from lateen.model.workload import NOWHERE
from lateen.plan import clusters, ended_tls, traffic
from lateen.plan.diagnostics import Notes, below
from lateen.plan.directory import Directory
from lateen.plan.matches import ANY_REQUEST
from lateen.plan.secrets import Keyring
from lateen.plan.telemetry_types import ServiceName
from lateen.plan.traffic import Settings
from lateen.plan.types import (
    Balancing,
    Chain,
    Cluster,
    Discovery,
    EndedTls,
    Forward,
    HttpChain,
    InboundPort,
    Origin,
    Route,
    RouteTable,
    Secret,
    SniffedChain,
    Target,
    TcpChain,
    VirtualHost,
)

SOURCE_ADDRESS: Final = "127.0.0.6"
"""The address from which a sidecar calls its own workload; interception lets it through."""

PASSTHROUGH: Final = Cluster(
    names.INBOUND_PASSTHROUGH_CLUSTER,
    Discovery.ORIGINAL_DESTINATION,
    balancing=Balancing.ORIGINAL_DESTINATION,
    follows_client_protocol=True,
    bind_address=SOURCE_ADDRESS,
    service=ServiceName("", names.INBOUND_PASSTHROUGH_CLUSTER),
)
ANY_ADDRESS: Final = "0.0.0.0"
REFUSED: Final = TcpChain((Target(names.BLACK_HOLE_CLUSTER),))
_EVERY_ADDRESS: Final = (ANY_ADDRESS, "[::]")
_LOCALHOST: Final = "127.0.0.1"
FALLBACK: Final = TcpChain((Target(names.INBOUND_PASSTHROUGH_CLUSTER),))


@dataclass(frozen=True, slots=True, eq=False)
class Inbound:
    """What a sidecar's plan says about inbound traffic."""

    clusters: tuple[Cluster, ...]
    ports: tuple[InboundPort, ...]


@dataclass(frozen=True, slots=True)
class IngressTls:
    """A port of a Sidecar at which TLS is ended; `ended` None refuses connections."""

    port: int
    ended: EndedTls | None


@dataclass(frozen=True, slots=True)
class _TlsListener:
    """A Sidecar's ingress as a server with TLS."""

    tls: ServerTls
    origin: Origin


@dataclass(frozen=True, slots=True)
class _Door:
    """One port of the workload with all that is said about it. `endpoint` None is the connection's own target."""

    port: int
    protocol: Protocol
    host: str = ""
    service_port: int = 0
    endpoint: Endpoint | None = None
    target_port: int | None = None
    opens: str = ""
    origin: Origin | None = None


def ingress_tls(directory: Directory, keyring: Keyring, needed: list[Secret], notes: Notes) -> tuple[IngressTls, ...]:
    """Settle the TLS of a Sidecar's ports, as in Istio at those which do not take the mesh's own."""
    sidecar, found = directory.view.sidecar, []
    for position, listener in enumerate(sidecar.spec.ingress if sidecar is not None else ()):
        if sidecar is None or listener.tls is None or listener.port.number is None:
            continue
        origin = Origin(sidecar.key, f"spec.ingress[{position}]")
        if directory.view.peers.of(listener.port.number) is PeerMode.DISABLE:
            server = _TlsListener(listener.tls, origin)
            found.append(
                IngressTls(
                    listener.port.number, ended_tls.ended_tls(server, directory.defaults.tls, keyring, needed, notes)
                )
            )
        else:
            said = "has no effect while the port takes the mesh's TLS: turn that off with a PeerAuthentication's"
            notes.add(below(origin, "tls"), f"{said} portLevelMtls: {{{listener.port.number}: {{mode: DISABLE}}}}")
    return tuple(found)


def inbound(directory: Directory, secured: tuple[IngressTls, ...] = ()) -> Inbound:
    """Put together the workload's ports: those that a Sidecar's ingress names, else those that services send to."""
    view = directory.view
    services = [directory.services.get(port.host) for port in view.own_ports]
    policies = [directory.policy(service) if service else None for service in services]
    return directory.cache.recall(
        "inbound",
        (directory.defaults, view.sidecar, *services, *policies),
        (view.own_ports, view.peers, secured),
        lambda: _inbound(directory, {one.port: one.ended for one in secured}),
    )


def _inbound(directory: Directory, secured: Mapping[int, EndedTls | None]) -> Inbound:
    sidecar = directory.view.sidecar
    if sidecar is not None and sidecar.spec.ingress:
        doors = [
            _ingress_door(listener, Origin(sidecar.key, f"spec.ingress[{position}]"), directory.view.own_ports)
            for position, listener in enumerate(sidecar.spec.ingress)
        ]
        doors = [replace(door, protocol=_ended(door.protocol)) if door.port in secured else door for door in doors]
    else:
        doors = list(_doors(directory.view.own_ports))
    if directory.defaults.reaches_by_localhost:
        doors = [
            replace(door, endpoint=door.endpoint or Endpoint(_LOCALHOST, door.target_port or door.port))
            for door in doors
        ]
    pools = [_pool(door, directory) for door in doors]
    clusters = [_cluster(door, pool, directory) for door, pool in zip(doors, pools, strict=True)]
    peers = directory.view.peers
    ports = [
        InboundPort(
            door.port,
            REFUSED if door.port in secured and secured[door.port] is None else _chain(door, pool, directory),
            door.host,
            peers.of(door.port),
            secured.get(door.port),
            door.opens,
        )
        for door, pool in zip(doors, pools, strict=True)
    ]
    ports += _other_ports(peers, {door.port for door in doors})
    return Inbound((*clusters, PASSTHROUGH), directory.cache.intern(tuple(ports)))


def replicas(view: ProxyView) -> Cluster | None:
    """Return the endpoints of the workload's own service, which tell its proxy how many clients each zone has.

    Only a proxy that knows where it is compares them. A workload that no service sends to counts as the only one.
    """
    if view.key.locality == NOWHERE:
        return None
    own = min(view.own_ports, key=lambda port: (port.host, port.service_port), default=None)
    host, port = (own.host, own.service_port) if own else ("", 0)
    return Cluster(names.LOCAL_CLUSTER, Discovery.EDS, host=host, port=port)


def note_ingress(directory: Directory, notes: Notes) -> None:
    """Note what a Sidecar says of its ports that has no effect and that somebody may rely on."""
    sidecar = directory.view.sidecar
    for position, listener in enumerate(sidecar.spec.ingress if sidecar is not None else ()):
        if sidecar is None:
            continue
        origin = Origin(sidecar.key, f"spec.ingress[{position}]")
        if listener.capture_mode is CaptureMode.NONE and not _opens(listener):
            said = "has no effect without a defaultEndpoint on 127.0.0.1 or a socket: the port would lead to itself"
            notes.add(below(origin, "captureMode"), said)
        if listener.bind and listener.capture_mode is not CaptureMode.NONE:
            said = "has no effect: what comes to any address of the workload is captured, unless captureMode is NONE"
            notes.add(below(origin, "bind"), said)


def _other_ports(peers: PeerModes, known: set[int]) -> Iterator[InboundPort]:
    """Yield the ports that no service sends to, but that take other connections than the workload's remaining ones."""
    for number, mode in peers.ports:
        if number not in known:
            yield InboundPort(number, FALLBACK, mode=mode)


def _doors(own_ports: Iterable[OwnPort]) -> Iterator[_Door]:
    """Yield each port of the workload once; where services disagree on its protocol it is detected."""
    for number, group in groupby(sorted(own_ports), key=lambda port: port.number):
        ports = [port for port in group if port.protocol is not Protocol.UDP]
        if ports:
            protocols = {port.protocol for port in ports}
            protocol = protocols.pop() if len(protocols) == 1 else Protocol.AUTO
            yield _Door(number, protocol, ports[0].host, ports[0].service_port)


def _ingress_door(listener: IngressListener, origin: Origin, own_ports: Iterable[OwnPort]) -> _Door:
    number = listener.port.number or 0
    declared = parse_protocol(listener.port.protocol.value) if listener.port.protocol else None
    known = next((port for port in own_ports if port.number == number), None)
    return _Door(
        number,
        declared or choose_protocol(number, listener.port.name),
        known.host if known else "",
        known.service_port if known else number,
        _default_endpoint(listener.default_endpoint),
        _target_port(listener.default_endpoint, number),
        _opens(listener),
        origin,
    )


def _opens(listener: IngressListener) -> str:
    """Return the address at which the proxy opens a port itself; it then has to lead to another one."""
    if listener.capture_mode is not CaptureMode.NONE or _default_endpoint(listener.default_endpoint) is None:
        return ""
    return listener.bind or ANY_ADDRESS


def _target_port(text: str, number: int) -> int | None:
    """Read to which other port of the workload's own address connections go; None where it is theirs."""
    address, _, port = text.rpartition(":")
    return int(port) if address in _EVERY_ADDRESS and int(port) != number else None


def _ended(protocol: Protocol) -> Protocol:
    """Say what is inside TLS that is ended."""
    return {Protocol.HTTPS: Protocol.HTTP, Protocol.TLS: Protocol.TCP}.get(protocol, protocol)


def _default_endpoint(text: str) -> Endpoint | None:
    """Read where a Sidecar's ingress forwards to; `0.0.0.0:PORT` is the workload's own address."""
    if text.startswith("unix://"):
        return Endpoint(text, 0)
    address, _, port = text.rpartition(":")
    if not address or address in _EVERY_ADDRESS:
        return None
    return Endpoint(address.strip("[]"), int(port))


def _pool(door: _Door, directory: Directory) -> ConnectionPool | None:
    """Bound what the workload gets: as its Sidecar says, else as clients are told by the host's DestinationRule."""
    sidecar, service = directory.view.sidecar, directory.services.get(door.host)
    own = _pool_of(sidecar.spec, door) if sidecar else None
    if own is not None or service is None:
        return own
    return traffic.settle(directory.policy(service), door.service_port, "", directory.defaults).pool


def _pool_of(sidecar: Sidecar, door: _Door) -> ConnectionPool | None:
    for listener in sidecar.ingress:
        if listener.port.number == door.port and listener.connection_pool is not None:
            return listener.connection_pool
    return sidecar.inbound_connection_pool


def _cluster(door: _Door, pool: ConnectionPool | None, directory: Directory) -> Cluster:
    is_static = door.endpoint is not None
    return Cluster(
        name=names.inbound_cluster(door.port),
        discovery=Discovery.STATIC if is_static else Discovery.ORIGINAL_DESTINATION,
        host=door.host,
        port=door.port,
        protocol=door.protocol,
        balancing=Balancing.LEAST_REQUEST if is_static else Balancing.ORIGINAL_DESTINATION,
        limits=traffic.limits(Settings(pool=pool), directory.defaults),
        endpoints=(door.endpoint,) if door.endpoint else (),
        follows_client_protocol=clusters.follows_client(door.protocol, pool),
        bind_address="" if is_static else SOURCE_ADDRESS,
        target_port=None if is_static else door.target_port,
        service=clusters.service_name(service) if (service := directory.services.get(door.host)) else None,
        origin=door.origin,
    )


def _chain(door: _Door, pool: ConnectionPool | None, directory: Directory) -> Chain:
    cluster = names.inbound_cluster(door.port)
    tcp = TcpChain((Target(cluster),), traffic.keeping(Settings(pool=pool)))
    if door.protocol.is_http:
        return _http_chain(door, cluster, directory)
    if door.protocol is Protocol.AUTO:
        return SniffedChain(_http_chain(door, cluster, directory), tcp)
    return tcp


def _http_chain(door: _Door, cluster: str, directory: Directory) -> HttpChain:
    """Return a table of its own for the port: every request goes to the workload."""
    forward = Forward((Target(cluster),), retry=directory.defaults.inbound_retry)
    host = VirtualHost(
        f"inbound|http|{door.service_port or door.port}",
        ("*",),
        (Route(ANY_REQUEST, forward, name="default", origin=door.origin),),
    )
    return HttpChain(cluster, RouteTable(cluster, (host,)))
