"""What checks came to, remembered by nothing but the attributes that they depend on.

Which attributes those are, a check says itself: its *shape* is the set of those that it looked at. The same shape with
the same values, absent ones too, comes to the same result, for as long and as often as the result says.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from lateen.mixer.values import Absent, Bag, Reference, Value

MOST_RESULTS: Final = 10_000
MOST_SHAPES: Final = 64
_Result = TypeVar("_Result")
_Shape = tuple[Reference, ...]
_Key = tuple[_Shape, tuple[Hashable, ...]]


@dataclass(slots=True)
class _Entry(Generic[_Result]):
    result: _Result
    until: float
    uses: int


class CheckCache(Generic[_Result]):
    """Remembers results; the one that was longest not asked for goes first. Times are seconds of any steady clock."""

    def __init__(self, most_results: int = MOST_RESULTS, most_shapes: int = MOST_SHAPES) -> None:
        self._most_results = most_results
        self._most_shapes = most_shapes
        self._shapes: OrderedDict[_Shape, None] = OrderedDict()
        self._entries: OrderedDict[_Key, _Entry[_Result]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def shapes(self) -> int:
        """How many sets of attributes are known on which results depend."""
        return len(self._shapes)

    def find(self, bag: Bag, now: float) -> _Result | None:
        """Return what is remembered for these attributes, once more."""
        for shape in self._shapes:
            key = (shape, _values(shape, bag))
            entry = self._entries.get(key)
            if entry is None:
                continue
            if now >= entry.until or entry.uses <= 0:
                del self._entries[key]
                continue
            entry.uses -= 1
            self._entries.move_to_end(key)
            return entry.result
        return None

    def remember(self, looked_at: Iterable[Reference], bag: Bag, result: _Result, until: float, uses: int) -> None:
        """Keep a result until a time and for so many requests more; of no request or time nothing is kept."""
        if uses <= 0:
            return
        shape = tuple(sorted(looked_at, key=str))
        self._note(shape)
        key = (shape, _values(shape, bag))
        self._entries[key] = _Entry(result, until, uses)
        self._entries.move_to_end(key)
        if len(self._entries) > self._most_results:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything: the rules are others now."""
        self._shapes.clear()
        self._entries.clear()

    def _note(self, shape: _Shape) -> None:
        """Look for this shape first from now on; a shape that is dropped takes its results with it."""
        self._shapes[shape] = None
        self._shapes.move_to_end(shape, last=False)
        if len(self._shapes) > self._most_shapes:
            gone, _ = self._shapes.popitem()
            for key in [key for key in self._entries if key[0] == gone]:
                del self._entries[key]


def _values(shape: _Shape, bag: Bag) -> tuple[Hashable, ...]:
    return tuple(_hashable(bag.get(name)) if key is None else bag.entry(name, key) for name, key in shape)


def _hashable(value: Value | Absent) -> Hashable:
    return frozenset(value.items()) if isinstance(value, Mapping) else value
