"""Work done once: parts of plans, remembered by the identity of what they were made from."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar, cast

T = TypeVar("T")

FLOOR: Final = 20_000
PARTS_PER_SERVICE: Final = 16


class PlanCache:
    """Remembers the parts of plans, for all classes of proxies together.

    A part is found again when the *same objects* (by identity) and equal values ask for it, so a part that did not
    change is the same object in successive plans. Entries keep their ingredients alive, which keeps identities
    unique. The least recently used entries go when there are more than `capacity`.
    """

    def __init__(self, capacity: int = FLOOR) -> None:
        self.capacity = capacity
        self._parts: OrderedDict[tuple[Hashable, ...], tuple[tuple[object, ...], Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._parts)

    def make_room(self, services: int) -> None:
        """Grow, where it is needed, to what the plans of that many services are made of."""
        self.capacity = max(self.capacity, services * PARTS_PER_SERVICE)

    def recall(self, kind: str, objects: tuple[object, ...], values: tuple[Hashable, ...], make: Callable[[], T]) -> T:
        """Return what `make` made of these objects and values before, or make it now.

        `make` must depend on nothing else.
        """
        key = (kind, *map(id, objects), *values)
        found = self._parts.get(key)
        if found is not None:
            self._parts.move_to_end(key)
            return cast(T, found[1])
        made = make()
        self._parts[key] = (objects, made)
        if len(self._parts) > self.capacity:
            self._parts.popitem(last=False)
        return made

    def intern(self, value: T) -> T:
        """Return the object that stands for all values equal to `value`, which must be hashable."""
        return self.recall("value", (), (cast(Hashable, type(value)), cast(Hashable, value)), lambda: value)
