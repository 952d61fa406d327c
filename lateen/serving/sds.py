"""Secret discovery for one proxy: its workload's certificate with the key, and the roots that it trusts.

Each workload has a socket of its own, so that who asks is known before a word is said. Keys go through here to Envoy
and nowhere else.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
from envoy.config.core.v3 import extension_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_spiffe_validator_config_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError

from lateen.auth.credentials import Credentials
from lateen.auth.rotation import Proof
from lateen.names import OWN_ROOT_SECRET, ROOT_SECRET, WORKLOAD_SECRET

_log = logging.getLogger(__name__)

SERVICE: Final = "envoy.service.secret.v3.SecretDiscoveryService"
METHOD: Final = "StreamSecrets"
TYPE_URL: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

_OPTIONS: Final = (("grpc.max_receive_message_length", 1024 * 1024), ("grpc.http2.max_ping_strikes", 0))
_OWNER_ONLY: Final = 0o600
_VALIDATOR: Final = "envoy.tls.cert_validator.spiffe"

_Context = grpc.aio.ServicerContext[bytes, bytes]


class SecretServer:
    """Serves one workload's credentials on a unix socket, and remembers what its proxy has acknowledged."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._credentials: Credentials | None = None
        self._streams: set[_Stream] = set()
        self._bundles: dict[str, str] = {}
        self._signer = ""
        self._server = grpc.aio.server(options=_OPTIONS)
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._serve)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))

    @property
    def proof(self) -> Proof:
        """What the proxy has for certain; it keeps that also while it is not connected."""
        found = set(self._bundles.values())
        return Proof(found.pop() if ROOT_SECRET in self._bundles and len(found) == 1 else "", self._signer)

    async def open(self) -> None:
        """Listen; the socket is for this user only."""
        self._socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        self._server.add_insecure_port(f"unix:{self._socket}")
        self._socket.chmod(_OWNER_ONLY)
        await self._server.start()

    def offer(self, credentials: Credentials) -> None:
        """Give the proxy these from now on."""
        self._credentials = credentials
        for stream in self._streams:
            stream.offer(credentials)

    async def close(self) -> None:
        """End all streams; the proxy goes on with what it has."""
        await self._server.stop(0)
        self._socket.unlink(missing_ok=True)

    async def _serve(self, _requests: AsyncIterator[bytes], context: _Context) -> None:
        """Serve one stream to its end: Envoy opens one for each secret."""
        stream = _Stream(context)
        if self._credentials is not None:
            stream.offer(self._credentials)
        self._streams.add(stream)
        writing = asyncio.create_task(stream.write_all())
        try:
            while isinstance(data := await context.read(), bytes):
                self._take(stream, discovery_pb2.DiscoveryRequest.FromString(data))
        except DecodeError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "expected a DiscoveryRequest")
        finally:
            self._streams.discard(stream)
            writing.cancel()

    def _take(self, stream: "_Stream", request: Any) -> None:
        """Take notice of what the proxy asks for, accepts or refuses."""
        accepted = stream.receive(request)
        roots = [name for name in (ROOT_SECRET, OWN_ROOT_SECRET) if name in stream.names]
        for name in roots:
            # what is asked for and not yet taken is not had
            self._bundles.setdefault(name, "")
        if accepted is None:
            return
        for name in roots:
            self._bundles[name] = accepted.bundle.digest
        if WORKLOAD_SECRET in stream.names:
            self._signer = accepted.certificate.issued.signer
            issued = accepted.certificate.issued
            _log.debug("%s has certificate %x until %s", issued.workload, issued.serial, issued.not_after)


class _Stream:
    """One stream: the names that it is about, what was sent last and what is to be sent."""

    def __init__(self, context: _Context) -> None:
        self.names: tuple[str, ...] = ()
        self._context = context
        self._newest: Credentials | None = None
        self._sent: Credentials | None = None
        self._sent_version = ""
        self._nonce = ""
        self._nonces = itertools.count(1)
        self._news = asyncio.Event()

    def offer(self, credentials: Credentials) -> None:
        """Send these soon, if they differ in what the stream is about."""
        self._newest = credentials
        self._news.set()

    def receive(self, request: Any) -> Credentials | None:
        """Note what is asked for; return the credentials that the proxy has just acknowledged."""
        wanted = tuple(request.resource_names)
        is_answer = bool(request.response_nonce) and request.response_nonce == self._nonce
        accepted = None
        if is_answer and request.HasField("error_detail"):
            _log.warning("a proxy refuses %s: %s", ", ".join(self.names), request.error_detail.message)
        elif is_answer:
            accepted = self._sent
        if wanted != self.names:
            self.names = wanted
            self._sent_version = ""
            self._news.set()
        return accepted

    async def write_all(self) -> None:
        """Send what is new whenever there is something, until cancelled or until the proxy has gone."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                if self._newest is not None and self.names:
                    await self._send(self._newest)
        except grpc.aio.BaseError:
            # the reading side finds out too, and ends the stream
            return

    async def _send(self, credentials: Credentials) -> None:
        version = _version(self.names, credentials)
        if version == self._sent_version:
            return
        self._sent, self._sent_version, self._nonce = credentials, version, str(next(self._nonces))
        response = discovery_pb2.DiscoveryResponse(version_info=version, type_url=TYPE_URL, nonce=self._nonce)
        response.resources.extend(_packed(_SECRETS[name](credentials)) for name in self.names if name in _SECRETS)
        await self._context.write(response.SerializeToString())


def _version(names: tuple[str, ...], credentials: Credentials) -> str:
    parts = {
        WORKLOAD_SECRET: f"{credentials.certificate.issued.serial:x}",
        ROOT_SECRET: credentials.bundle.digest,
        OWN_ROOT_SECRET: credentials.bundle.digest,
    }
    return ",".join(parts.get(name, "") for name in names)


def _workload_secret(credentials: Credentials) -> Any:
    secret = secret_pb2.Secret(name=WORKLOAD_SECRET)
    secret.tls_certificate.certificate_chain.inline_bytes = credentials.chain_pem.encode()
    secret.tls_certificate.private_key.inline_bytes = credentials.key_pem
    return secret


def _root_secret(credentials: Credentials) -> Any:
    """Say whom to believe. Where trust domains have different roots, each vouches for its own identities only."""
    secret = secret_pb2.Secret(name=ROOT_SECRET)
    by_domain = credentials.bundle.by_domain
    if len(set(by_domain.values())) > 1:
        secret.validation_context.custom_validator_config.CopyFrom(_validator(by_domain))
    else:
        secret.validation_context.trusted_ca.inline_bytes = credentials.bundle.pem.encode()
    return secret


def _validator(by_domain: Mapping[str, str]) -> Any:
    message = tls_spiffe_validator_config_pb2.SPIFFECertValidatorConfig()
    for domain, pem in by_domain.items():
        message.trust_domains.add(name=domain).trust_bundle.inline_bytes = pem.encode()
    validator = extension_pb2.TypedExtensionConfig(name=_VALIDATOR)
    validator.typed_config.Pack(message, deterministic=True)
    return validator


def _own_root_secret(credentials: Credentials) -> Any:
    secret = secret_pb2.Secret(name=OWN_ROOT_SECRET)
    secret.validation_context.trusted_ca.inline_bytes = credentials.bundle.own_pem.encode()
    return secret


_SECRETS: Final = {
    WORKLOAD_SECRET: _workload_secret,
    ROOT_SECRET: _root_secret,
    OWN_ROOT_SECRET: _own_root_secret,
}


def _packed(secret: Any) -> Any:
    return any_pb2.Any(type_url=TYPE_URL, value=secret.SerializeToString())
