"""Real Envoys speak the mesh's TLS with each other, and take what else they are to take on the same ports."""

import copy
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from lateen.model.endpoint import Endpoint
from lateen.model.peers import PeerMode
from lateen.model.protocol import Protocol
from lateen.model.proxy import Role
from lateen.names import INBOUND_PASSTHROUGH_CLUSTER, inbound_cluster
from lateen.plan.http_types import HttpManner
from lateen.plan.telemetry_types import LogFile
from lateen.plan.types import (
    Chain,
    Cluster,
    Discovery,
    Forward,
    GatewayListener,
    HttpChain,
    InboundPort,
    MeshTls,
    MeshTrust,
    OriginatedTls,
    ProxyPlan,
    Route,
    RouteTable,
    SniffedChain,
    Target,
    TcpChain,
    VirtualHost,
)

from .identities import Authority, Pair, client_context, with_files, written
from .plans import ANY
from .plans import logged as logging_to
from .running import HOST, ask, echo_server, free_port, free_ports, greeting_server, http_server, running_envoy

pytestmark = pytest.mark.live

SERVER, CLIENT = "spiffe://cluster.local/ns/default/sa/server", "spiffe://cluster.local/ns/default/sa/client"
WAIT = timedelta(milliseconds=400)
GREETING = b"220 hello\r\n"
WRONG_NAME = (
    "503 UF TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN"
)
RESETS = (ConnectionResetError, BrokenPipeError, ssl.SSLError, EOFError)


@dataclass(frozen=True)
class Mesh:
    """A server's proxy and a client's. `open` are the ports of the server by name, `through` those of the client."""

    open: dict[str, int]
    through: dict[str, int]
    authority: Authority
    place: Path


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def mesh(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """Ports of each mode and protocol in front of an HTTP server, one that echoes, its TLS twin and one that greets."""
    place = tmp_path_factory.mktemp("mesh")
    own = written(Authority().pair(x509.DNSName("own.example")), place, "own")
    own_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own_context.load_cert_chain(*own)
    with ExitStack() as stack:
        servers = {
            "http": stack.enter_context(http_server("web")),
            "echo": stack.enter_context(echo_server()),
            "tls": stack.enter_context(echo_server(own_context)),
            "greets": stack.enter_context(greeting_server(GREETING)),
        }
        doors = list(_doors(servers))
        numbers = free_ports(2 * len(doors))
        ports, outer = numbers[: len(doors)], numbers[len(doors) :]
        open_ports = {door.name: port for door, port in zip(doors, ports, strict=True)}
        through = {door.name: port for door, port in zip(doors, outer, strict=True)}
        server, client = place / "server", place / "client"
        server.mkdir()
        client.mkdir()
        stack.enter_context(
            running_envoy(
                _server_plan(doors, open_ports),
                lambda *_: (),
                server,
                _at_ports(ports, server, authority.workload("server"), authority.root),
            )
        )
        stack.enter_context(
            running_envoy(
                _client_plan(doors, open_ports, through),
                lambda *_: (),
                client,
                lambda config: with_files(config, client, authority.workload("client"), authority.root),
            )
        )
        yield Mesh(open_ports, through, authority, place)


@dataclass(frozen=True)
class Door:
    """A port of the server: what it declares, what it takes, and what is behind it."""

    mode: PeerMode
    protocol: Protocol
    kind: str
    upstream: int
    is_known: bool = True

    @property
    def name(self) -> str:
        known = "" if self.is_known else "unknown "
        return f"{known}{self.mode.value.lower()} {self.protocol.value.lower()} {self.kind}"


def _doors(servers: dict[str, int]) -> Iterator[Door]:
    for mode in PeerMode:
        yield Door(mode, Protocol.HTTP, "http", servers["http"])
        yield Door(mode, Protocol.TCP, "echo", servers["echo"])
        yield Door(mode, Protocol.AUTO, "http", servers["http"])
        yield Door(mode, Protocol.AUTO, "echo", servers["echo"])
        yield Door(mode, Protocol.TCP, "greets", servers["greets"])
    for protocol in (Protocol.HTTP, Protocol.TCP, Protocol.AUTO):
        yield Door(PeerMode.PERMISSIVE, protocol, "tls", servers["tls"])
    yield Door(PeerMode.PERMISSIVE, Protocol.TCP, "echo", servers["echo"], is_known=False)


def _server_plan(doors: list[Door], ports: dict[str, int]) -> ProxyPlan:
    unknown = next(door for door in doors if not door.is_known)
    known = [(door, ports[door.name]) for door in doors if door.is_known]
    return ProxyPlan(
        Role.SIDECAR,
        clusters=(
            *(_static(inbound_cluster(port), door.protocol, door.upstream) for door, port in known),
            _static(INBOUND_PASSTHROUGH_CLUSTER, Protocol.TCP, unknown.upstream),
        ),
        route_tables=(),
        inbound=tuple(InboundPort(port, _chain(door, inbound_cluster(port)), "web", door.mode) for door, port in known),
        inbound_fallback=TcpChain((Target(INBOUND_PASSTHROUGH_CLUSTER),)),
        manner=HttpManner(looks_for=WAIT),
    )


def _static(name: str, protocol: Protocol, port: int) -> Cluster:
    follows = protocol is Protocol.AUTO
    return Cluster(
        name, Discovery.STATIC, protocol=protocol, endpoints=(Endpoint(HOST, port),), follows_client_protocol=follows
    )


def _chain(door: Door, cluster: str, *, is_client: bool = False) -> Chain:
    tcp = TcpChain((Target(cluster),), says_tcp=is_client and door.protocol is Protocol.AUTO)
    http = HttpChain(cluster, RouteTable(cluster, (VirtualHost("x", ("*",), (Route(ANY, Forward(tcp.targets)),)),)))
    if door.protocol is Protocol.AUTO:
        return SniffedChain(http, tcp)
    return http if door.protocol.is_http else tcp


def _client_plan(doors: list[Door], ports: dict[str, int], through: dict[str, int]) -> ProxyPlan:
    clusters = []
    for door in doors:
        takes_tls = door.mode is not PeerMode.DISABLE
        clusters.append(
            Cluster(
                door.name,
                Discovery.STATIC,
                protocol=door.protocol,
                endpoints=(Endpoint(HOST, ports[door.name], tls=takes_tls),),
                follows_client_protocol=door.protocol is Protocol.AUTO,
                tls=MeshTls("outbound_.80_._.web", (SERVER,)),
            )
        )
    return ProxyPlan(
        Role.GATEWAY,
        clusters=tuple(clusters),
        route_tables=(),
        gateway=tuple(GatewayListener(HOST, through[one.name], _chain(one, one.name, is_client=True)) for one in doors),
    )


def _at_ports(ports: list[int], place: Path, own: Pair, roots: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Have the inbound listener at each port, as if connections to it had been captured."""

    def change(config: dict[str, Any]) -> dict[str, Any]:
        listeners = config["static_resources"]["listeners"]
        inbound = next(one for one in listeners if one["name"] == "virtualInbound")
        kept = [one for one in listeners if one["name"] not in ("virtualInbound", "virtualOutbound", "dns")]
        for port in ports:
            twin = copy.deepcopy(inbound)
            twin["name"] = f"inbound-{port}"
            twin["address"]["socket_address"].update(address=HOST, port_value=port)
            kept.append(twin)
        config["static_resources"]["listeners"] = kept
        return with_files(config, place, own, roots)

    return change


def said_back(port: int, context: ssl.SSLContext | None = None) -> bytes:
    """What comes back for a word."""
    with socket.create_connection((HOST, port), timeout=5) as connection:
        spoken = context.wrap_socket(connection) if context else connection
        spoken.sendall(b"hello")
        return spoken.recv(100)


def first_words(port: int, context: ssl.SSLContext | None = None) -> tuple[bytes, float]:
    """What a server says by itself, and after how long."""
    began = time.monotonic()
    with socket.create_connection((HOST, port), timeout=5) as connection:
        spoken = context.wrap_socket(connection) if context else connection
        return spoken.recv(100), time.monotonic() - began


def caller(port: int) -> str:
    """Who an HTTP server was told to be called by."""
    seen = json.loads(ask(port, "/").body)["headers"]
    return str(seen.get("x-forwarded-client-cert", ""))


HTTP_PORTS = ("http http", "auto http")
ECHO_PORTS = ("tcp echo", "auto echo")


@pytest.mark.parametrize("port", HTTP_PORTS)
@pytest.mark.parametrize("mode", ["permissive", "strict"])
def test_requests_through_the_mesh_are_the_client_s(mesh: Mesh, mode: str, port: str) -> None:
    assert f"URI={CLIENT}" in caller(mesh.through[f"{mode} {port}"])


@pytest.mark.parametrize("port", ECHO_PORTS)
@pytest.mark.parametrize("mode", ["permissive", "strict", "disable"])
def test_connections_go_through_the_mesh(mesh: Mesh, mode: str, port: str) -> None:
    assert said_back(mesh.through[f"{mode} {port}"]) == b"hello"


@pytest.mark.parametrize("mode", ["permissive", "disable"])
def test_plain_traffic_is_taken_where_it_may_be(mesh: Mesh, mode: str) -> None:
    assert [caller(mesh.open[f"{mode} {port}"]) for port in HTTP_PORTS] == ["", ""]
    assert [said_back(mesh.open[f"{mode} {port}"]) for port in ECHO_PORTS] == [b"hello", b"hello"]


def test_the_mesh_s_tls_is_not_used_where_it_is_not_taken(mesh: Mesh) -> None:
    assert [caller(mesh.through[f"disable {port}"]) for port in HTTP_PORTS] == ["", ""]


@pytest.mark.parametrize("port", [*HTTP_PORTS, *ECHO_PORTS])
def test_plain_traffic_to_a_strict_port_is_reset(mesh: Mesh, port: str) -> None:
    with pytest.raises(ConnectionResetError):
        raise_if_empty(said_back(mesh.open[f"strict {port}"]))


@pytest.mark.parametrize("port", [*HTTP_PORTS, *ECHO_PORTS])
def test_a_strict_port_wants_a_certificate_of_the_mesh(mesh: Mesh, tmp_path: Path, port: str) -> None:
    number = mesh.open[f"strict {port}"]
    refused = {
        "none": None,
        "another root": Authority().workload("client"),
        "another trust domain": mesh.authority.workload("client", "other.example"),
        "expired": mesh.authority.workload("client", valid=timedelta(hours=-1)),
    }
    for reason, shown in refused.items():
        with pytest.raises(RESETS):
            raise_if_empty(said_back(number, client_context(shown, tmp_path, ("istio",))), reason)


@pytest.mark.parametrize("protocol", ["http", "tcp", "auto"])
@pytest.mark.parametrize("offers", [(), ("h2", "http/1.1")])
def test_the_application_s_own_tls_goes_through(
    mesh: Mesh, tmp_path: Path, protocol: str, offers: tuple[str, ...]
) -> None:
    assert said_back(mesh.open[f"permissive {protocol} tls"], client_context(None, tmp_path, offers)) == b"hello"


@pytest.mark.parametrize("protocol", ["tcp", "auto"])
def test_the_application_s_own_tls_goes_through_inside_of_the_mesh_s(mesh: Mesh, tmp_path: Path, protocol: str) -> None:
    assert said_back(mesh.through[f"permissive {protocol} tls"], client_context(None, tmp_path)) == b"hello"


def test_a_server_may_speak_first(mesh: Mesh) -> None:
    """Only plain connections to a permissive port wait, for as long as a client's TLS is waited for."""
    words, waited = first_words(mesh.open["permissive tcp greets"])
    assert words == GREETING
    assert waited >= WAIT.total_seconds() * 0.9
    for port in (mesh.open["disable tcp greets"], *(mesh.through[f"{mode.lower()} tcp greets"] for mode in PeerMode)):
        words, waited = first_words(port)
        assert words == GREETING
        assert waited < WAIT.total_seconds() * 0.9


def test_ports_that_nobody_declared_take_both(mesh: Mesh, tmp_path: Path) -> None:
    name = "unknown permissive tcp echo"
    assert said_back(mesh.open[name]) == b"hello"
    assert said_back(mesh.through[name]) == b"hello"
    shown = mesh.authority.workload("client")
    assert said_back(mesh.open[name], client_context(shown, tmp_path, ("istio",))) == b"hello"


def raise_if_empty(answer: bytes, reason: str = "") -> None:
    """Take the end of a connection for what it is."""
    if not answer:
        raise ConnectionResetError
    raise AssertionError(f"{reason}: {answer!r}")


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (MeshTls("x", (SERVER,)), "200 - -"),
        (MeshTls("x", ("spiffe://cluster.local/ns/default/sa/other", SERVER)), "200 - -"),
        (MeshTls("x"), "200 - -"),
        (MeshTls("x", ("spiffe://cluster.local/ns/default/sa/other",)), WRONG_NAME),
        (MeshTls("x", ("spiffe://cluster.local/ns/default/sa/serve",)), WRONG_NAME),
        (MeshTls("x", trust=MeshTrust(("other.example",))), WRONG_NAME),
        (MeshTls("x", (SERVER,), automatic=False), "200 - -"),
        (OriginatedTls("x", verifies=False), "503 UC -"),
    ],
)
@pytest.mark.parametrize("protocol", [Protocol.HTTP, Protocol.HTTP2])
def test_a_server_has_to_be_one_of_the_service_s_accounts(
    mesh: Mesh, tmp_path: Path, protocol: Protocol, tls: MeshTls | OriginatedTls, expected: str
) -> None:
    """Who is not is refused by the client, with the reason in its log."""
    port, log = free_port(), tmp_path / "log"
    endpoint = Endpoint(HOST, mesh.open["strict http http"], tls=True)
    plan = _calling(port, Cluster("c", Discovery.STATIC, protocol=protocol, endpoints=(endpoint,), tls=tls), log)
    own = mesh.authority.workload("client")
    with running_envoy(
        plan, lambda *_: (), tmp_path, lambda said: with_files(said, tmp_path, own, mesh.authority.root)
    ):
        ask(port, "/")
        assert logged(log).startswith(expected)


def logged(log: Path) -> str:
    """What stands in a log as soon as anything does."""
    deadline = time.monotonic() + 5
    while not (text := log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return text


def test_tls_is_originated_to_servers_outside(tmp_path: Path) -> None:
    """The name that is asked for has to be in the certificate, and a client's certificate is shown where it is told."""
    outside = Authority()
    roots = tmp_path / "roots.pem"
    roots.write_text(outside.root)
    shown = written(outside.pair(x509.DNSName("client.example")), tmp_path, "shown")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*written(outside.pair(x509.DNSName("web.example")), tmp_path, "web"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(roots)
    mutual = {"presents_certificate": True, "certificate_file": str(shown[0]), "key_file": str(shown[1])}
    right = OriginatedTls("web.example", accepted_names=("web.example",), authority_file=str(roots), **mutual)
    settings = {
        "right": (right, b"hello"),
        "another name": (
            OriginatedTls("web.example", accepted_names=("other.example",), authority_file=str(roots), **mutual), b"",
        ),
        "no certificate": (OriginatedTls("web.example", authority_file=str(roots)), b""),
        "unknown authority": (OriginatedTls("web.example", **mutual), b""),
        "whoever it is": (OriginatedTls("web.example", verifies=False, **mutual), b"hello"),
    }  # fmt: skip
    with echo_server(context) as server:
        ports = {name: free_port() for name in settings}
        plan = ProxyPlan(
            Role.GATEWAY,
            clusters=tuple(
                Cluster(name, Discovery.STATIC, endpoints=(Endpoint(HOST, server),), tls=tls)
                for name, (tls, _) in settings.items()
            ),
            route_tables=(),
            gateway=tuple(GatewayListener(HOST, ports[name], TcpChain((Target(name),))) for name in settings),
        )
        with running_envoy(plan, lambda *_: (), tmp_path):
            assert {name: _said_back_or_nothing(port) for name, port in ports.items()} == {
                name: expected for name, (_, expected) in settings.items()
            }


def _said_back_or_nothing(port: int) -> bytes:
    try:
        return said_back(port)
    except OSError:
        return b""


def _calling(port: int, cluster: Cluster, log: Path) -> ProxyPlan:
    """A proxy that sends all requests to one cluster, and logs how that went."""
    hosts = (VirtualHost("x", ("*",), (Route(ANY, Forward((Target(cluster.name),))),)),)
    listener = GatewayListener(HOST, port, HttpChain("t", RouteTable("t", hosts)))
    line = "%RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_TRANSPORT_FAILURE_REASON%\n"
    return ProxyPlan(
        Role.GATEWAY,
        clusters=(cluster,),
        route_tables=(),
        gateway=(listener,),
        telemetry=logging_to(LogFile(str(log), format=line)),
    )
