"""TLS by server name, as the real Envoy takes it and does it."""

import itertools
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from lateen.api.networking.gateway import TlsVersion
from lateen.api.networking.tls import CIPHER_SUITES
from lateen.envoy.cache import ResourceCache
from lateen.envoy.resources import resource_set
from lateen.model.endpoint import Endpoint
from lateen.model.proxy import Role
from lateen.plan.types import (
    ClientCheck,
    Cluster,
    Discovery,
    EndedTls,
    GatewayListener,
    HttpChain,
    MeshTrust,
    NamedChain,
    OutboundListener,
    ProxyPlan,
    Respond,
    Route,
    RouteTable,
    Target,
    TcpChain,
    VirtualHost,
)

from .acceptance import accepted_by_envoy
from .identities import Authority, written
from .plans import ANY
from .running import HOST, ask, echo_server, free_port, running_envoy

TABLE = RouteTable("t", (VirtualHost("all", ("*",), (Route(ANY, Respond(204)),)),))
HASH = "a" * 64
SPKI = "A" * 43 + "="
CHECKS = (
    None,
    *(
        ClientCheck(required, authorities, names if authorities else (), hashes, prints)
        for required, authorities, names, hashes, prints in itertools.product(
            (True, False),
            ("kubernetes://a-cacert", ""),
            ((), ("a", "spiffe://b/c", "10.0.0.1")),
            ((), (SPKI,)),
            ((), (HASH,)),
        )
    ),
)


def static(name: str, port: int = 1) -> Cluster:
    return Cluster(name, Discovery.STATIC, endpoints=(Endpoint(HOST, port),))


def test_every_way_to_end_tls_is_accepted() -> None:
    ways: list[EndedTls | MeshTrust] = [EndedTls(("kubernetes://a",), check) for check in CHECKS]
    versions = [version for version in TlsVersion if version is not TlsVersion.TLS_AUTO]
    ways += [EndedTls(("a",), None, low, high) for low, high in itertools.combinations_with_replacement(versions, 2)]
    ways += [EndedTls(("a", "b"), None, cipher_suites=CIPHER_SUITES), MeshTrust()]
    named = [NamedChain((f"{position}.example",), HttpChain("t"), way) for position, way in enumerate(ways)]
    named += [
        NamedChain(("*.example",), TcpChain((Target("a"),)), EndedTls(("a",))),
        NamedChain((), TcpChain((Target("a", 1), Target("b", 2)))),
    ]
    plan = ProxyPlan(
        Role.GATEWAY,
        (static("a"), static("b")),
        (TABLE,),
        gateway=(GatewayListener("0.0.0.0", 8443, named=tuple(named)),),
    )
    assert accepted_by_envoy(resource_set(plan, lambda *_: (), ResourceCache())) == ""


@pytest.mark.live
def test_requests_and_tls_for_several_names_share_a_port(tmp_path: Path) -> None:
    authority = Authority()
    one, two = (authority.pair(x509.DNSName(f"{name}.example")) for name in ("one", "two"))
    port = free_port()
    with echo_server(server(one, tmp_path, "one")) as first, echo_server(server(two, tmp_path, "two")) as second:
        listener = OutboundListener(
            HOST,
            port,
            HttpChain("t"),
            fallback=TcpChain((Target("nobody"),)),
            named=(
                NamedChain(("one.example",), TcpChain((Target("one"),))),
                NamedChain(("*.example",), TcpChain((Target("two"),))),
            ),
        )
        clusters = (static("one", first), static("two", second), Cluster("nobody", Discovery.NONE))
        plan = ProxyPlan(Role.SIDECAR, clusters, (TABLE,), outbound=(listener,))
        with running_envoy(plan, lambda *_: (), tmp_path, opened):
            context = ssl.create_default_context(cadata=authority.root)
            for name in ("one.example", "two.example"):
                with socket.create_connection((HOST, port), 10) as raw, context.wrap_socket(raw, server_hostname=name):
                    pass
            assert ask(port, "/").status == 204
            # What TLS offers inside looks like HTTP to a proxy that does not look closely.
            context.set_alpn_protocols(["http/1.1"])
            with pytest.raises(OSError), socket.create_connection((HOST, port), 10) as raw:
                context.wrap_socket(raw, server_hostname="unknown.org")


def server(pair: Any, place: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*written(pair, place, name))
    return context


def opened(config: dict[str, Any]) -> dict[str, Any]:
    """Make a captured listener an open port."""
    for listener in config["static_resources"]["listeners"]:
        listener.pop("bind_to_port", None)
    # The workload's own DNS has a fixed port.
    listeners = config["static_resources"]["listeners"]
    config["static_resources"]["listeners"] = [one for one in listeners if one["name"] != "dns"]
    return config
