"""Transport sockets: TLS as a proxy speaks it with other proxies and with servers outside of the mesh."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from envoy.config.core.v3 import base_pb2, config_source_pb2, grpc_service_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2

from lateen.api.fields import is_address
from lateen.api.networking.destination_rule import ProxyProtocolVersion
from lateen.api.networking.gateway import TlsVersion
from lateen.envoy import reconnection
from lateen.envoy.values import duration, typed
from lateen.model.protocol import Protocol
from lateen.names import ROOT_SECRET, SDS_CLUSTER, WORKLOAD_SECRET, credential, credential_authority
from lateen.plan.types import Cluster, MeshTls, MeshTrust, OriginatedTls, TlsBounds

MESH_TCP_PROTOCOLS: Final = ("istio-peer-exchange", "istio")
MESH_HTTP_PROTOCOLS: Final = ("istio-http/1.0", "istio-http/1.1", "istio-h2")
"""By these names in its ALPN, a client says that it speaks the mesh's TLS, and what is inside."""

_OFFERED_HTTP1: Final = ("istio-http/1.1", "istio")
_OFFERED_HTTP2: Final = ("istio-h2", "istio", "h2")
_OFFERED_HTTP: Final = ("istio-http/1.1", "istio-h2", "istio")
_SERVED_HTTP: Final = ("h2", "http/1.1")

OS_AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"
"""Where an operating system of the Debian family has the certificates of the authorities that it believes."""

_TLS: Final = "envoy.transport_sockets.tls"
_RAW: Final = "envoy.transport_sockets.raw_buffer"
_PROXY_PROTOCOL: Final = "envoy.transport_sockets.upstream_proxy_protocol"
_TLS_MODE: Final = "tlsMode"
_ISTIO: Final = "istio"
_CREDENTIAL_TIMEOUT: Final = timedelta(seconds=5)
VERSIONS: Final = {
    TlsVersion.TLSV1_0: common_pb2.TlsParameters.TLSv1_0,
    TlsVersion.TLSV1_1: common_pb2.TlsParameters.TLSv1_1,
    TlsVersion.TLSV1_2: common_pb2.TlsParameters.TLSv1_2,
    TlsVersion.TLSV1_3: common_pb2.TlsParameters.TLSv1_3,
}
_SanType: Final = common_pb2.SubjectAltNameMatcher

ENDPOINT_METADATA: Final = "envoy.transport_socket_match"
"""Where an endpoint says which of a cluster's sockets is for it."""

_AGENT: Final = {
    "cluster_name": SDS_CLUSTER,
    "retry_policy": {
        "retry_back_off": {
            "base_interval": duration(reconnection.SHORTEST),
            "max_interval": duration(reconnection.LONGEST),
        },
    },
}
"""Where secrets come from."""


def mark_endpoint(metadata: Any) -> None:
    """Write into an endpoint's metadata that it takes the mesh's TLS."""
    metadata.filter_metadata[ENDPOINT_METADATA].fields[_TLS_MODE].string_value = _ISTIO


def secure(message: Any, plan: Cluster) -> None:
    """Write into a cluster how its connections are secured; without TLS nothing is written."""
    if isinstance(plan.tls, OriginatedTls):
        message.transport_socket.CopyFrom(tls_socket(_originating(plan.tls, plan)))
    elif isinstance(plan.tls, MeshTls) and plan.tls.automatic:
        mesh = message.transport_socket_matches.add(name=f"{_TLS_MODE}-{_ISTIO}")
        mesh.match.fields[_TLS_MODE].string_value = _ISTIO
        mesh.transport_socket.CopyFrom(tls_socket(_mesh_client(plan.tls, plan)))
        plain = message.transport_socket_matches.add(name=f"{_TLS_MODE}-disabled")
        plain.match.SetInParent()
        plain.transport_socket.CopyFrom(_raw_socket())
    elif isinstance(plan.tls, MeshTls):
        message.transport_socket.CopyFrom(tls_socket(_mesh_client(plan.tls, plan)))
    if plan.tells_client is not None:
        _tell_client(message, plan.tells_client)


def _tell_client(message: Any, version: ProxyProtocolVersion) -> None:
    """Wrap a cluster's sockets: before everything else the endpoint is told, in the PROXY protocol, who called."""
    if not message.transport_socket_matches and not message.HasField("transport_socket"):
        message.transport_socket.CopyFrom(_raw_socket())
    sockets = [match.transport_socket for match in message.transport_socket_matches]
    for socket in sockets or [message.transport_socket]:
        wrapped = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport(transport_socket=socket)
        wrapped.config.version = version.value
        socket.CopyFrom(base_pb2.TransportSocket(name=_PROXY_PROTOCOL, typed_config=typed(wrapped)))


def _raw_socket() -> Any:
    return base_pb2.TransportSocket(name=_RAW, typed_config=typed(raw_buffer_pb2.RawBuffer()))


def mesh_server(trust: MeshTrust, *, is_http: bool) -> Any:
    """Say the server's side of the mesh's TLS: the client has to show a certificate of one of the trust domains.

    Clients of the mesh offer no protocol that is chosen here; others, that hold a certificate, can ask for HTTP/2.
    """
    context = tls_pb2.DownstreamTlsContext(common_tls_context=_mesh_context(trust, ()))
    context.common_tls_context.alpn_protocols.extend(_SERVED_HTTP if is_http else ())
    context.require_client_certificate.value = True
    return tls_socket(context)


def _mesh_client(plan: MeshTls, cluster: Cluster) -> Any:
    context = tls_pb2.UpstreamTlsContext(
        sni=plan.server_name, common_tls_context=_mesh_context(plan.trust, plan.accounts)
    )
    context.common_tls_context.alpn_protocols.extend(_offered(cluster))
    return context


def _offered(plan: Cluster) -> tuple[str, ...]:
    """Choose what the server's proxy is told of the inside; a connection that turns out to be TCP says so itself."""
    if plan.follows_client_protocol or plan.protocol is Protocol.AUTO:
        return _OFFERED_HTTP
    if plan.protocol.is_http2:
        return _OFFERED_HTTP2
    return _OFFERED_HTTP1 if plan.protocol.is_http else MESH_TCP_PROTOCOLS


def _mesh_context(trust: MeshTrust, accounts: Iterable[str]) -> Any:
    """Say what both sides of the mesh's TLS have in common: the workload's certificate, and whom to believe."""
    context = tls_pb2.CommonTlsContext(tls_params=_parameters(trust))
    context.tls_certificate_sds_secret_configs.append(_workload_secret(WORKLOAD_SECRET))
    validation = context.combined_validation_context
    validation.validation_context_sds_secret_config.CopyFrom(_workload_secret(ROOT_SECRET))
    names = validation.default_validation_context.match_typed_subject_alt_names
    names.extend(map(accepted_name, accounts))
    if not names:
        names.extend(_of_trust_domain(domain) for domain in trust.domains)
    return context


def _originating(plan: OriginatedTls, cluster: Cluster) -> Any:
    """Say the client's side of TLS with a server that has a certificate of its own."""
    context = tls_pb2.UpstreamTlsContext(sni=plan.server_name)
    shared = context.common_tls_context
    shared.tls_params.CopyFrom(_parameters(plan.bounds))
    if cluster.protocol.is_http:
        shared.alpn_protocols.append("h2" if cluster.protocol.is_http2 else "http/1.1")
    if plan.presents_certificate and plan.credential:
        shared.tls_certificate_sds_secret_configs.append(credential_secret(credential(plan.credential)))
    elif plan.presents_certificate:
        files = shared.tls_certificates.add()
        files.certificate_chain.filename = plan.certificate_file
        files.private_key.filename = plan.key_file
    if plan.verifies:
        _verify(shared, plan)
    return context


def _verify(context: Any, plan: OriginatedTls) -> None:
    """Write whom to believe, and which names the server may have."""
    if plan.credential:
        combined = context.combined_validation_context
        combined.validation_context_sds_secret_config.CopyFrom(credential_secret(credential_authority(plan.credential)))
        validation = combined.default_validation_context
    else:
        validation = context.validation_context
        validation.trusted_ca.filename = plan.authority_file or OS_AUTHORITIES
        if plan.revocation_file:
            validation.crl.filename = plan.revocation_file
    validation.match_typed_subject_alt_names.extend(map(accepted_name, plan.accepted_names))


def accepted_name(text: str) -> Any:
    """Say one name that a certificate may have: a URI, an address or a host."""
    matcher = common_pb2.SubjectAltNameMatcher(san_type=_san_type(text))
    matcher.matcher.exact = text
    return matcher


def _san_type(text: str) -> Any:
    if "://" in text:
        return _SanType.URI
    return _SanType.IP_ADDRESS if is_address(text) else _SanType.DNS


def _of_trust_domain(domain: str) -> Any:
    """Say all identities of a trust domain."""
    matcher = common_pb2.SubjectAltNameMatcher(san_type=_SanType.URI)
    matcher.matcher.prefix = f"spiffe://{domain}/"
    return matcher


def _parameters(bounds: MeshTrust | TlsBounds) -> Any:
    return common_pb2.TlsParameters(
        tls_minimum_protocol_version=VERSIONS[bounds.min_version],
        tls_maximum_protocol_version=common_pb2.TlsParameters.TLSv1_3,
        cipher_suites=bounds.cipher_suites,
        ecdh_curves=bounds.curves,
    )


def _workload_secret(name: str) -> Any:
    """Say a secret that comes from the workload's own node agent; nothing is open before it has come."""
    agent = config_source_pb2.ApiConfigSource(
        api_type="GRPC",
        transport_api_version="V3",
        set_node_on_first_message_only=True,
        grpc_services=[grpc_service_pb2.GrpcService(envoy_grpc=_AGENT)],
    )
    source = config_source_pb2.ConfigSource(
        api_config_source=agent, initial_fetch_timeout=duration(timedelta(0)), resource_api_version="V3"
    )
    return secret_pb2.SdsSecretConfig(name=name, sds_config=source)


def credential_secret(name: str) -> Any:
    """Say a secret that comes from the control plane. While it is missing, only the connections that need it fail."""
    source = config_source_pb2.ConfigSource(
        ads=config_source_pb2.AggregatedConfigSource(),
        initial_fetch_timeout=duration(_CREDENTIAL_TIMEOUT),
        resource_api_version="V3",
    )
    return secret_pb2.SdsSecretConfig(name=name, sds_config=source)


def tls_socket(context: Any) -> Any:
    return base_pb2.TransportSocket(name=_TLS, typed_config=typed(context))
