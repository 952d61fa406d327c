"""Which keys of a published set can verify signatures."""

import json
from typing import Any

import pytest

from lateen.api.security import key_sets
from tests import tokens

RSA, EC = tokens.rsa_key().public, tokens.ec_key().public


def text(*keys: Any) -> str:
    return json.dumps({"keys": keys})


def test_whole_public_keys_are_kept_without_what_is_private() -> None:
    found = key_sets.public_keys(text({**RSA, "d": "c2VjcmV0"}, EC))
    assert [key["kid"] for key in found] == ["rsa", "ec"]
    assert "d" not in found[0]


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        {**RSA, "n": "AQAB"},
        {**RSA, "e": "Ag"},
        {**RSA, "n": "not base64!"},
        {**RSA, "alg": "HS256"},
        {**RSA, "use": "enc"},
        {**EC, "y": EC["x"]},
        {**EC, "crv": "P-257"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AQAB"},
        {"kty": ["RSA"]},
        "key",
        None,
    ],
)
def test_what_cannot_verify_or_anybody_could_sign_with_is_left_out(key: Any) -> None:
    assert key_sets.public_keys(text(key)) == ()


@pytest.mark.parametrize("body", ["", "[]", '{"keys": {}}', "<html>", "[" * 100_000])
def test_what_is_no_key_set_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match="must be a JSON Web Key Set"):
        key_sets.public_keys(body)


def test_secrets_count_only_where_their_owner_writes_them() -> None:
    secret = {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}
    assert key_sets.own_keys(text(secret)) == (secret,)
