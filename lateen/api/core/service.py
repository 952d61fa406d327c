"""Service: a name and ports for the workloads that have certain labels."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from lateen.api.fields import (
    EMPTY_MAP,
    Address,
    Bool,
    Ignored,
    IntOrString,
    Labels,
    Port,
    is_address,
    is_host,
    is_label,
)
from lateen.api.structs import Checked, Problem, Struct

HEADLESS = "None"
"""The `cluster_ip` of a service without a virtual address: callers get the addresses of its workloads."""


class ServiceType(StrEnum):
    """How a service is reached; everything but ExternalName has a virtual address."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"
    EXTERNAL_NAME = "ExternalName"


class TransportProtocol(StrEnum):
    """The transport of a port."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


class SessionAffinity(StrEnum):
    """Whether the connections of a client go to the same workload."""

    NONE = "None"
    CLIENT_IP = "ClientIP"


class ServicePort(Struct):
    """One port: where clients call, and the port of the workloads behind it by number or name (default: the same
    number).
    """

    name: str = ""
    port: Port
    target_port: IntOrString | None = None
    protocol: TransportProtocol = TransportProtocol.TCP
    app_protocol: str = ""
    node_port: Port | None = None


class Service(Checked):
    """A service of the mesh; with `external_name` it is another name for a host outside."""

    type: ServiceType = ServiceType.CLUSTER_IP
    selector: Labels = EMPTY_MAP
    ports: tuple[ServicePort, ...] = ()
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] = ()
    external_name: Annotated[str, Field(max_length=253)] = ""
    publish_not_ready_addresses: Bool = False
    session_affinity: SessionAffinity = SessionAffinity.NONE
    external_ips: tuple[Address, ...] = ()
    traffic_distribution: str = ""
    session_affinity_config: Ignored = None
    load_balancer_ip: Ignored = None
    load_balancer_source_ranges: Ignored = None
    load_balancer_class: Ignored = None
    external_traffic_policy: Ignored = None
    internal_traffic_policy: Ignored = None
    health_check_node_port: Ignored = None
    ip_families: Ignored = None
    ip_family_policy: Ignored = None
    allocate_load_balancer_node_ports: Ignored = None

    @property
    def headless(self) -> bool:
        """Tell whether the service was made without a virtual address."""
        return self.cluster_ip == HEADLESS

    def problems(self) -> Iterator[Problem]:
        if self.cluster_ip not in ("", HEADLESS) and not is_address(self.cluster_ip):
            yield Problem(f"must be an IP address or None, not {self.cluster_ip!r}", "clusterIP")
        if self.type is ServiceType.EXTERNAL_NAME:
            yield from self._external_name_problems()
        elif not self.ports and not self.headless:
            yield Problem("must have at least one port, unless clusterIP is None", "ports")
        yield from self._port_problems()

    def _external_name_problems(self) -> Iterator[Problem]:
        if not self.external_name:
            yield Problem("must be set for type ExternalName", "externalName")
        elif not is_host(self.external_name):
            yield Problem(f"must be a host name, not {self.external_name!r}", "externalName")
        if self.cluster_ip:
            yield Problem("must not be set for type ExternalName", "clusterIP")

    def _port_problems(self) -> Iterator[Problem]:
        names = [port.name for port in self.ports]
        numbers = [(port.port, port.protocol) for port in self.ports]
        for position, port in enumerate(self.ports):
            where = f"ports[{position}]"
            if not port.name and len(self.ports) > 1:
                yield Problem("must be set when there are several ports", f"{where}.name")
            elif port.name and not is_label(port.name):
                yield Problem(f"must be lower-case letters, digits and -, not {port.name!r}", f"{where}.name")
            elif port.name in names[:position]:
                yield Problem(f"must be unique: port {port.name} is already defined", f"{where}.name")
            if numbers[position] in numbers[:position]:
                yield Problem(f"must be unique: {port.protocol} port {port.port} is already defined", f"{where}.port")
            if isinstance(port.target_port, int) and not 0 < port.target_port < 65536:
                yield Problem(f"must be between 1 and 65535, not {port.target_port}", f"{where}.targetPort")
