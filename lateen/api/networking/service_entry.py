"""ServiceEntry: services that the mesh does not run or that no Service describes."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from lateen.api.fields import Cidr, ExportScope, NonEmpty, Port, WildcardHost, is_address
from lateen.api.networking.selectors import WorkloadSelector
from lateen.api.networking.workload_entry import WorkloadEntry
from lateen.api.structs import Checked, Problem, Struct, at_most_one


class Location(StrEnum):
    """Whether the service's workloads are part of the mesh (and speak its mTLS)."""

    MESH_EXTERNAL = "MESH_EXTERNAL"
    MESH_INTERNAL = "MESH_INTERNAL"


class Resolution(StrEnum):
    """How the proxy finds the service's addresses."""

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


class EntryProtocol(StrEnum):
    """What the service speaks on a port."""

    UNSET = ""
    HTTP = "HTTP"
    HTTPS = "HTTPS"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-WEB"
    HTTP2 = "HTTP2"
    MONGO = "MONGO"
    REDIS = "REDIS"
    MYSQL = "MYSQL"
    TCP = "TCP"
    TLS = "TLS"
    UDP = "UDP"

    @classmethod
    def _missing_(cls, value: object) -> "EntryProtocol | None":
        return cls._value2member_map_.get(value.upper()) if isinstance(value, str) else None  # type: ignore[return-value]


class ServiceEntryPort(Struct):
    """One port of the service; `target_port` is the port of its endpoints where that differs."""

    number: Port
    protocol: EntryProtocol = EntryProtocol.UNSET
    name: NonEmpty
    target_port: Port | None = None


class ServiceEntry(Checked):
    """Hosts with ports, and where they are found."""

    hosts: Annotated[tuple[WildcardHost, ...], Field(min_length=1, max_length=256)]
    addresses: Annotated[tuple[Cidr, ...], Field(max_length=256)] = ()
    ports: Annotated[tuple[ServiceEntryPort, ...], Field(max_length=256)] = ()
    location: Location = Location.MESH_EXTERNAL
    resolution: Resolution = Resolution.NONE
    endpoints: Annotated[tuple[WorkloadEntry, ...], Field(max_length=4096)] = ()
    workload_selector: WorkloadSelector | None = None
    export_to: tuple[ExportScope, ...] = ()
    subject_alt_names: tuple[str, ...] = ()

    def problems(self) -> Iterator[Problem]:
        yield from at_most_one(self, "endpoints", "workload_selector")
        yield from self._host_problems()
        yield from self._port_problems()
        yield from self._resolution_problems()

    def _host_problems(self) -> Iterator[Problem]:
        for position, host in enumerate(self.hosts):
            if host == "*" or is_address(host):
                yield Problem(f"must be a host name, not {host!r}: addresses go into addresses", f"hosts[{position}]")
            elif (
                host.startswith("*")
                and self.resolution in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)
                and not self.endpoints
            ):
                yield Problem(
                    "must be a full name for DNS without endpoints: use DYNAMIC_DNS or NONE for wildcards",
                    f"hosts[{position}]",
                )

    def _port_problems(self) -> Iterator[Problem]:
        for field in ("number", "name"):
            values = [getattr(port, field) for port in self.ports]
            for position, value in enumerate(values):
                if value in values[:position]:
                    yield Problem(f"must be unique: port {value} is already defined", f"ports[{position}].{field}")

    def _resolution_problems(self) -> Iterator[Problem]:
        if self.resolution is Resolution.NONE and self.endpoints:
            yield Problem("must be STATIC or DNS when there are endpoints", "resolution")
        if self.resolution is Resolution.STATIC and not self.endpoints and self.workload_selector is None:
            yield Problem("must be set for resolution STATIC, or workloadSelector", "endpoints")
        if self.resolution in (Resolution.DYNAMIC_DNS,):
            if self.endpoints or self.workload_selector is not None:
                yield Problem(
                    "must not be DYNAMIC_DNS beside endpoints or workloadSelector: the name is the endpoint",
                    "resolution",
                )
            if self.addresses:
                yield Problem("must be empty for resolution DYNAMIC_DNS", "addresses")
        if self.resolution is Resolution.DNS_ROUND_ROBIN and len(self.endpoints) > 1:
            yield Problem("must have only one endpoint for resolution DNS_ROUND_ROBIN", "endpoints")
        if self.resolution in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN):
            for position, address in enumerate(self.addresses):
                if "/" in address:
                    yield Problem("must be a single address, not a range, for DNS", f"addresses[{position}]")
        yield from self._endpoint_problems()

    def _endpoint_problems(self) -> Iterator[Problem]:
        names = {port.name for port in self.ports}
        for position, endpoint in enumerate(self.endpoints):
            where = f"endpoints[{position}]"
            local = endpoint.address.startswith("unix://")
            if (
                self.resolution is Resolution.STATIC
                and endpoint.address
                and not local
                and not is_address(endpoint.address)
            ):
                yield Problem(
                    f"must be an IP address for resolution STATIC, not {endpoint.address!r}", f"{where}.address"
                )
            if local and len(self.ports) > 1:
                yield Problem("must not be a unix socket when there are several ports", f"{where}.address")
            for name in endpoint.ports:
                if name not in names:
                    yield Problem(
                        f"must be one of the ports' names: {', '.join(sorted(names))}", f"{where}.ports.{name}"
                    )
