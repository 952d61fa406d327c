"""All config objects at one moment, as a value."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeVar, cast

from lateen.api import kinds
from lateen.api.changes import Change, Remove, Upsert
from lateen.api.objects import ConfigObject, ObjectKey
from lateen.api.structs import Struct
from lateen.api.traffic import expansion
from lateen.api.traffic.egress import Egress

S = TypeVar("S", bound=Struct)
Shelf = Mapping[str, ConfigObject[Struct]]
"""The objects of one kind in one namespace by name, names in order."""

Shelves = Mapping[str, Shelf]
"""The objects of one kind by namespace."""

_NOTHING: Final[Shelf] = MappingProxyType({})
_EGRESS: Final = ("lateen.dev", "Egress")
_NOWHERE: Final[Shelves] = MappingProxyType({})


class ConfigSet:
    """An immutable set of config objects: the same objects in any order make equal sets.

    A changed set shares every shelf (kind and namespace) that no change touches with the set it was made from, so
    that a change costs a copy of one shelf's pointers and "nothing of this kind changed" can be seen by identity.
    Beside each Egress there are the objects that it stands for (see `traffic.expansion`).
    """

    __slots__ = ("_kinds",)

    def __init__(self, objects: Iterable[ConfigObject[Struct]] = ()) -> None:
        self._kinds = _applied({}, [Upsert(item) for item in objects])

    def apply(self, changes: Iterable[Change]) -> "ConfigSet":
        """Return the set after the changes, in order; removing what is not there is no change."""
        changed = object.__new__(ConfigSet)
        changed._kinds = _applied(self._kinds, list(changes))
        return changed

    def within(self, chosen: Callable[[str], bool], before: "ConfigSet") -> "ConfigSet":
        """Return the objects of the chosen namespaces; shelves that are the same as in `before` are the same object."""
        narrowed = object.__new__(ConfigSet)
        narrowed._kinds = {
            kind: found
            for kind, shelves in self._kinds.items()
            if (found := _within(shelves, chosen, before._kinds.get(kind, _NOWHERE)))
        }
        return narrowed

    def of(self, kind: kinds.Kind | type[S], namespace: str | None = None) -> tuple[ConfigObject[S], ...]:
        """Return the objects of a kind, of all namespaces or one, ordered by namespace and name."""
        return cast(tuple[ConfigObject[S], ...], tuple(self._of(kind, namespace)))

    def _of(self, kind: kinds.Kind | type[S], namespace: str | None) -> Iterator[ConfigObject[Struct]]:
        shelves = self._shelves(kind)
        if namespace is not None:
            yield from shelves.get(namespace, _NOTHING).values()
        else:
            for name in sorted(shelves):
                yield from shelves[name].values()

    def shelf(self, kind: kinds.Kind | type[Struct], namespace: str) -> Shelf:
        """Return one kind's objects of one namespace by name; the same object while nothing in it changes."""
        return self._shelves(kind).get(namespace, _NOTHING)

    def shelves(self, kind: kinds.Kind | type[Struct]) -> Shelves:
        """Return one kind's shelves by namespace; the same object while nothing of the kind changes."""
        return self._shelves(kind)

    def _shelves(self, kind: kinds.Kind | type[Struct]) -> Shelves:
        row = kind if isinstance(kind, kinds.Kind) else kinds.of_spec(kind)
        return self._kinds.get((row.group, row.kind), _NOWHERE)

    def get(self, key: ObjectKey) -> ConfigObject[Struct] | None:
        """Return the object with this key, or None."""
        return self._kinds.get((key.group, key.kind), _NOWHERE).get(key.namespace, _NOTHING).get(key.name)

    def __iter__(self) -> Iterator[ConfigObject[Struct]]:
        """Yield every object, ordered by key."""
        for kind in sorted(self._kinds):
            for namespace in sorted(self._kinds[kind]):
                yield from self._kinds[kind][namespace].values()

    def __contains__(self, key: object) -> bool:
        return isinstance(key, ObjectKey) and self.get(key) is not None

    def __len__(self) -> int:
        return sum(len(shelf) for shelves in self._kinds.values() for shelf in shelves.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConfigSet) and self._kinds == other._kinds

    def __hash__(self) -> int:
        return hash(frozenset(item.key for item in self))

    def __repr__(self) -> str:
        return f"ConfigSet({len(self)} objects)"


_Kinds = Mapping[tuple[str, str], Shelves]


def _within(shelves: Shelves, chosen: Callable[[str], bool], before: Shelves) -> Shelves:
    found = {namespace: shelf for namespace, shelf in shelves.items() if chosen(namespace)}
    is_same = found.keys() == before.keys() and all(found[name] is before[name] for name in found)
    return before if is_same else found


def _applied(before: _Kinds, changes: list[Change]) -> _Kinds:
    """Return the shelves after the changes; only touched ones are new."""
    by_shelf: dict[tuple[str, str], dict[str, list[Change]]] = {}
    for change in _expanded(before, changes):
        by_shelf.setdefault((change.key.group, change.key.kind), {}).setdefault(change.key.namespace, []).append(change)
    after = dict(before)
    for kind, by_namespace in by_shelf.items():
        shelves = dict(before.get(kind, _NOWHERE))
        for namespace, shelf_changes in by_namespace.items():
            shelves[namespace] = _changed_shelf(shelves.get(namespace, _NOTHING), shelf_changes)
        after[kind] = {namespace: shelf for namespace, shelf in shelves.items() if shelf}
        if not after[kind]:
            del after[kind]
    return after


def _expanded(before: _Kinds, changes: list[Change]) -> Iterator[Change]:
    """Yield the changes, each Egress followed by those of the objects that it stands for."""
    egresses: dict[ObjectKey, ConfigObject[Egress] | None] = {}
    for change in changes:
        yield change
        if (change.key.group, change.key.kind) == _EGRESS:
            key = change.key
            known = egresses[key] if key in egresses else _egress(before, key)
            yield from (Remove(stale) for stale in (expansion.keys(known) if known is not None else ()))
            egresses[key] = cast(ConfigObject[Egress], change.object) if isinstance(change, Upsert) else None
            made = egresses[key]
            yield from (Upsert(item) for item in (expansion.expand(made) if made is not None else ()))


def _egress(before: _Kinds, key: ObjectKey) -> ConfigObject[Egress] | None:
    return cast(ConfigObject[Egress] | None, before.get(_EGRESS, _NOWHERE).get(key.namespace, _NOTHING).get(key.name))


def _changed_shelf(before: Shelf, changes: list[Change]) -> Shelf:
    """Return one shelf after its changes, its names in order."""
    after = dict(before)
    for change in changes:
        if isinstance(change, Upsert):
            after[change.key.name] = change.object
        else:
            after.pop(change.key.name, None)
    if after.keys() - before.keys():
        after = {name: after[name] for name in sorted(after)}
    return after
