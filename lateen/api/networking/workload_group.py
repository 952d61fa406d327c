"""WorkloadGroup: what the WorkloadEntries of automatically registered workloads look like."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from lateen.api.fields import EMPTY_MAP, Count, Labels, NonEmpty, Port, PortMap, StringMap
from lateen.api.structs import Checked, Problem, Struct, exactly_one


class GroupMetadata(Struct):
    """Labels and annotations of the entries that are made."""

    labels: Labels = EMPTY_MAP
    annotations: StringMap = EMPTY_MAP


class GroupTemplate(Struct):
    """The entries that are made, except for their address, which each workload brings along."""

    address: str = ""
    ports: PortMap = EMPTY_MAP
    labels: Labels = EMPTY_MAP
    network: str = ""
    locality: str = ""
    weight: Count | None = None
    service_account: str = ""


class ProbeHeader(Struct):
    """One header of a probe's request."""

    name: NonEmpty
    value: str = ""


class HttpProbe(Struct):
    """Healthy when a GET is answered with 200 to 399."""

    path: str = "/"
    port: Port
    host: str = ""
    scheme: Annotated[str, Field(pattern="^(HTTP|HTTPS|http|https)$")] = "HTTP"
    http_headers: tuple[ProbeHeader, ...] = ()


class TcpProbe(Struct):
    """Healthy when a connection can be opened."""

    host: str = ""
    port: Port


class ExecProbe(Struct):
    """Healthy when the command ends with 0."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]


class GrpcProbe(Struct):
    """Healthy when the gRPC health service says so."""

    port: Port
    service: str = ""


class GroupProbe(Checked):
    """How the workload's agent finds out whether its application is healthy; times are seconds, and 0 is the default,
    except for the delay.
    """

    initial_delay_seconds: Count = 0
    timeout_seconds: Count = 1
    period_seconds: Count = 10
    success_threshold: Count = 1
    failure_threshold: Count = 3
    http_get: HttpProbe | None = None
    tcp_socket: TcpProbe | None = None
    exec: ExecProbe | None = None
    grpc: GrpcProbe | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "http_get", "tcp_socket", "exec", "grpc")


class WorkloadGroup(Checked):
    """A group of workloads that register themselves."""

    metadata: GroupMetadata | None = None
    template: GroupTemplate
    probe: GroupProbe | None = None

    def problems(self) -> Iterator[Problem]:
        if self.template.address:
            yield Problem("must be empty: each workload brings its own address", "template.address")
        if self.metadata is not None and self.metadata.labels and self.template.labels:
            yield Problem("must be set in either metadata or template, not in both", "metadata.labels")
