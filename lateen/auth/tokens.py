"""Bootstrap tokens: signed notes that let one workload ask for its first certificate, once, until they expire.

A token is `PAYLOAD.SIGNATURE`, both base64url. The kind of signature is decided by the key that verifies it, never by
the token, so that there is nothing to confuse.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from lateen import names
from lateen.auth.ports import SpentStore
from lateen.errors import ConfigRejected, NotPermitted
from lateen.names import Identity

_PURPOSE: Final = b"lateen bootstrap token 1\n"
_LONGEST: Final = 4096
_LEAST_SECRET_BYTES: Final = 32
_LEAST_TO_TIDY: Final = 512


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a token says: which workload may ask, until when. `token_id` must be unique for each token."""

    token_id: str
    identity: Identity
    workload: str
    expires: datetime
    app: str = ""
    version: str = ""


class TokenSigner(Protocol):
    """Whatever can sign a token."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""


class SignatureVerifier(Protocol):
    """Whatever can tell a good signature from a bad one."""

    def is_good(self, message: bytes, signature: bytes) -> bool:
        """Tell whether the signature is that of the message."""


class SharedSecret:
    """Signs and verifies with HMAC-SHA-256; the secret has at least 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < _LEAST_SECRET_BYTES:
            raise ConfigRejected(f"the token secret has {len(secret)} bytes; use at least {_LEAST_SECRET_BYTES}")
        self._secret = secret

    def sign(self, message: bytes) -> bytes:
        """Return the code that authenticates a message."""
        return hmac.digest(self._secret, message, hashlib.sha256)

    def is_good(self, message: bytes, signature: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.sign(message), signature)


class PublicTokenKey:
    """Verifies Ed25519 signatures: whoever issues tokens need not be trusted with more than that."""

    def __init__(self, key: ed25519.Ed25519PublicKey) -> None:
        self._key = key

    def is_good(self, message: bytes, signature: bytes) -> bool:
        """Check the signature."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def make_token(signer: TokenSigner, claims: TokenClaims) -> str:
    """Write and sign a token. An `Ed25519PrivateKey` is a signer as it is; the other is `SharedSecret`."""
    payload = _encode(json.dumps(_written(claims), separators=(",", ":")).encode())
    return f"{payload}.{_encode(signer.sign(_PURPOSE + payload.encode()))}"


class TokenVerifier:
    """Reads tokens that one of several keys has signed, so that keys can be changed."""

    def __init__(self, *keys: SignatureVerifier) -> None:
        self._keys = keys

    def verify(self, token: str, now: datetime) -> TokenClaims:
        """Return what a token says; raises `NotPermitted` unless it is signed, whole and has not expired."""
        payload, _, signature = token.partition(".")
        if len(token) > _LONGEST or not token.isascii() or not self._is_signed(payload, signature):
            raise NotPermitted("the bootstrap token is not signed by this mesh")
        claims = _read(payload)
        if now >= claims.expires:
            raise NotPermitted(f"the bootstrap token has expired on {claims.expires:%Y-%m-%d %H:%M:%S} UTC")
        return claims

    def _is_signed(self, payload: str, signature: str) -> bool:
        try:
            code = _decode(signature)
        except binascii.Error:
            return False
        message = _PURPOSE + payload.encode()
        return any(key.is_good(message, code) for key in self._keys)


class SpentTokens:
    """The tokens that have been used: none is taken twice, also after a restart; forgotten when they have expired."""

    def __init__(self, store: SpentStore) -> None:
        self._store = store
        self._until = dict(store.load_spent())
        self._tidy_at = _LEAST_TO_TIDY

    def spend(self, token_id: str, until: datetime, now: datetime) -> None:
        """Use a token up; raises `NotPermitted` when it has been used before."""
        if token_id in self._until:
            raise NotPermitted("the bootstrap token has been used before; ask for a new one")
        self._store.add_spent(token_id, until)
        self._until[token_id] = until
        if len(self._until) >= self._tidy_at:
            self._tidy(now)

    def _tidy(self, now: datetime) -> None:
        self._until = {token_id: until for token_id, until in self._until.items() if until > now}
        self._tidy_at = max(_LEAST_TO_TIDY, 2 * len(self._until))
        self._store.replace_spent(self._until.items())


def _written(claims: TokenClaims) -> dict[str, Any]:
    return {
        "id": claims.token_id,
        "sub": str(claims.identity),
        "workload": claims.workload,
        "app": claims.app,
        "version": claims.version,
        "exp": int(claims.expires.timestamp()),
    }


def _read(payload: str) -> TokenClaims:
    """Read what was signed by a key of ours; something strange in it is a fault of who signed it."""
    try:
        told = json.loads(_decode(payload))
        identity = names.parse_identity(told["sub"])
        texts = [told[name] for name in ("id", "workload", "app", "version")]
        expires = datetime.fromtimestamp(int(told["exp"]), UTC)
    except (ValueError, LookupError, TypeError, OverflowError, OSError):
        raise NotPermitted("the bootstrap token is signed, but cannot be read") from None
    token_id, workload, app, version = texts
    if identity is None or not all(isinstance(each, str) for each in texts) or not token_id or not workload:
        raise NotPermitted("the bootstrap token names no workload")
    return TokenClaims(token_id, identity, workload, expires, app, version)


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
