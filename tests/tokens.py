"""Tokens and keys made for tests: JSON Web Tokens as an issuer signs them."""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://issuer.example.com"


@dataclass(frozen=True)
class SigningKey:
    """A private key with its name; RSA signs RS256, an elliptic curve ES256."""

    kid: str
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

    @property
    def algorithm(self) -> str:
        return "RS256" if isinstance(self.private, rsa.RSAPrivateKey) else "ES256"

    @property
    def public(self) -> dict[str, Any]:
        """The key as an issuer publishes it."""
        shared = {"kid": self.kid, "alg": self.algorithm, "use": "sig"}
        if isinstance(self.private, rsa.RSAPrivateKey):
            of_rsa = self.private.public_key().public_numbers()
            return {**shared, "kty": "RSA", "n": _number(of_rsa.n), "e": _number(of_rsa.e)}
        of_curve = self.private.public_key().public_numbers()
        return {**shared, "kty": "EC", "crv": "P-256", "x": _number(of_curve.x, 32), "y": _number(of_curve.y, 32)}

    def token(self, claims: Mapping[str, Any] | None = None, **head: str) -> str:
        """A token that is good for an hour, unless its claims say otherwise."""
        said = {"iss": ISSUER, "sub": "jason", "exp": int(time.time()) + 3600, **(claims or {})}
        header = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid, **head}
        text = f"{_json(header)}.{_json(said)}"
        return f"{text}.{_base64(self._sign(text.encode()))}"

    def _sign(self, content: bytes) -> bytes:
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(content, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self.private.sign(content, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@cache
def rsa_key(kid: str = "rsa") -> SigningKey:
    """An RSA key, the same for the same name."""
    return SigningKey(kid, rsa.generate_private_key(public_exponent=65537, key_size=2048))


@cache
def ec_key(kid: str = "ec") -> SigningKey:
    """A key on P-256, the same for the same name."""
    return SigningKey(kid, ec.generate_private_key(ec.SECP256R1()))


def key_set(*keys: SigningKey) -> str:
    """What an issuer publishes."""
    return json.dumps({"keys": [key.public for key in keys]})


def unsigned(claims: Mapping[str, Any] | None = None) -> str:
    """A token that says that it needs no signature."""
    said = {"iss": ISSUER, "sub": "jason", "exp": int(time.time()) + 3600, **(claims or {})}
    return f"{_json({'alg': 'none', 'typ': 'JWT'})}.{_json(said)}."


def _json(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _number(value: int, size: int = 0) -> str:
    return _base64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))
