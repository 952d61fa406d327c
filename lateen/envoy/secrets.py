"""Secrets: the certificates, keys and authorities that the control plane gives to the proxies that may have them.

Only the serialized form holds a key; it goes to the proxy and nowhere else.
"""

from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from lateen.plan.types import Material, Secret, ServedCertificate, SharedSecret


def secret(plan: Secret) -> Any:
    """Say a secret. What is in files is read by the proxy, which notices when they change."""
    message = secret_pb2.Secret(name=plan.name)
    if isinstance(plan, ServedCertificate):
        message.tls_certificate.certificate_chain.CopyFrom(_source(plan.chain))
        message.tls_certificate.private_key.CopyFrom(_source(plan.key))
    elif isinstance(plan, SharedSecret):
        message.generic_secret.secret.CopyFrom(_source(plan.value))
    elif isinstance(plan, SharedSecret):
        message.generic_secret.secret.inline_bytes = plan.value
    else:
        message.validation_context.trusted_ca.CopyFrom(_source(plan.certificates))
        if plan.revocations:
            message.validation_context.crl.CopyFrom(_source(plan.revocations))
    return message


def _source(material: Material) -> Any:
    if isinstance(material, str):
        return base_pb2.DataSource(filename=material)
    return base_pb2.DataSource(inline_bytes=material)
