"""The keys with which tokens are verified, as they were fetched: facts about the world."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeySet:
    """What is known of the keys at a URL.

    `keys` is a JSON Web Key Set, empty as long as none was ever fetched or when the last good one is too old.
    `failure` says why the last attempt failed; it is empty after a success.
    """

    url: str
    keys: str = ""
    failure: str = ""
