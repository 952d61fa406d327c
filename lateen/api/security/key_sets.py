"""JSON Web Key Sets, read without trust: which of their keys can verify a signature.

Envoy refuses a whole listener for a set without a usable key, so what is not usable never gets that far.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

MAX_KEYS: Final = 200
Key = Mapping[str, Any]

_CURVES: Final = MappingProxyType({"P-256": ("ES256", 32), "P-384": ("ES384", 48), "P-521": ("ES512", 66)})
_RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_SECRET_ALGORITHMS: Final = ("HS256", "HS384", "HS512")
_RSA_BITS: Final = range(2048, 8193)
_ED25519_BYTES: Final = 32


def public_keys(text: str | bytes) -> tuple[Key, ...]:
    """Return what verifies signatures and may be known to everybody. Raises `ValueError` for what is no key set.

    Shared secrets are left out: who can read them could sign with them.
    """
    return _usable(text, _PUBLIC)


def own_keys(text: str) -> tuple[Key, ...]:
    """Return what verifies signatures, shared secrets included. Raises `ValueError` for what is no key set."""
    return _usable(text, _ALL)


def encode_keys(keys: tuple[Key, ...]) -> str:
    """Return keys as a set, the same text for the same keys."""
    return json.dumps({"keys": [dict(key) for key in keys]}, sort_keys=True, separators=(",", ":"))


def _usable(text: str | bytes, kinds: Mapping[str, Callable[[Key], Key]]) -> tuple[Key, ...]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON Web Key Set: a JSON object with a list `keys`") from None
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list):
        raise ValueError("must be a JSON Web Key Set: a JSON object with a list `keys`")
    kept = (_read(key, kinds) for key in keys[:MAX_KEYS])
    return tuple(key for key in kept if key is not None)


def _read(key: object, kinds: Mapping[str, Callable[[Key], Key]]) -> Key | None:
    """Return what of a key is needed to verify, or None for a key that does not do."""
    if not isinstance(key, dict) or key.get("use", "sig") != "sig":
        return None
    read = kinds.get(str(key.get("kty")))
    if read is None:
        return None
    try:
        kept = {"kty": key["kty"], **read(key)}
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return kept | {name: key[name] for name in ("kid", "alg") if isinstance(key.get(name), str)}


def _rsa(key: Key) -> Key:
    from cryptography.hazmat.primitives.asymmetric import rsa

    exponent, modulus = _number(key["e"]), _number(key["n"])
    if modulus.bit_length() not in _RSA_BITS or exponent >= 2**33:
        raise ValueError("its size")
    rsa.RSAPublicNumbers(exponent, modulus).public_key()
    _check_algorithm(key, _RSA_ALGORITHMS)
    return {"n": key["n"], "e": key["e"]}


def _elliptic(key: Key) -> Key:
    from cryptography.hazmat.primitives.asymmetric import ec

    algorithm, size = _CURVES[key["crv"]]
    curves: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    x, y = _bytes(key["x"]), _bytes(key["y"])
    if len(x) > size or len(y) > size:
        raise ValueError("its size")
    ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curves[key["crv"]]).public_key()
    _check_algorithm(key, (algorithm,))
    return {"crv": key["crv"], "x": key["x"], "y": key["y"]}


def _edwards(key: Key) -> Key:
    if key["crv"] != "Ed25519" or len(_bytes(key["x"])) != _ED25519_BYTES:
        raise ValueError("its curve")
    _check_algorithm(key, ("EdDSA",))
    return {"crv": key["crv"], "x": key["x"]}


def _secret(key: Key) -> Key:
    if not _bytes(key["k"]):
        raise ValueError("its length")
    _check_algorithm(key, _SECRET_ALGORITHMS)
    return {"k": key["k"]}


_PUBLIC: Final[Mapping[str, Callable[[Key], Key]]] = MappingProxyType({"RSA": _rsa, "EC": _elliptic, "OKP": _edwards})
_ALL: Final = MappingProxyType({**_PUBLIC, "oct": _secret})


def _check_algorithm(key: Key, possible: tuple[str, ...]) -> None:
    if key.get("alg", possible[0]) not in possible:
        raise ValueError("its alg")


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text))


def _bytes(text: str) -> bytes:
    """Decode base64 of URLs without padding, strictly."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
