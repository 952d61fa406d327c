"""TLS between proxies and towards the outside: what a cluster speaks, and the ways into a workload's port."""

from collections.abc import Iterator
from typing import Final

from lateen import names
from lateen.api.networking.tls import ClientTls, ClientTlsMode
from lateen.model.peers import PeerMode
from lateen.model.protocol import Protocol
from lateen.model.service import Service, ServicePort
from lateen.plan.defaults import Defaults
from lateen.plan.traffic import Settings
from lateen.plan.types import (
    Arrival,
    Chain,
    Discovery,
    HttpChain,
    InboundPort,
    MeshTls,
    OriginatedTls,
    SniffedChain,
    Target,
    TcpChain,
    Way,
)

_PROXY_KNOWS_ENDPOINTS: Final = (Discovery.EDS, Discovery.DNS, Discovery.DNS_ROUND_ROBIN)
_ORIGINATED: Final = (ClientTlsMode.SIMPLE, ClientTlsMode.MUTUAL)


def towards(
    service: Service, port: ServicePort, subset: str, settings: Settings, discovery: Discovery, defaults: Defaults
) -> MeshTls | OriginatedTls | None:
    """Settle the TLS of a cluster: what rules say, else the mesh's own wherever the other side takes it."""
    written = settings.tls
    if written is None:
        return _automatic(service, port, subset, discovery, defaults)
    if written.mode is ClientTlsMode.DISABLE:
        return None
    if written.mode is ClientTlsMode.ISTIO_MUTUAL:
        return MeshTls(
            written.sni or names.mesh_server_name(service.host, port.number, subset),
            tuple(sorted(written.subject_alt_names)) or service.accounts,
            defaults.trust,
            automatic=False,
        )
    return _originated(written, service, port, defaults)


def is_told_apart_by_proxy(port: ServicePort, settings: Settings) -> bool:
    """Tell whether the server's proxy has to find out if a connection is HTTP, inside the mesh's TLS."""
    return port.protocol is Protocol.AUTO and (settings.tls is None or settings.tls.mode not in _ORIGINATED)


def ways_in(chain: Chain, mode: PeerMode, cluster: str) -> tuple[Way, ...]:
    """List the ways into a port of the workload; together they cover what the mode takes, and never overlap.

    A permissive port takes the mesh's TLS, plain connections, and TLS that is the application's own. What is inside
    that is not seen: it is carried to `cluster` as it is.
    """
    if mode is PeerMode.DISABLE:
        return tuple(_carried(chain, Arrival.ANY))
    through_mesh = tuple(_carried(chain, Arrival.MESH_ONLY if mode is PeerMode.STRICT else Arrival.MESH))
    if mode is PeerMode.STRICT:
        return through_mesh
    own = Way(Arrival.OWN_TLS, _opaque(chain, cluster))
    return (*through_mesh, own, *_carried(chain, Arrival.PLAIN))


def ways_into(port: InboundPort) -> tuple[Way, ...]:
    """List the ways into a port of the workload that is known."""
    if port.tls is not None:
        carried = port.chain.http if isinstance(port.chain, SniffedChain) else port.chain
        return (Way(Arrival.OWN_TLS, carried, tls=port.tls),)
    return ways_in(port.chain, port.mode, names.inbound_cluster(port.port))


def _automatic(
    service: Service, port: ServicePort, subset: str, discovery: Discovery, defaults: Defaults
) -> MeshTls | None:
    """Use the mesh's TLS towards services of the mesh, with each endpoint that takes it.

    Where a connection goes to its original destination the endpoint is not known to the proxy: there it is used once
    all workloads of the service take it.
    """
    if not defaults.auto_mtls or service.external or service.alias_of:
        return None
    per_endpoint = discovery in _PROXY_KNOWS_ENDPOINTS
    if not per_endpoint and port.number not in service.tls_ports:
        return None
    server_name = names.mesh_server_name(service.host, port.number, subset)
    return MeshTls(server_name, service.accounts, defaults.trust, automatic=per_endpoint)


def _originated(written: ClientTls, service: Service, port: ServicePort, defaults: Defaults) -> OriginatedTls:
    """Settle what a rule says of TLS to a server with a certificate of its own.

    The server is called by the name that is written, else requests by the host that they are for, and connections by
    the host of the service. That name has to be in its certificate, unless other names are written.
    """
    follows_host = not written.sni and port.protocol.is_http
    fixed = written.sni or ("" if follows_host or service.host.startswith("*") else service.host)
    accepted = written.subject_alt_names or service.subject_alt_names or ((fixed,) if fixed else ())
    return OriginatedTls(
        server_name=fixed,
        follows_host=follows_host,
        accepted_names=tuple(sorted(accepted)),
        presents_certificate=written.mode is ClientTlsMode.MUTUAL,
        credential=written.credential_name,
        certificate_file=written.client_certificate,
        key_file=written.private_key,
        authority_file=written.ca_certificates,
        revocation_file=written.ca_crl,
        verifies=not written.insecure_skip_verify,
        bounds=defaults.tls,
    )


def _carried(chain: Chain, arrival: Arrival) -> Iterator[Way]:
    if isinstance(chain, SniffedChain):
        yield Way(arrival, chain.http, is_http=True)
        yield Way(arrival, chain.tcp, is_http=False)
    else:
        yield Way(arrival, chain)


def _opaque(chain: Chain, cluster: str) -> TcpChain:
    """Return how connections that cannot be looked into are carried."""
    if isinstance(chain, HttpChain):
        return TcpChain((Target(cluster),))
    return chain.tcp if isinstance(chain, SniffedChain) else chain
