"""Versions of what one class of proxies is to have.

All proxies of a class are told the same, so a difference between two versions is worked out once, becomes one
`Delta`, and is shared by all streams that need it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from weakref import WeakValueDictionary

from lateen.xds import order
from lateen.xds.resources import NO_RESOURCES, Resource, ResourceSet

NO_NAMES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Delta:
    """One response, the same object for every stream that it is sent to.

    `nonce` names the version, the type and this selection of it, and is never used for anything else. `size_bytes` is
    what its resources take on the wire.
    """

    type_url: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...]
    nonce: str
    names: frozenset[str]
    size_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What leads from one mapping of a type to another.

    `upserts` are the names to send, `added` those of them that were not there before, `removed` the names that are
    gone with the version that they had.
    """

    upserts: frozenset[str]
    added: frozenset[str]
    removed: Mapping[str, str]
    removed_names: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.upserts or self.removed)

    @property
    def without_removals(self) -> "Changes":
        """The same without what is gone."""
        return Changes(self.upserts, self.added, {}, NO_NAMES) if self.removed else self


NO_CHANGES = Changes(NO_NAMES, NO_NAMES, {}, NO_NAMES)


def changes(old: Mapping[str, Resource], new: Mapping[str, Resource]) -> Changes:
    """Compare two mappings by the versions of their resources."""
    if old is new:
        return NO_CHANGES
    added = frozenset(new.keys() - old.keys())
    changed = {
        name for name, was in old.items() if (now := new.get(name, was)) is not was and now.version != was.version
    }
    removed = {name: was.version for name, was in old.items() if name not in new}
    if not (added or changed or removed):
        return NO_CHANGES
    return Changes(added | changed, added, removed, frozenset(removed))


class Patch:
    """A change of a few resources of one type, to be applied to many classes.

    Classes that share a mapping share the changed one too: it is copied once.
    """

    def __init__(self, type_url: str, resources: Mapping[str, Resource | None]) -> None:
        self.type_url = type_url
        self._resources = resources
        self._applied: dict[int, tuple[Mapping[str, Resource], Mapping[str, Resource], Changes]] = {}

    def apply(self, old: Mapping[str, Resource]) -> tuple[Mapping[str, Resource], Changes]:
        """Return the mapping with the patch in it (the same object if it changes nothing) and what it changed."""
        known = self._applied.get(id(old))
        if known is None:
            known = (old, *self._apply(old))
            self._applied[id(old)] = known
        return known[1:]

    def _apply(self, old: Mapping[str, Resource]) -> tuple[Mapping[str, Resource], Changes]:
        touched = {name: old[name] for name in self._resources if name in old}
        wanted = {name: resource for name, resource in self._resources.items() if resource is not None}
        change = changes(touched, wanted)
        if not change:
            return old, NO_CHANGES
        new = {**old, **{name: wanted[name] for name in change.upserts}}
        for name in change.removed:
            del new[name]
        return new, change


class ClassVersion:
    """What the proxies of one class are to have from some moment on; never changed once made.

    `id` is never used again, for no class. `generation` counts the changes of the mesh and says which of them this
    version knows.
    """

    __slots__ = ("_changes", "_deltas", "_serials", "_versions", "generation", "id", "resources")

    def __init__(self, version_id: int, resources: ResourceSet, generation: int) -> None:
        self.id = version_id
        self.resources = resources
        self.generation = generation
        self._changes: dict[tuple[str, int], Changes] = {}
        self._deltas: WeakValueDictionary[tuple[str, frozenset[str], frozenset[str]], Delta] = WeakValueDictionary()
        self._versions: dict[str, dict[str, str]] = {}
        self._serials = count()

    def of(self, type_url: str) -> Mapping[str, Resource]:
        """Return the resources of one type by name."""
        return self.resources.get(type_url, NO_RESOURCES)

    def versions(self, type_url: str) -> Mapping[str, str]:
        """Return the versions of the resources of one type by name."""
        known = self._versions.get(type_url)
        if known is None:
            known = {name: resource.version for name, resource in self.of(type_url).items()}
            self._versions[type_url] = known
        return known

    def changes_since(self, previous: "ClassVersion | None", type_url: str) -> Changes:
        """Return what leads from another version, of any class (None: from nothing), to this one."""
        key = (type_url, previous.id if previous else 0)
        known = self._changes.get(key)
        if known is None:
            known = changes(previous.of(type_url) if previous else NO_RESOURCES, self.of(type_url))
            self._changes[key] = known
        return known

    def remember(self, previous: "ClassVersion", type_url: str, change: Changes) -> None:
        """Take over a comparison that has been made already."""
        self._changes[type_url, previous.id] = change

    def delta(self, type_url: str, upserts: frozenset[str], removed: frozenset[str]) -> Delta:
        """Return the response with these names, the same object for as long as some stream still has it in flight."""
        key = (type_url, upserts, removed)
        known = self._deltas.get(key)
        if known is None:
            resources = self.of(type_url)
            nonce = f"{order.type_of(type_url).short}.{self.id}.{next(self._serials)}"
            chosen = tuple(resources[name] for name in sorted(upserts))
            names = upserts | removed if removed else upserts
            size_bytes = sum(len(resource.frame) for resource in chosen)
            known = Delta(type_url, chosen, tuple(sorted(removed)), nonce, names, size_bytes)
            self._deltas[key] = known
        return known


class Versions:
    """Makes and numbers the versions of all classes."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._compared: dict[str, tuple[Mapping[str, Resource], Mapping[str, Resource], Changes]] = {}

    def full(self, previous: ClassVersion | None, resources: ResourceSet, generation: int) -> ClassVersion:
        """Return the version with these resources; `previous` itself if nothing differs from it.

        A type in which nothing differs keeps the previous mapping, so that its proxies see at a glance that it is the
        same.
        """
        if previous is None:
            return ClassVersion(next(self._ids), resources, generation)
        found = {
            url: self._compare(url, previous.of(url), resources.get(url, NO_RESOURCES))
            for url in {**previous.resources, **resources}
        }
        if not any(found.values()):
            return previous
        kept = {url: resources.get(url, NO_RESOURCES) if change else previous.of(url) for url, change in found.items()}
        version = ClassVersion(next(self._ids), kept, generation)
        for url, change in found.items():
            version.remember(previous, url, change)
        return version

    def patched(self, previous: ClassVersion, patch: Patch, generation: int) -> ClassVersion:
        """Return the version with the patch in it; `previous` itself if it changes nothing."""
        mapping, change = patch.apply(previous.of(patch.type_url))
        if not change:
            return previous
        version = ClassVersion(next(self._ids), {**previous.resources, patch.type_url: mapping}, generation)
        version.remember(previous, patch.type_url, change)
        return version

    def _compare(self, url: str, old: Mapping[str, Resource], new: Mapping[str, Resource]) -> Changes:
        """Compare, or recall the comparison if the class before this one has the very same mappings."""
        last = self._compared.get(url)
        if last is not None and last[0] is old and last[1] is new:
            return last[2]
        change = changes(old, new)
        self._compared[url] = (old, new, change)
        return change


class NameSets:
    """Keeps one copy of equal sets of names: a thousand equal proxies subscribe to the same thousand names."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[int, frozenset[str]] = WeakValueDictionary()

    def same(self, names: frozenset[str]) -> frozenset[str]:
        """Return the set to keep in place of this equal one."""
        if not names:
            return NO_NAMES
        known = self._known.get(hash(names))
        if known == names:
            return known
        self._known[hash(names)] = names
        return names
