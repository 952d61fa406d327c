"""What a proxy says on its stream."""

from collections.abc import Mapping
from typing import NamedTuple


class Subscribe(NamedTuple):
    """It wants these names and no longer those; in its first request of a type it says what it holds already."""

    type_url: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = {}


class Ack(NamedTuple):
    """It has taken the response with this nonce."""

    type_url: str
    nonce: str


class Nack(NamedTuple):
    """It refuses something in the response with this nonce; it may have taken other resources of it all the same."""

    type_url: str
    nonce: str
    message: str


Event = Subscribe | Ack | Nack
