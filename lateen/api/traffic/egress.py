"""Egress: hosts outside of the mesh that workloads call, in one object: through a gateway or not, with TLS or not."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from lateen.api.fields import EMPTY_MAP, Bool, ExportScope, Labels, NonEmpty, Port, WildcardHost, is_address
from lateen.api.structs import Checked, Problem, Struct


class EgressProtocol(StrEnum):
    """What clients speak: HTTP, or TLS that stays theirs from end to end."""

    HTTP = "HTTP"
    TLS = "TLS"


class EgressPort(Struct):
    """A port of the hosts; `name` is taken from the protocol unless it is given."""

    number: Port
    protocol: EgressProtocol


class EgressTls(Struct):
    """TLS that a proxy begins for clients that speak plain HTTP; without a credential it shows no certificate.

    It goes to `port` of the host, whose name the certificate must have.
    """

    port: Port = 443
    credential_name: str = ""
    insecure_skip_verify: Bool = False


class EgressGateway(Struct):
    """The gateway that carries the traffic: its Service, and the labels of its workloads."""

    service: NonEmpty = "istio-egressgateway.istio-system.svc.cluster.local"
    selector: Labels = Field(default_factory=lambda: EMPTY_MAP)


class Egress(Checked):
    """Hosts outside, the ports on which they are called, and what is done with the traffic on its way.

    It stands for the ServiceEntry, Gateway, DestinationRules and VirtualService that one would write otherwise.
    """

    hosts: Annotated[tuple[WildcardHost, ...], Field(min_length=1, max_length=64)]
    ports: Annotated[tuple[EgressPort, ...], Field(max_length=16)] = (
        EgressPort(number=80, protocol=EgressProtocol.HTTP),
        EgressPort(number=443, protocol=EgressProtocol.TLS),
    )
    originate_tls: EgressTls | None = None
    gateway: EgressGateway | None = None
    export_to: tuple[ExportScope, ...] = ()

    def problems(self) -> Iterator[Problem]:
        for position, host in enumerate(self.hosts):
            if host == "*" or is_address(host):
                problem = f"must be a host name like api.example.com or *.example.com, not {host!r}"
                yield Problem(problem, f"hosts[{position}]")
        numbers = [port.number for port in self.ports]
        for position, number in enumerate(numbers):
            if number in numbers[:position]:
                yield Problem(f"must be unique: port {number} is already there", f"ports[{position}].number")
        if not self.ports:
            yield Problem("must have a port, or be left out for 80 (HTTP) and 443 (TLS)", "ports")
        if self.originate_tls is not None and not any(port.protocol is EgressProtocol.HTTP for port in self.ports):
            yield Problem("must come with a port of protocol HTTP, on which clients speak without TLS", "originateTls")
