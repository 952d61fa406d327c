"""Transport sockets of gateways: TLS as it is ended for clients outside of the mesh."""

from typing import Any, Final

from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.quic.v3 import quic_transport_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from lateen.envoy.transport_sockets import VERSIONS, accepted_name, credential_secret, mesh_server, tls_socket
from lateen.envoy.values import typed
from lateen.plan.types import ClientCheck, EndedTls, MeshTrust

_QUIC: Final = "envoy.transport_sockets.quic"
_OFFERED_HTTP: Final = ("h2", "http/1.1")


def server_socket(plan: EndedTls | MeshTrust, *, is_http: bool) -> Any:
    """Say how a gateway ends TLS; in HTTP, the client chooses among the versions of it."""
    if isinstance(plan, MeshTrust):
        return mesh_server(plan, is_http=is_http)
    context = tls_pb2.DownstreamTlsContext()
    _end(context, plan)
    context.common_tls_context.tls_params.CopyFrom(_parameters(plan))
    context.common_tls_context.alpn_protocols.extend(_OFFERED_HTTP if is_http else ())
    return tls_socket(context)


def quic_socket(plan: EndedTls) -> Any:
    """Say how a gateway ends the TLS of QUIC, which is always 1.3: as on TCP, with the suites of that version."""
    inside = quic_transport_pb2.QuicDownstreamTransport()
    _end(inside.downstream_tls_context, plan)
    inside.downstream_tls_context.common_tls_context.alpn_protocols.append("h3")
    return base_pb2.TransportSocket(name=_QUIC, typed_config=typed(inside))


def _end(context: Any, plan: EndedTls) -> None:
    """Write the certificates, and what is asked of clients."""
    shared = context.common_tls_context
    shared.tls_certificate_sds_secret_configs.extend(map(credential_secret, plan.certificates))
    context.require_client_certificate.value = plan.client is not None and plan.client.required
    if plan.client is not None:
        _check(shared, plan.client)


def _check(context: Any, plan: ClientCheck) -> None:
    """Write what a client's certificate has to be, where it shows one."""
    if plan.authorities:
        combined = context.combined_validation_context
        combined.validation_context_sds_secret_config.CopyFrom(credential_secret(plan.authorities))
        validation = combined.default_validation_context
    else:
        validation = context.validation_context
        validation.trust_chain_verification = common_pb2.CertificateValidationContext.ACCEPT_UNTRUSTED
    validation.match_typed_subject_alt_names.extend(map(accepted_name, plan.accepted_names))
    validation.verify_certificate_spki.extend(plan.key_hashes)
    validation.verify_certificate_hash.extend(plan.certificate_hashes)


def _parameters(plan: EndedTls) -> Any:
    return common_pb2.TlsParameters(
        tls_minimum_protocol_version=VERSIONS[plan.min_version],
        tls_maximum_protocol_version=VERSIONS[plan.max_version],
        cipher_suites=plan.cipher_suites,
        ecdh_curves=plan.curves,
    )
