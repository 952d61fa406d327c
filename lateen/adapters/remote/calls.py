"""Calls to one adapter in a process of its own: the channel, who we say we are, and how long is waited."""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
import grpc
import grpc.aio

from lateen.adapters.surroundings import Surroundings
from lateen.api.mixer.handler import AuthHeader, Connection, MutualAuthentication, Oauth, TlsAuthentication
from lateen.errors import ConfigRejected, Unavailable

_MOST_BYTES: Final = 4 * 1024 * 1024
_RENEWED_BEFORE_SECONDS: Final = 30.0
_UNKNOWN_LIFETIME_SECONDS: Final = 300.0
_SCHEMES: Final = ("unix:", "dns:", "ipv4:", "ipv6:")


class Calls:
    """Makes calls to one address; a connection that is lost is made anew, to wherever the host is then."""

    def __init__(self, connection: Connection, surroundings: Surroundings) -> None:
        self._connection = connection
        self._surroundings = surroundings
        self._credentials = _credentials(connection)
        self._token = _token(connection)
        self._channel: grpc.aio.Channel | None = None
        self.is_new = True

    async def call(self, path: str, request: bytes) -> bytes:
        """Return what the adapter answers. Raises `Unavailable`."""
        timeout = self._connection.timeout.total_seconds()
        metadata = await self._token.metadata() if self._token is not None else ()
        method: Any = self._open().unary_unary(path)
        try:
            answer: bytes = await method(request, timeout=timeout, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                await self.close()
            where = self._connection.address
            raise Unavailable(f"adapter {where} fails: {error.code().name.lower()}: {error.details()}") from None
        return answer

    async def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        channel, self._channel = self._channel, None
        self.is_new = True
        if channel is not None:
            await channel.close()

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            target, options = self._target()
            if self._credentials is None:
                self._channel = grpc.aio.insecure_channel(target, options)
            else:
                self._channel = grpc.aio.secure_channel(target, self._credentials, options)
        return self._channel

    def _target(self) -> tuple[str, list[tuple[str, Any]]]:
        """Say where the adapter is now, and by which name it is to prove itself."""
        address = self._connection.address
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", _MOST_BYTES),
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        host, _, port = address.rpartition(":")
        if name := _server_name(self._connection) or (host if self._credentials is not None else ""):
            options.append(("grpc.ssl_target_name_override", name))
        if address.startswith(_SCHEMES) or not port.isdigit():
            return address, options
        found = self._surroundings.locate(host.strip("[]") or "localhost", int(port))
        return (f"ipv4:{found[0]}:{found[1]}" if found else address), options


class _FileToken:
    """A token from a file, read for each call, so that a new one counts at once."""

    def __init__(self, path: Path, header: str, prefix: str) -> None:
        self._path = path
        self._header = header
        self._prefix = prefix

    async def metadata(self) -> tuple[tuple[str, str], ...]:
        try:
            token = await asyncio.to_thread(self._path.read_text)
        except OSError as error:
            raise Unavailable(f"token {self._path} cannot be read: {error.strerror}") from None
        return ((self._header, f"{self._prefix}{token.strip()}"),)


class _OauthToken:
    """A token from an OAuth server, by the credentials of a client; had again before it expires."""

    def __init__(self, oauth: Oauth, clock: Callable[[], float] = time.monotonic) -> None:
        self._oauth = oauth
        self._clock = clock
        self._token = ""
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def metadata(self) -> tuple[tuple[str, str], ...]:
        async with self._asking:
            if self._clock() >= self._until:
                self._token, lifetime = await self._ask()
                self._until = self._clock() + max(0.0, lifetime - _RENEWED_BEFORE_SECONDS)
        return (("authorization", f"Bearer {self._token}"),)

    async def _ask(self) -> tuple[str, float]:
        oauth = self._oauth
        try:
            secret = await asyncio.to_thread(Path(oauth.client_secret).read_text)
            form = {"grant_type": "client_credentials", **oauth.endpoint_params}
            form |= {"scope": " ".join(oauth.scopes)} if oauth.scopes else {}
            headers = {"content-type": "application/x-www-form-urlencoded"}
            identity = aiohttp.BasicAuth(oauth.client_id, secret.strip())
            async with (
                aiohttp.ClientSession(auth=identity, timeout=aiohttp.ClientTimeout(5)) as session,
                session.post(oauth.token_url, data=urlencode(form), headers=headers) as answer,
            ):
                content: Mapping[str, Any] = await answer.json(content_type=None)
            return str(content["access_token"]), float(content.get("expires_in", _UNKNOWN_LIFETIME_SECONDS))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"no token from {oauth.token_url}: {error or type(error).__name__}") from None


def _credentials(connection: Connection) -> grpc.ChannelCredentials | None:
    """Return by which certificates both sides know each other. Raises `ConfigRejected` for files that are not there."""
    authentication = connection.authentication
    if authentication is None:
        return None
    if authentication.tls is not None:
        return grpc.ssl_channel_credentials(_file(authentication.tls.ca_certificates))
    mutual = authentication.mutual
    assert mutual is not None
    return grpc.ssl_channel_credentials(
        _file(mutual.ca_certificates), _file(mutual.private_key), _file(mutual.client_certificate)
    )


def _token(connection: Connection) -> "_FileToken | _OauthToken | None":
    tls = connection.authentication.tls if connection.authentication else None
    if tls is None:
        return None
    if tls.oauth is not None:
        return _OauthToken(tls.oauth)
    if not tls.token_path:
        return None
    prefix = "Bearer " if tls.auth_header is AuthHeader.BEARER else ""
    return _FileToken(Path(tls.token_path), tls.custom_header.lower() or "authorization", prefix)


def _server_name(connection: Connection) -> str:
    authentication = connection.authentication
    chosen: TlsAuthentication | MutualAuthentication | None = None
    if authentication is not None:
        chosen = authentication.tls or authentication.mutual
    return chosen.server_name if chosen is not None else ""


def _file(path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigRejected(f"{path} cannot be read: {error.strerror}") from None
