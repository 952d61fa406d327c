"""What a Sidecar's egress says: which hosts its workload calls on which port, and which ports are opened for it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lateen import names
from lateen.api.networking.selectors import CaptureMode
from lateen.api.networking.sidecar import EgressListener, Sidecar
from lateen.api.objects import ConfigObject
from lateen.model import visibility
from lateen.model.protocol import choose_protocol, parse_protocol
from lateen.model.service import Service
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory
from lateen.plan.services import ServicePart
from lateen.plan.types import (
    Chain,
    HttpChain,
    Origin,
    OutboundListener,
    RouteTable,
    SniffedChain,
    TcpChain,
    VirtualHost,
)

LOCAL: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Scope:
    """The egress listeners of a Sidecar that tell ports apart; without any, all that is in the view may be called."""

    namespace: str
    listeners: tuple[EgressListener, ...] = ()

    def admits(self, service: Service, port: int) -> bool:
        """Tell whether captured traffic to a service's port is known.

        Listeners for that port decide alone; where there is none, the one without port does.
        """
        if not self.listeners:
            return True
        captured = [listener for listener in self.listeners if not is_bound(listener)]
        own = [listener for listener in captured if listener.port is not None and listener.port.number == port]
        rest = [listener for listener in captured if listener.port is None]
        return any(self.names(listener, service) for listener in own or rest)

    def names(self, listener: EgressListener, service: Service) -> bool:
        """Tell whether a listener is for a service."""
        patterns = (visibility.scoped_host(text, self.namespace) for text in listener.hosts)
        return any(
            scope in ("*", service.namespace) and visibility.host_matches(host, service.host)
            for scope, host in patterns
        )


def scope(sidecar: ConfigObject[Sidecar] | None, namespace: str) -> Scope:
    """Read the scope of a Sidecar as it is for workloads of a namespace.

    Without listeners for single ports there is nothing to tell apart: the view holds only what the others name.
    """
    listeners = sidecar.spec.egress if sidecar is not None else ()
    return Scope(namespace, listeners if any(listener.port is not None for listener in listeners) else ())


def is_bound(listener: EgressListener) -> bool:
    """Tell whether a listener is an open port, which the workload calls as such."""
    return listener.port is not None and (bool(listener.bind) or listener.capture_mode is CaptureMode.NONE)


def admitted(part: ServicePart, service: Service, allowed: Scope) -> ServicePart:
    """Keep of what a service adds the ports that its clients here may call."""
    if not allowed.listeners:
        return part
    return ServicePart(
        part.clusters,
        tuple(entry for entry in part.shared if allowed.admits(service, entry[0])),
        tuple(listener for listener in part.listeners if allowed.admits(service, listener.port)),
        part.tables,
        tuple(claim for claim in part.claims if allowed.admits(service, claim.port)),
        tuple(entry for entry in part.named if allowed.admits(service, entry[0])),
        tuple(entry for entry in part.subnets if allowed.admits(service, entry[0])),
    )


@dataclass(frozen=True, slots=True)
class Opened:
    """An open port, and the route table for what comes there as HTTP."""

    listener: OutboundListener
    table: RouteTable | None = None


def opened(
    sidecar: ConfigObject[Sidecar] | None,
    offers: Sequence[tuple[Service, ServicePart]],
    unknown: VirtualHost,
    directory: Directory,
    notes: Notes,
) -> Iterator[Opened]:
    """Yield the ports that a Sidecar opens; connections to one are for the first of its hosts that has such a port."""
    if sidecar is None:
        return
    allowed = scope(sidecar, directory.view.namespace)
    for position, listener in enumerate(sidecar.spec.egress):
        if listener.port is None or listener.port.number is None or not is_bound(listener):
            continue
        named = [part for service, part in offers if allowed.names(listener, service)]
        found = _opened(listener, listener.port.number, named, unknown)
        if found is None:
            origin = Origin(sidecar.key, f"spec.egress[{position}]")
            notes.add(origin, f"is not opened: none of its hosts has a port {listener.port.number} for connections")
        else:
            yield directory.cache.intern(found)


def _opened(listener: EgressListener, port: int, parts: Iterable[ServicePart], unknown: VirtualHost) -> Opened | None:
    address = listener.bind or LOCAL
    if _is_http(listener):
        hosts = tuple(host for part in parts for number, host in part.shared if number == port)
        table = RouteTable(names.listener(address, port), (*hosts, unknown))
        return Opened(OutboundListener(address, port, HttpChain(table.name), opens=True), table)
    chain = next((found for part in parts for found in _connections(part, port)), None)
    return Opened(OutboundListener(address, port, chain, opens=True)) if chain is not None else None


def _is_http(listener: EgressListener) -> bool:
    written = listener.port
    if written is None:
        return False
    declared = parse_protocol(written.protocol.value) if written.protocol else None
    return (declared or choose_protocol(written.number or 0, written.name)).is_http


def _connections(part: ServicePart, port: int) -> Iterator[TcpChain]:
    for listener in part.listeners:
        if listener.port == port:
            yield _for_connections(listener.chain)
    for claim in part.claims:
        if claim.port == port:
            yield claim.chain


def _for_connections(chain: Chain) -> TcpChain:
    if isinstance(chain, SniffedChain):
        return chain.tcp
    if isinstance(chain, TcpChain):
        return chain
    raise TypeError("a service's own listener is never for HTTP alone")
