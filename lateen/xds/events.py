"""What a proxy says on its stream."""

from collections.abc import Mapping
from typing import NamedTuple


class Subscribe(NamedTuple):
    """It wants these names from now on, and no longer those; at the first request of a type it lists what it already holds."""

    type_url: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = {}


class Ack(NamedTuple):
    """It has taken the response with this nonce."""

    type_url: str
    nonce: str


class Nack(NamedTuple):
    """It refuses something in the response with this nonce; other resources of that response may have been taken all the same."""

    type_url: str
    nonce: str
    message: str


Event = Subscribe | Ack | Nack
