"""HealthCheck: clients' proxies ask the endpoints of a host themselves whether they can serve."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from lateen.api.fields import ExportScope, HeaderName, Host, Port, Positive, PositiveDuration, WildcardHost
from lateen.api.structs import Checked, Problem, Struct, alias, exactly_one

StatusCode = Annotated[int, Field(strict=True, ge=100, le=599)]


class StatusRange(Checked):
    """Status codes from `start` up to, and with, `end`."""

    start: StatusCode
    end: StatusCode

    def problems(self) -> Iterator[Problem]:
        if self.end < self.start:
            yield Problem(f"must not be below start ({self.start}), but is {self.end}", "end")


class CheckedHeader(Struct):
    """A header of the request that asks."""

    name: HeaderName
    value: str = ""


class HttpCheck(Checked):
    """A GET for a path; a status of `expectedStatuses`, 200 unless told otherwise, says that an endpoint can serve."""

    path: Annotated[str, Field(pattern="^/")] = "/"
    host: Host | None = None
    headers: tuple[CheckedHeader, ...] = ()
    expected_statuses: tuple[StatusRange, ...] = ()

    def problems(self) -> Iterator[Problem]:
        if any(letter.isspace() for letter in self.path):
            yield Problem(f"must be a path without spaces, not {self.path!r}", "path")


class GrpcCheck(Struct):
    """The method Check of grpc.health.v1.Health, about a service or, without one, about the server as a whole."""

    service: str = ""


class TcpCheck(Struct):
    """A connection; with `send`, the bytes that the endpoint has to `receive` back, both as plain text."""

    send: str = ""
    receive: str = ""


class HealthCheck(Checked):
    """How the endpoints of a host are asked, and when they count as failed and as well again.

    It holds for one port, or for all of the host's. Clients see it as they see DestinationRules.
    """

    host: WildcardHost
    port: Port | None = None
    http: HttpCheck | None = None
    grpc: GrpcCheck | None = None
    tcp: TcpCheck | None = None
    interval: PositiveDuration = timedelta(seconds=10)
    timeout: PositiveDuration = timedelta(seconds=1)
    unhealthy_threshold: Positive = 3
    healthy_threshold: Positive = 1
    export_to: tuple[ExportScope, ...] = ()

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "http", "grpc", "tcp")
        if self.tcp is not None and self.tcp.receive and not self.tcp.send:
            yield Problem("must come with send: an endpoint that is asked nothing need not answer", "tcp.receive")
        if self.timeout > self.interval:
            yield Problem(f"must not be longer than {alias('interval')}", "timeout")
