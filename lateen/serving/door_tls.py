"""TLS of the control plane's own doors: its certificate, whom it lets in, both exchanged while the doors stay open."""

import os
import ssl
from collections.abc import Iterable, Mapping
from typing import Final

import grpc
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from lateen import names
from lateen.auth.credentials import Credentials
from lateen.errors import NotPermitted

_NAMES: Final = "x509_subject_alternative_name"
_MESH_HTTP: Final = "istio-http/1.1"
"""By this name in its ALPN a client tells the proxy of a workload what is inside of the mesh's TLS."""


class DoorTls:
    """What a server shows and whom it believes: the newest credentials that it was given, for every new connection.

    Only roots of the mesh's own trust domain count: nobody else's authority opens these doors.
    """

    def __init__(self, credentials: Credentials) -> None:
        self.take(credentials)

    def take(self, credentials: Credentials) -> None:
        """Use these from the next connection on."""
        self._credentials = credentials
        self._roots = credentials.bundle.own_pem
        self._mutual = self._configuration(self._roots.encode())
        self._one_sided = self._configuration(None)
        self._context = self._ssl_context()

    def mutual(self) -> grpc.ServerCredentials:
        """Return what a gRPC server needs that demands a certificate of every client."""
        return grpc.dynamic_ssl_server_credentials(self._mutual, lambda: self._mutual, True)

    def one_sided(self) -> grpc.ServerCredentials:
        """Return what a gRPC server needs whose clients have no certificate yet, and show none."""
        return grpc.dynamic_ssl_server_credentials(self._one_sided, lambda: self._one_sided, False)

    def context(self) -> ssl.SSLContext:
        """Return what an HTTP server needs that demands a certificate of every client."""
        first = self._ssl_context()

        def renew(connection: ssl.SSLObject | ssl.SSLSocket, *_: object) -> None:
            connection.context = self._context

        first.sni_callback = renew
        return first

    def calling(self) -> ssl.SSLContext:
        """Return what the control plane calls workloads with. Whom it reaches is for the caller to look at."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.load_verify_locations(cadata=self._roots)
        context.set_alpn_protocols([_MESH_HTTP])
        _load_key(context, self._credentials)
        return context

    def _configuration(self, roots: bytes | None) -> grpc.ServerCertificateConfiguration:
        pair = (self._credentials.key_pem, self._credentials.chain_pem.encode())
        return grpc.ssl_server_certificate_configuration([pair], roots)

    def _ssl_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self._roots)
        _load_key(context, self._credentials)
        return context


def _load_key(context: ssl.SSLContext, credentials: Credentials) -> None:
    """Give a context its certificate and key, by a file that is in memory only: it takes nothing but files."""
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, credentials.key_pem + credentials.chain_pem.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def workload_of(connection: Mapping[str, Iterable[bytes]]) -> tuple[str, str]:
    """Return the workload and namespace that the other side of a gRPC connection has proved to be.

    Raises `NotPermitted` when its certificate is that of no workload.
    """
    shown = [name.decode(errors="replace") for name in connection.get(_NAMES, ())]
    found = [instance for name in shown if (instance := names.parse_instance_name(name))]
    if len(found) != 1:
        who = next((name for name in shown if names.parse_identity(name)), "the client")
        raise NotPermitted(f"{who} is no workload: its certificate names none")
    return found[0]


def only_owner() -> Middleware:
    """Return what turns away everybody but the owner of the mesh: others of the mesh have certificates too."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        certificate = request.get_extra_info("peercert") or {}
        if ("DNS", names.OWNER_HOST) not in certificate.get("subjectAltName", ()):
            raise NotPermitted("only the owner of the mesh may ask here; its certificate is in the run directory")
        return await handler(request)

    return check
