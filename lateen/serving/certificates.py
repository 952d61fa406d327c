"""The certificate service that node agents elsewhere ask: gRPC, on the wire the same as Istio's.

A caller shows a bootstrap token (`authorization: Bearer TOKEN`) or, on a connection with mutual TLS, the certificate
that it renews; the token counts when it shows both.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from lateen.auth.attestation import Attested, Evidence
from lateen.auth.certificate import Certificate
from lateen.errors import LateenError, NotPermitted, ProtocolError

_log = logging.getLogger(__name__)

SERVICE: Final = "istio.v1.auth.IstioCertificateService"
METHOD: Final = "CreateCertificate"
_BEARER: Final = "bearer "
_MOST_SECONDS: Final = 10 * 365 * 86400

_Context = grpc.aio.ServicerContext[bytes, bytes]


class CertificateAuthority(Protocol):
    """Who decides and signs."""

    def attest(self, evidence: Evidence) -> Attested:
        """Return who shows this evidence; raises `NotPermitted`."""

    def certify(self, attested: Attested, csr: bytes, lifetime: timedelta | None = None) -> Certificate:
        """Sign a request in PEM; raises `ProtocolError`, `NotPermitted`, `Unavailable`."""


def certificate_service(authority: CertificateAuthority) -> grpc.GenericRpcHandler:
    """Return the service, to be added to a server whose connections are TLS."""

    async def create(request: bytes, context: _Context) -> bytes:
        return await _create(authority, request, context)

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(create)
    return grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler})


async def serve(authority: CertificateAuthority, socket: Path, credentials: grpc.ServerCredentials) -> grpc.aio.Server:
    """Answer on a unix socket that only this user can open, until the server's `stop()`."""
    socket.unlink(missing_ok=True)  # noqa: ASYNC240 - takes no time
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((certificate_service(authority),))
    server.add_secure_port(f"unix:{socket}", credentials)
    socket.chmod(0o600)  # noqa: ASYNC240 - takes no time
    await server.start()
    return server


async def _create(authority: CertificateAuthority, data: bytes, context: _Context) -> bytes:
    """Answer one request, or end it with the status that fits."""
    try:
        attested = authority.attest(evidence_of(context.invocation_metadata(), context.auth_context()))
    except LateenError as error:
        await _refuse(context, error, grpc.StatusCode.UNAUTHENTICATED)
    try:
        certificate = authority.certify(attested, *read_request(data))
    except LateenError as error:
        await _refuse(context, error, grpc.StatusCode.PERMISSION_DENIED)
    response: bytes = Response(cert_chain=certificate.chain).SerializeToString()
    return response


async def _refuse(context: _Context, error: LateenError, not_permitted: grpc.StatusCode) -> NoReturn:
    if isinstance(error, NotPermitted):
        status = not_permitted
    elif isinstance(error, ProtocolError):
        status = grpc.StatusCode.INVALID_ARGUMENT
    else:
        status = grpc.StatusCode.UNAVAILABLE
    _log.warning("no certificate for %s: %s", context.peer(), error)
    await context.abort(status, str(error))


def evidence_of(
    metadata: Iterable[tuple[str, str | bytes]] | None, connection: Mapping[str, Iterable[bytes]]
) -> Evidence:
    """Read what a caller shows: a bearer token, or else the certificate of its connection."""
    for name, value in metadata or ():
        if name.lower() == "authorization" and isinstance(value, str) and value.lower().startswith(_BEARER):
            return Evidence(token=value[len(_BEARER) :].strip())
    return Evidence(chain=peer_chain(connection))


def peer_chain(connection: Mapping[str, Iterable[bytes]]) -> tuple[bytes, ...]:
    """Return the certificates that the other side of a connection has shown (DER, leaf first); none without TLS.

    On the side of the server the chain is told without its leaf, on the other side with it.
    """
    shown = b"".join((*connection.get("x509_pem_cert", ()), *connection.get("x509_pem_cert_chain", ())))
    try:
        found = x509.load_pem_x509_certificates(shown) if shown else []
    except ValueError:
        return ()
    return tuple(dict.fromkeys(each.public_bytes(Encoding.DER) for each in found))


def read_request(data: bytes) -> tuple[bytes, timedelta | None]:
    """Read an `IstioCertificateRequest`: the request in PEM, and the lifetime that is wanted, if any."""
    try:
        request = Request.FromString(data)
    except DecodeError:
        raise ProtocolError("request is not an istio.v1.auth.IstioCertificateRequest") from None
    seconds = request.validity_duration
    wanted = timedelta(seconds=min(seconds, _MOST_SECONDS)) if seconds > 0 else None
    return request.csr.encode(), wanted


def _messages() -> tuple[Any, Any]:
    """Declare the two messages as far as they are used; further fields, such as `metadata`, are passed over."""
    file = descriptor_pb2.FileDescriptorProto(
        name="security/v1alpha1/ca.proto", package="istio.v1.auth", syntax="proto3"
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    request = file.message_type.add(name="IstioCertificateRequest")
    request.field.add(name="csr", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    request.field.add(name="validity_duration", number=3, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    response = file.message_type.add(name="IstioCertificateResponse")
    response.field.add(name="cert_chain", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return (
        message_factory.GetMessageClass(pool.FindMessageTypeByName("istio.v1.auth.IstioCertificateRequest")),
        message_factory.GetMessageClass(pool.FindMessageTypeByName("istio.v1.auth.IstioCertificateResponse")),
    )


Request, Response = _messages()
