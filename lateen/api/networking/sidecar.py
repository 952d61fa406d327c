"""Sidecar: what a workload's proxy accepts, and which part of the mesh it needs to know."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from lateen.api.fields import Port, ScopedHost, is_address
from lateen.api.networking.destination_rule import ConnectionPool
from lateen.api.networking.gateway import ServerTls, ServerTlsMode
from lateen.api.networking.selectors import CaptureMode, WorkloadSelector
from lateen.api.networking.service_entry import EntryProtocol
from lateen.api.networking.virtual_service import Destination
from lateen.api.structs import Checked, Problem, Struct


class SidecarPort(Struct):
    """A port of the workload; a listener without `number` takes all ports."""

    number: Port | None = None
    protocol: EntryProtocol = EntryProtocol.UNSET
    name: str = ""
    target_port: Port | None = None


class IngressListener(Checked):
    """One port that the proxy accepts connections on, and where it forwards them to."""

    port: SidecarPort
    bind: str = ""
    capture_mode: CaptureMode = CaptureMode.DEFAULT
    default_endpoint: str = ""
    tls: ServerTls | None = None
    connection_pool: ConnectionPool | None = None

    def problems(self) -> Iterator[Problem]:
        if self.port.number is None:
            yield Problem("must be set", "port.number")
        if self.bind and not is_address(self.bind):
            yield Problem(f"must be an IP address, not {self.bind!r}", "bind")
        if self.tls is not None and self.tls.mode not in (ServerTlsMode.SIMPLE, ServerTlsMode.MUTUAL):
            yield Problem(f"must be SIMPLE or MUTUAL at a sidecar, not {self.tls.mode}", "tls.mode")
        if self.tls is not None and self.tls.https_redirect:
            yield Problem("must not be set at a sidecar: it belongs to gateways", "tls.httpsRedirect")
        if self.default_endpoint and not _is_local_endpoint(self.default_endpoint):
            yield Problem(
                f"must be unix:///path or a port of 127.0.0.1, 0.0.0.0, [::1] or [::], not {self.default_endpoint!r}",
                "defaultEndpoint",
            )


class EgressListener(Checked):
    """The hosts that the workload calls, as `namespace/host`, optionally on one port only."""

    port: SidecarPort | None = None
    bind: str = ""
    capture_mode: CaptureMode = CaptureMode.DEFAULT
    hosts: Annotated[tuple[ScopedHost, ...], Field(min_length=1)]

    def problems(self) -> Iterator[Problem]:
        if self.bind and not is_address(self.bind) and not self.bind.startswith("unix://"):
            yield Problem(f"must be an IP address or unix:///path, not {self.bind!r}", "bind")
        if self.bind and self.port is None:
            yield Problem("must come with a port", "bind")


class OutboundMode(StrEnum):
    """What becomes of traffic to hosts that the mesh does not know."""

    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"
    ALLOW_ANY_DYNAMIC_DNS = "ALLOW_ANY_DYNAMIC_DNS"


class OutboundTrafficPolicy(Struct):
    """What becomes of traffic to unknown hosts, and the service that takes it where there is one."""

    mode: OutboundMode = OutboundMode.ALLOW_ANY
    egress_proxy: Destination | None = None


class Sidecar(Checked):
    """Settings of the proxies of the selected workloads, or of a whole namespace when none are selected."""

    workload_selector: WorkloadSelector | None = None
    ingress: tuple[IngressListener, ...] = ()
    egress: tuple[EgressListener, ...] = ()
    inbound_connection_pool: ConnectionPool | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None

    def problems(self) -> Iterator[Problem]:
        ports = [listener.port.number for listener in self.ingress]
        for position, number in enumerate(ports):
            if number in ports[:position]:
                yield Problem(f"must be unique: port {number} is already accepted", f"ingress[{position}].port.number")
        if sum(listener.port is None for listener in self.egress) > 1:
            yield Problem("must have at most one listener without port", "egress")
        elif any(listener.port is None for listener in self.egress[:-1]):
            yield Problem("must have its listener without port at the end", "egress")


def _is_local_endpoint(endpoint: str) -> bool:
    if endpoint.startswith("unix://"):
        return len(endpoint) > len("unix://")
    address, _, port = endpoint.rpartition(":")
    return (
        address in ("127.0.0.1", "0.0.0.0", "[::1]", "[::]")
        and port.isascii()
        and port.isdigit()
        and 0 < int(port) < 65536
    )
