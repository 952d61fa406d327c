"""Bootstrap tokens: one workload, one use, until they expire, and never by a trick."""

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from lateen.auth import tokens
from lateen.auth.tokens import PublicTokenKey, SharedSecret, SpentTokens, TokenClaims, TokenVerifier
from lateen.errors import ConfigRejected, NotPermitted
from tests.auth.authorities import NOW, REVIEWS, Memory

SECRET = SharedSecret(b"s" * 32)
PRIVATE = ed25519.Ed25519PrivateKey.generate()
VERIFIER = TokenVerifier(PublicTokenKey(PRIVATE.public_key()), SECRET)
CLAIMS = TokenClaims("id-1", REVIEWS.identity, REVIEWS.workload, NOW + timedelta(hours=1), "reviews", "v1")
TOKEN = tokens.make_token(SECRET, CLAIMS)


@pytest.mark.parametrize("signer", [SECRET, PRIVATE])
def test_a_token_of_either_key_says_what_was_signed(signer: tokens.TokenSigner) -> None:
    assert VERIFIER.verify(tokens.make_token(signer, CLAIMS), NOW) == CLAIMS


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(payload: bytes) -> str:
    text = encoded(payload)
    return f"{text}.{encoded(SECRET.sign(b'lateen bootstrap token 1' + bytes([10]) + text.encode()))}"


UNSIGNED = TOKEN.partition(".")[0]
PUBLIC_BYTES = PRIVATE.public_key().public_bytes_raw()
WRONG = {
    "nothing": ("", "the bootstrap token is not signed by this mesh"),
    "no signature": (UNSIGNED, "is not signed by this mesh"),
    "an empty signature": (f"{UNSIGNED}.", "is not signed by this mesh"),
    "another's signature": (tokens.make_token(SharedSecret(b"x" * 32), CLAIMS), "is not signed by this mesh"),
    "the public key for a secret": (
        tokens.make_token(SharedSecret(PUBLIC_BYTES), CLAIMS),
        "is not signed by this mesh",
    ),
    "other claims under a good signature": (
        encoded(b'{"sub":"admin"}') + TOKEN[len(UNSIGNED) :],
        "is not signed by this mesh",
    ),
    "the same bytes signed for something else": (
        f"{UNSIGNED}.{encoded(SECRET.sign(UNSIGNED.encode()))}",
        "is not signed by this mesh",
    ),
    "a JWT without algorithm": (
        f"{encoded(json.dumps({'alg': 'none'}).encode())}.{UNSIGNED}.",
        "is not signed by this mesh",
    ),
    "letters of another alphabet": (TOKEN + "ä", "is not signed by this mesh"),
    "a huge one": (TOKEN + "A" * 5000, "is not signed by this mesh"),
    "signed nonsense": (signed(b"[]"), "the bootstrap token is signed, but cannot be read"),
    "signed and not JSON": (signed(b"{"), "the bootstrap token is signed, but cannot be read"),
    "an endless life": (
        signed(b'{"id":"1","sub":"x","workload":"w","app":"","version":"","exp":1e400}'),
        "the bootstrap token is signed, but cannot be read",
    ),
    "no workload": (tokens.make_token(SECRET, replace(CLAIMS, workload="")), "the bootstrap token names no workload"),
    "no id": (tokens.make_token(SECRET, replace(CLAIMS, token_id="")), "the bootstrap token names no workload"),
    "expired": (
        tokens.make_token(SECRET, replace(CLAIMS, expires=NOW)),
        "the bootstrap token has expired on 2026-03-01 12:00:00 UTC",
    ),
}


@pytest.mark.parametrize(("token", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_token_is_refused(token: str, message: str) -> None:
    with pytest.raises(NotPermitted) as refused:
        VERIFIER.verify(token, NOW)
    assert message in str(refused.value)


@given(st.text(max_size=200))
def test_random_text_never_crashes(text: str) -> None:
    for each in (text, f"{UNSIGNED}.{text}", f"{text}.{TOKEN.partition('.')[2]}"):
        with pytest.raises(NotPermitted):
            VERIFIER.verify(each, NOW)


@given(st.binary(max_size=60))
def test_whatever_was_signed_by_mistake_never_crashes(payload: bytes) -> None:
    with pytest.raises(NotPermitted):
        VERIFIER.verify(signed(payload), NOW)


def test_a_token_is_used_once_also_after_a_restart() -> None:
    memory = Memory()
    SpentTokens(memory).spend("id-1", CLAIMS.expires, NOW)
    with pytest.raises(NotPermitted, match="has been used before; ask for a new one"):
        SpentTokens(memory).spend("id-1", CLAIMS.expires, NOW)


def test_spent_tokens_are_forgotten_when_they_have_expired_anyway() -> None:
    memory = Memory()
    spent = SpentTokens(memory)
    for minute in range(3000):
        now = NOW + timedelta(minutes=minute)
        spent.spend(f"id-{minute}", now + timedelta(hours=1), now)
    assert len(memory.spent) < 600


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ConfigRejected, match="the token secret has 8 bytes; use at least 32"):
        SharedSecret(b"password")
