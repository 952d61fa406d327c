"""The servers of Gateways that a gateway's workload opens, and where they and VirtualServices agree on a host."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lateen.api.mesh.mesh_config import ProxyDefaults
from lateen.api.networking.gateway import (
    HTTP3_ANNOTATION,
    Gateway,
    Server,
    ServerProtocol,
    ServerTls,
    ServerTlsMode,
    wants_http3,
)
from lateen.api.networking.virtual_service import VirtualService
from lateen.api.objects import ConfigObject
from lateen.model import visibility
from lateen.plan.diagnostics import Doubt, Notes, below
from lateen.plan.directory import Directory, hosts_of
from lateen.plan.matches import Vantage, gateway_name
from lateen.plan.types import Origin


class Kind(StrEnum):
    """What is looked at to tell the connections to a port apart: requests, server names, or nothing."""

    HTTP = "HTTP"
    TLS = "TLS"
    TCP = "TCP"


_TCP: Final = (ServerProtocol.TCP, ServerProtocol.MONGO)
_TLS: Final = (ServerProtocol.HTTPS, ServerProtocol.TLS)
_PASSED_ON: Final = (ServerTlsMode.PASSTHROUGH, ServerTlsMode.AUTO_PASSTHROUGH)


@dataclass(frozen=True, slots=True)
class OpenServer:
    """A server of a Gateway at the port that the gateway's workload binds for it."""

    gateway: ConfigObject[Gateway]
    server: Server
    origin: Origin
    bound_port: int

    @property
    def gateway_name(self) -> str:
        """The Gateway as VirtualServices name it."""
        return f"{self.gateway.namespace}/{self.gateway.name}"

    @property
    def port(self) -> int:
        """The port that clients call."""
        return self.server.port.number

    @property
    def place(self) -> tuple[int, str]:
        """What it shares with other servers: a port, or a socket of its own."""
        return self.bound_port, self.server.socket

    @property
    def kind(self) -> Kind:
        """How the connections to it are told apart."""
        if self.server.port.protocol in _TLS:
            return Kind.TLS
        return Kind.TCP if self.server.port.protocol in _TCP else Kind.HTTP

    @property
    def redirects(self) -> bool:
        """Tell whether plain requests are sent to HTTPS."""
        return self.server.tls is not None and self.server.tls.https_redirect

    @property
    def tls(self) -> ServerTls:
        """The TLS of a server that has some."""
        return self.server.tls or ServerTls()

    @property
    def ends_tls(self) -> bool:
        """Tell whether TLS ends here, rather than at whoever is behind."""
        return self.tls.mode not in _PASSED_ON

    def speaks_http3(self, proxy: ProxyDefaults) -> bool:
        """Tell whether its requests may come over QUIC too."""
        return wants_http3(self.gateway) and self.server.can_speak_http3 and not proxy.tells_gateways_of_clients

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that are served, without the namespaces that may claim them."""
        return tuple(
            dict.fromkeys(visibility.scoped_host(text, self.gateway.namespace)[1] for text in self.server.hosts)
        )


def open_servers(directory: Directory, notes: Notes) -> Iterator[OpenServer]:
    """Yield the servers that can be opened, the oldest Gateway's first."""
    bound = dict(directory.view.gateway_ports)
    for gateway in directory.view.gateways:
        _note_http3(gateway, directory.proxy, notes)
        for position, server in enumerate(gateway.spec.servers):
            origin = Origin(gateway.key, f"spec.servers[{position}]")
            if server.default_endpoint:
                said = "has no effect, as in Istio: say in a VirtualService where requests go"
                notes.add(below(origin, "defaultEndpoint"), said, Doubt.NO_EFFECT_YET)
            yield OpenServer(gateway, server, origin, bound.get(server.port.number, server.port.number))


def _note_http3(gateway: ConfigObject[Gateway], proxy: ProxyDefaults, notes: Notes) -> None:
    """Note where HTTP/3 is asked for and cannot be spoken."""
    if not wants_http3(gateway):
        return
    asked = Origin(gateway.key, f"metadata.annotations.{HTTP3_ANNOTATION}")
    if proxy.tells_gateways_of_clients:
        said = "has no effect beside gatewayTopology.proxyProtocol: over QUIC nobody tells who the client is"
        notes.add(asked, said)
    servers = gateway.spec.servers
    for position, server in enumerate(servers):
        if server.port.protocol is ServerProtocol.HTTPS and server.tls is not None and server.tls.ends_below_tls13:
            at = Origin(gateway.key, f"spec.servers[{position}].tls.maxProtocolVersion")
            notes.add(at, "leaves the server without HTTP/3, which has TLS 1.3")
    if not any(server.can_speak_http3 for server in servers):
        notes.add(asked, "has no effect: no server is of protocol HTTPS with mode SIMPLE, MUTUAL or OPTIONAL_MUTUAL")


def rules_of(server: OpenServer, directory: Directory) -> list[ConfigObject[VirtualService]]:
    """List the VirtualServices that are bound to a server's Gateway, oldest first."""
    return [item for item in directory.view.virtual_services if server.gateway_name in gateways_of(item)]


def gateways_of(item: ConfigObject[VirtualService]) -> frozenset[str]:
    """Return the Gateways that a VirtualService is bound to."""
    return frozenset(gateway_name(name, item.namespace) for name in item.spec.gateways or ("mesh",))


def agreed(server: OpenServer, item: ConfigObject[VirtualService], domain: str) -> Iterator[str]:
    """Yield the narrower name of each pair of a server's and a rule's host of which one covers the other."""
    return agreed_names(server, item.namespace, hosts_of(item, domain))


def agreed_names(server: OpenServer, namespace: str, claimed_names: Iterable[str]) -> Iterator[str]:
    """Yield the narrower name of each pair of a server's host and a name that is claimed from a namespace."""
    claimed_names = tuple(claimed_names)
    for text in server.server.hosts:
        scope, offered = visibility.scoped_host(text, server.gateway.namespace)
        if scope not in ("*", namespace):
            continue
        for claimed in claimed_names:
            if visibility.host_matches(offered, claimed):
                yield claimed
            elif visibility.host_matches(claimed, offered):
                yield offered


def vantage(directory: Directory, gateways: frozenset[str], port: int) -> Vantage:
    """Look at rules as a gateway does, at a port that clients call."""
    return Vantage(gateways, port, directory.view.namespace, directory.view.labels)
