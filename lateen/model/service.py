"""A service: the host name and ports that clients call, whatever object it came from."""

from dataclasses import dataclass
from enum import StrEnum

from lateen.api.objects import ObjectKey
from lateen.model.endpoint import Endpoint
from lateen.model.protocol import Protocol


class Resolution(StrEnum):
    """How a proxy finds the endpoints of a service.

    REGISTRY: we know them. DNS and DNS_ROUND_ROBIN: the proxy resolves the names. PASSTHROUGH: the client has
    resolved an address already, and the connection goes there (headless Services, ServiceEntry NONE).
    """

    REGISTRY = "REGISTRY"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    PASSTHROUGH = "PASSTHROUGH"
    DYNAMIC_DNS = "DYNAMIC_DNS"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a service. `target` is the endpoint's port: a number or the name of a container port."""

    number: int
    name: str
    protocol: Protocol
    target: int | str


@dataclass(frozen=True, slots=True)
class Service:
    """What clients call. Equal by value; unchanged services are the same object in successive snapshots.

    `addresses` are the virtual addresses (may hold CIDRs for ServiceEntries); a headless service has none.
    `selector` picks workloads of `namespace`; empty means that endpoints come from elsewhere.
    `static_endpoints` are those written in a ServiceEntry, port by port number of the service.
    `export_to` holds namespaces, `*` for all. `alias_of` is the host that an ExternalName Service stands for.
    `accounts` are the SPIFFE ids of those who may serve it: the accounts of its workloads, ready or not.
    `prefers_near` has clients call the endpoints that are nearest to them, as long as these are ready.
    `keeps_clients` has each client's calls go to one endpoint, as long as it is there.
    `tls_ports` are its ports on which all of its workloads take the mesh's mutual TLS.
    """

    host: str
    namespace: str
    ports: tuple[ServicePort, ...]
    origin: ObjectKey
    addresses: tuple[str, ...] = ()
    resolution: Resolution = Resolution.REGISTRY
    selector: tuple[tuple[str, str], ...] = ()
    static_endpoints: tuple[tuple[int, tuple[Endpoint, ...]], ...] = ()
    export_to: frozenset[str] = frozenset({"*"})
    external: bool = False
    headless: bool = False
    includes_unready: bool = False
    alias_of: str = ""
    subject_alt_names: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    tls_ports: tuple[int, ...] = ()
    prefers_near: bool = False
    keeps_clients: bool = False

    def port(self, number: int) -> ServicePort | None:
        """Find a port by its number."""
        return next((port for port in self.ports if port.number == number), None)

    def is_visible_from(self, namespace: str) -> bool:
        """Tell whether `exportTo` lets a client of a namespace see this service."""
        return "*" in self.export_to or namespace in self.export_to
