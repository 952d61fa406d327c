"""EndpointSlice: addresses of a service without selector, written by hand; a label names the service."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from lateen.api.core.service import TransportProtocol
from lateen.api.fields import Bool, Ignored, NonEmpty, Port, is_address, is_host
from lateen.api.structs import Checked, Problem, Struct

SERVICE_LABEL: Final = "kubernetes.io/service-name"
"""The label of an EndpointSlice that names its service."""


class AddressType(StrEnum):
    """What all addresses of a slice are."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"
    FQDN = "FQDN"


class EndpointConditions(Struct):
    """The state of an endpoint; what is not said is good."""

    ready: Bool = True
    serving: Bool | None = None
    terminating: Bool = False


class SliceEndpoint(Struct):
    """One endpoint; its addresses are interchangeable."""

    addresses: Annotated[tuple[NonEmpty, ...], Field(min_length=1, max_length=100)]
    conditions: EndpointConditions = Field(default_factory=EndpointConditions)
    hostname: str = ""
    node_name: str = ""
    zone: str = ""
    target_ref: Ignored = None
    hints: Ignored = None
    deprecated_topology: Ignored = None


class SlicePort(Struct):
    """A port that all endpoints of the slice have; its name is that of the service's port."""

    name: str = ""
    port: Port | None = None
    protocol: TransportProtocol = TransportProtocol.TCP
    app_protocol: str = ""


class EndpointSlice(Checked):
    """Endpoints of one service."""

    address_type: AddressType
    endpoints: Annotated[tuple[SliceEndpoint, ...], Field(max_length=1000)] = ()
    ports: Annotated[tuple[SlicePort, ...], Field(max_length=100)] = ()

    def problems(self) -> Iterator[Problem]:
        for position, endpoint in enumerate(self.endpoints):
            for address_position, address in enumerate(endpoint.addresses):
                if not self._is_of_type(address):
                    where = f"endpoints[{position}].addresses[{address_position}]"
                    yield Problem(f"must be an address of type {self.address_type}, not {address!r}", where)

    def _is_of_type(self, address: str) -> bool:
        if self.address_type is AddressType.FQDN:
            return is_host(address)
        return is_address(address) and (":" in address) == (self.address_type is AddressType.IPV6)
