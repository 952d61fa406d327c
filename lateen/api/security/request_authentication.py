"""RequestAuthentication: whose tokens are believed, and where requests carry them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from lateen.api.fields import Bool, HeaderName, NonEmpty, PositiveDuration
from lateen.api.security import key_sets
from lateen.api.security.attachment import Attached
from lateen.api.security.explicit import Explicit
from lateen.api.structs import Problem, Struct

DISCOVERY: Final = "/.well-known/openid-configuration"
MAX_RULES: Final = 4096


def _check_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(f"must be a URL like https://example.com/keys, not {text!r}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or any(map(str.isspace, text)):
        raise ValueError(f"must be an http or https URL, not {text!r}")
    return text


def _check_key_set(text: str) -> str:
    """Return the text if it is a JSON Web Key Set with at least one key that can verify a signature."""
    if not key_sets.own_keys(text):
        raise ValueError("must have a key that can verify signatures: RSA of 2048 bits, EC, Ed25519 or oct, each whole")
    return text


Url = Annotated[str, AfterValidator(_check_url)]
KeySetText = Annotated[str, AfterValidator(_check_key_set)]


class TokenHeader(Struct):
    """A header that carries the token, after `prefix`."""

    name: HeaderName
    prefix: str = ""


class ClaimToHeader(Struct):
    """A claim that is passed to the workload in a header; `a.b` is a claim inside a claim."""

    header: HeaderName
    claim: NonEmpty


class JwtRule(Explicit):
    """Tokens of one issuer: who they must be for, what they are verified with, and where they are."""

    issuer: NonEmpty
    audiences: tuple[NonEmpty, ...] = ()
    jwks_uri: Url | None = None
    jwks: KeySetText | None = None
    from_headers: tuple[TokenHeader, ...] = ()
    from_params: tuple[NonEmpty, ...] = ()
    from_cookies: tuple[NonEmpty, ...] = ()
    output_payload_to_header: HeaderName | None = None
    output_claim_to_headers: tuple[ClaimToHeader, ...] = ()
    forward_original_token: Bool = False
    timeout: PositiveDuration = timedelta(seconds=5)
    space_delimited_claims: tuple[NonEmpty, ...] = ()

    @property
    def own_keys(self) -> str:
        """The usable keys of `jwks`; empty where keys are fetched."""
        return "" if self.jwks is None else key_sets.encode_keys(key_sets.own_keys(self.jwks))

    @property
    def keys_url(self) -> str:
        """Where the keys are fetched, the issuer's discovery document where nothing is written; empty for own keys."""
        if self.jwks is not None:
            return ""
        return self.jwks_uri or self.issuer.rstrip("/") + DISCOVERY

    def problems(self) -> Iterator[Problem]:
        if self.jwks is not None and self.jwks_uri is not None:
            yield Problem("must not come together with jwksUri", "jwks")
        if self.jwks is None and self.jwks_uri is None and not self.issuer.startswith(("http://", "https://")):
            yield Problem("must be set, or jwks: the issuer is no URL that could tell where its keys are", "jwksUri")


class RequestAuthentication(Attached):
    """Tokens that requests may carry. A request without one is anonymous; one with a token that fails gets a 401."""

    jwt_rules: Annotated[tuple[JwtRule, ...], Field(max_length=MAX_RULES)] = ()
