"""The values of attributes, and bags of them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Protocol

from lateen.api.fields import EMPTY_MAP

Value = str | bool | int | float | datetime | timedelta | IPv4Address | IPv6Address | Mapping[str, str]
"""What an attribute can be: times are aware, e-mail addresses, URIs and DNS names are text."""


class Absent(Enum):
    """The one value of what is not there."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent.ABSENT


class Bag(Protocol):
    """Attributes of one request or report, by their names of today."""

    def get(self, name: str) -> Value | Absent:
        """Return the value of an attribute."""
        ...

    def entry(self, name: str, key: str) -> str | Absent:
        """Return one entry of an attribute that is a map; absent without the map or the entry."""
        ...


class Attributes:
    """A bag over a mapping."""

    __slots__ = ("values",)

    def __init__(self, values: Mapping[str, Value] = EMPTY_MAP) -> None:
        self.values = values

    def get(self, name: str) -> Value | Absent:
        return self.values.get(name, ABSENT)

    def entry(self, name: str, key: str) -> str | Absent:
        return entry_of(self.values.get(name), key)

    def with_values(self, more: Mapping[str, Value]) -> "Attributes":
        """Return a bag that has more values, or others for the same names."""
        return Attributes({**self.values, **more})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attributes) and self.values == other.values

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Attributes({dict(self.values)!r})"


def entry_of(found: object, key: str) -> str | Absent:
    """Return the entry of a map; absent for whatever is no map."""
    return found.get(key, ABSENT) if isinstance(found, Mapping) else ABSENT


Reference = tuple[str, str | None]
"""An attribute that was looked at, or one entry of it."""


class Tracked:
    """A bag that remembers what was looked at, whether it was there or not: on nothing else a result depends."""

    __slots__ = ("_bag", "referenced")

    def __init__(self, bag: Bag) -> None:
        self._bag = bag
        self.referenced: set[Reference] = set()

    def get(self, name: str) -> Value | Absent:
        self.referenced.add((name, None))
        return self._bag.get(name)

    def entry(self, name: str, key: str) -> str | Absent:
        self.referenced.add((name, key))
        return self._bag.entry(name, key)


class Layered:
    """A bag in front of another one, whose attributes win."""

    __slots__ = ("_behind", "_front")

    def __init__(self, front: Mapping[str, Value], behind: Bag) -> None:
        self._front = front
        self._behind = behind

    def get(self, name: str) -> Value | Absent:
        return self._front[name] if name in self._front else self._behind.get(name)

    def entry(self, name: str, key: str) -> str | Absent:
        return entry_of(self._front[name], key) if name in self._front else self._behind.entry(name, key)
