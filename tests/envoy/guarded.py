"""A real Envoy as a gateway, guarded as the policies of a YAML text say."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lateen.model.endpoint import Endpoint
from lateen.model.protocol import Protocol
from lateen.model.proxy import Role
from lateen.names import outbound_cluster
from lateen.plan import clusters
from lateen.plan.planner import build_plan
from lateen.plan.telemetry_types import LogFile
from lateen.plan.types import (
    Cluster,
    Discovery,
    Forward,
    GatewayListener,
    Guard,
    HttpChain,
    ProxyPlan,
    RequestMatch,
    Route,
    RouteTable,
    Target,
    TcpChain,
    VirtualHost,
)
from tests.plan import worlds

from .plans import logged
from .running import HOST, Answer, ask, echo_server, free_port, http_server, running_envoy

LOG_FORMAT = "%REQ(:path)% %RESPONSE_CODE_DETAILS% %DYNAMIC_METADATA(envoy.filters.http.rbac)%\n"
SERVER, ECHO = "outbound|80||server", "outbound|81||echo"


@dataclass(frozen=True)
class Guarded:
    """The ports of a guarded gateway: `web` for requests, `raw` for connections that are not HTTP."""

    web: int
    raw: int
    guard: Guard
    log: Path

    def ask(self, path: str, token: str = "", **headers: str) -> Answer:
        """Send a request, with a token where one is given."""
        carried = {"authorization": f"Bearer {token}"} if token else {}
        return ask(self.web, path, **carried, **headers)

    def echo(self) -> bytes:
        """What comes back of what is sent to the raw port: nothing, when it is closed."""
        with socket.create_connection((HOST, self.raw), timeout=5) as connection:
            connection.sendall(b"hello")
            try:
                return connection.recv(100)
            except ConnectionResetError:
                return b""


def plan(text: str, mesh: Mapping[str, Any] | None = None) -> ProxyPlan:
    """The plan of a gateway in the namespace default."""
    return build_plan(worlds.view(worlds.snapshot(text, mesh), "default", Role.GATEWAY))


@contextmanager
def guarded(
    made: ProxyPlan, place: Path, routes: tuple[Route, ...] = (), authorizers: Mapping[str, int] | None = None
) -> Iterator[Guarded]:
    """Run an Envoy with the guard of a plan, and servers behind it; `authorizers` are ports by host."""
    web, raw, log = free_port(), free_port(), place / "access.log"
    routes = routes or (Route(RequestMatch(), Forward((Target(SERVER),))),)
    with http_server("server") as server, echo_server() as echo:
        known = [_static(SERVER, server), _static(ECHO, echo), clusters.BLACK_HOLE]
        for host, port in (authorizers or {}).items():
            protocol = Protocol.GRPC if "grpc" in host else Protocol.HTTP
            known.append(replace(_static(outbound_cluster(host, 9000), port), protocol=protocol))
        listeners = (
            GatewayListener(HOST, web, HttpChain("table")),
            GatewayListener(HOST, raw, TcpChain((Target(ECHO),))),
        )
        table = RouteTable("table", (VirtualHost("all", ("*",), routes),))
        whole = ProxyPlan(
            Role.GATEWAY,
            tuple(known),
            (table,),
            gateway=listeners,
            guards=made.guards,
            manner=made.manner,
            telemetry=logged(LogFile(str(log), format=LOG_FORMAT)),
        )
        with running_envoy(whole, lambda host, port: (), place):
            yield Guarded(web, raw, made.guards.everywhere, log)


def _static(name: str, port: int) -> Cluster:
    return Cluster(name, Discovery.STATIC, endpoints=(Endpoint(HOST, port),))
