"""From a destination as a rule writes it to the cluster that carries the traffic.

A destination *dangles* when its host, port or subset does not exist. It never becomes the name of a cluster that is
not there. Its share goes to the rule's other destinations; when all of them dangle, requests are answered with 503
and connections are refused. Either way there is a diagnostic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from lateen import names
from lateen.api.networking.virtual_service import Destination, RouteDestination
from lateen.model.service import Resolution, Service, ServicePort
from lateen.plan import sessions, tls, traffic
from lateen.plan.destination_types import FOREVER, Keeping, Session, Tunnel
from lateen.plan.diagnostics import Doubt, Notes, below
from lateen.plan.directory import Directory, tcp_ports
from lateen.plan.types import HashKey, Origin, Target, TcpChain


class _Branch(Protocol):
    """What every branch of a split has."""

    @property
    def destination(self) -> Destination: ...

    @property
    def weight(self) -> int | None: ...


BranchT = TypeVar("BranchT", bound=_Branch)
WHOLE: Final = 100


@dataclass(frozen=True, slots=True)
class Found:
    """The cluster of a destination, and what its consistent hashing looks at.

    `is_told_apart` is true where the server's proxy finds out inside the mesh's TLS whether a connection is HTTP.
    """

    cluster: str
    hash_keys: tuple[HashKey, ...] = ()
    is_told_apart: bool = False
    tunnel: Tunnel | None = None
    keeping: Keeping = FOREVER
    session: Session | None = None
    resolves: bool = False


@dataclass(frozen=True, slots=True)
class Dangling:
    """Why a destination leads nowhere."""

    reason: str
    code: Doubt = Doubt.MISSING


@dataclass(frozen=True, slots=True)
class Site:
    """Where a rule acts: the namespace that wrote it, the port that clients call, its place in its object."""

    directory: Directory
    namespace: str
    port: int
    origin: Origin
    notes: Notes

    def find(self, destination: Destination) -> Found | Dangling:
        """Find the cluster of one of the rule's destinations."""
        return find(self.directory, destination, self.namespace, self.port)

    def note(self, path: str, message: str, code: Doubt = Doubt.OTHER) -> None:
        """Note that a field of the rule is doubtful."""
        self.notes.add(below(self.origin, path), message, code)


def find(directory: Directory, destination: Destination, namespace: str, listener_port: int) -> Found | Dangling:
    """Find the cluster of a destination in a rule of `namespace` that acts on `listener_port`.

    Without a port it is the service's only one, or the one with the listener's number.
    """
    service, policy = directory.destination(destination.host, namespace)
    if service is None:
        return Dangling(f"host {destination.host} is no service that can be seen from here")
    port = _port(service, destination, listener_port)
    if port is None:
        left_out = Doubt.PORT_LEFT_OUT if destination.port is None else Doubt.MISSING
        return Dangling(_port_reason(service, destination), left_out)
    if destination.subset and destination.subset not in policy.subsets:
        return Dangling(f"no DestinationRule for {service.host} defines subset {destination.subset}")
    settings = traffic.settle(policy, port.number, destination.subset, directory.defaults)
    return Found(
        names.outbound_cluster(service.host, port.number, destination.subset),
        traffic.hash_keys(settings.load_balancer),
        tls.is_told_apart_by_proxy(port, settings),
        traffic.tunnel(settings.tunnel),
        traffic.keeping(settings),
        sessions.session(directory.session(service)),
        service.resolution is Resolution.DYNAMIC_DNS,
    )


def _port(service: Service, destination: Destination, listener_port: int) -> ServicePort | None:
    ports = tcp_ports(service.ports)
    if destination.port is None and len(ports) == 1:
        return ports[0]
    number = destination.port.number if destination.port else listener_port
    return next((port for port in ports if port.number == number), None)


def _port_reason(service: Service, destination: Destination) -> str:
    known = ", ".join(str(port.number) for port in tcp_ports(service.ports)) or "none"
    if destination.port is None:
        return f"{service.host} has several ports ({known}): name one"
    return f"{service.host} has no port {destination.port.number}, it has {known}"


@dataclass(frozen=True, slots=True)
class Share:
    """A destination that was found, its share, and where in the rule it is written."""

    position: int
    found: Found
    weight: int


def shares(branches: Sequence[BranchT], site: Site) -> tuple[Share, ...]:
    """Settle the branches of a split: what has weight 0 or dangles is left out, one branch alone gets everything."""
    alone = len(branches) == 1
    settled: list[Share] = []
    for position, branch in enumerate(branches):
        weight = WHOLE if alone else branch.weight or 0
        if weight == 0:
            continue
        found = site.find(branch.destination)
        if isinstance(found, Found):
            settled.append(Share(position, found, weight))
        else:
            site.note(f"route[{position}].destination", f"{found.reason}; {_consequence(len(branches))}", found.code)
    return tuple(settled)


def _consequence(branches: int) -> str:
    if branches == 1:
        return "the traffic is refused"
    return "its share goes to the rule's other destinations, and is refused when none is left"


def connection_chain(route: Sequence[RouteDestination], site: Site) -> TcpChain:
    """Settle where the connections of a tcp or tls rule go; they are refused when no destination is left.

    All of them go through the tunnel of the first destination that has one, and are kept as the first one's are.
    """
    split = [(share, share.found) for share in shares(route, site)]
    targets = tuple(Target(found.cluster, share.weight) for share, found in split)
    return TcpChain(
        targets or (Target(names.BLACK_HOLE_CLUSTER),),
        keeping=next((found.keeping for _, found in split), FOREVER),
        says_tcp=any(found.is_told_apart for _, found in split),
        keeps_clients=any(traffic.keeps_clients(found.hash_keys) for _, found in split),
        tunnel=next((found.tunnel for _, found in split if found.tunnel), None),
        resolves_name=site.port if any(found.resolves for _, found in split) else None,
        origin=site.origin,
    )
