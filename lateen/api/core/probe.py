"""Probes and lifecycle hooks of containers."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from lateen.api.fields import Count, IntOrString, NonEmpty, Port, Positive
from lateen.api.structs import Checked, Problem, Struct, exactly_one


class HttpHeader(Struct):
    """One header of a probe's request."""

    name: NonEmpty
    value: str = ""


class HttpGet(Struct):
    """A GET that succeeds when it is answered with 200 to 399; the port is a number or a container port's name."""

    path: str = "/"
    port: IntOrString
    host: str = ""
    scheme: Annotated[str, Field(pattern="^(HTTP|HTTPS)$")] = "HTTP"
    http_headers: tuple[HttpHeader, ...] = ()


class TcpSocket(Struct):
    """A connection that succeeds when it opens."""

    port: IntOrString
    host: str = ""


class Exec(Struct):
    """A command in the container that succeeds when it ends with 0."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]


class GrpcHealth(Struct):
    """A call of the standard gRPC health service that succeeds when it answers SERVING."""

    port: Port
    service: str = ""


class Sleep(Struct):
    """Waits, so that callers can take notice."""

    seconds: Count


class Probe(Checked):
    """One check, repeated; all times are seconds."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    grpc: GrpcHealth | None = None
    initial_delay_seconds: Count = 0
    timeout_seconds: Positive = 1
    period_seconds: Positive = 10
    success_threshold: Positive = 1
    failure_threshold: Positive = 3
    termination_grace_period_seconds: Count | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "http_get", "tcp_socket", "exec", "grpc")


class LifecycleHook(Checked):
    """What is done right after a container starts, or right before it is stopped."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    sleep: Sleep | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "http_get", "tcp_socket", "exec", "sleep")


class Lifecycle(Struct):
    """A container's hooks."""

    post_start: LifecycleHook | None = None
    pre_stop: LifecycleHook | None = None
    stop_signal: str = ""
