"""The keys with which tokens are verified, as they were fetched: facts about the world."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProviderEndpoints:
    """Where an OpenID provider is asked, as its discovery document says; what that leaves out is empty."""

    issuer: str = ""
    authorization: str = ""
    token: str = ""
    end_session: str = ""


@dataclass(frozen=True, slots=True)
class KeySet:
    """What is known of the keys at a URL, and where that is a discovery document, of the provider.

    `keys` is a JSON Web Key Set, empty as long as none was ever fetched or when the last good one is too old.
    `failure` says why the last attempt failed; it is empty after a success.
    """

    url: str
    keys: str = ""
    failure: str = ""
    provider: ProviderEndpoints | None = None
