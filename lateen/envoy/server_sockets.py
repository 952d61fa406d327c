"""Transport sockets of gateways: TLS as it is ended for clients outside of the mesh."""

from typing import Any, Final

from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from lateen.envoy.transport_sockets import VERSIONS, accepted_name, credential_secret, mesh_server, tls_socket
from lateen.plan.types import ClientCheck, EndedTls, MeshTrust

_OFFERED_HTTP: Final = ("h2", "http/1.1")


def server_socket(plan: EndedTls | MeshTrust, *, is_http: bool) -> Any:
    """Say how a gateway ends TLS; in HTTP, the client chooses among the versions of it."""
    if isinstance(plan, MeshTrust):
        return mesh_server(plan, is_http=is_http)
    context = tls_pb2.DownstreamTlsContext()
    shared = context.common_tls_context
    shared.tls_params.CopyFrom(_parameters(plan))
    shared.tls_certificate_sds_secret_configs.extend(map(credential_secret, plan.certificates))
    shared.alpn_protocols.extend(_OFFERED_HTTP if is_http else ())
    context.require_client_certificate.value = plan.client is not None and plan.client.required
    if plan.client is not None:
        _check(shared, plan.client)
    return tls_socket(context)


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
