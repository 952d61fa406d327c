"""One type of resource on one stream: what the proxy asked for, what it holds, and what it is told next.

What the proxy holds is kept as a reference to the version that it acknowledged and the few names in which it differs
from that, so a thousand proxies that follow their class cost a reference each.
"""

from collections.abc import Mapping
from typing import NamedTuple

from lateen.xds.events import Subscribe
from lateen.xds.order import ResourceType
from lateen.xds.resources import Resource
from lateen.xds.versions import NO_NAMES, Changes, ClassVersion, Delta, NameSets

UNSURE = ""
"""The version of a resource that was in a refused response: held or not, one cannot know. No resource has it."""

NOT_HELD = None

IN_STEP: Mapping[str, str | None] = {}


class Rejection(NamedTuple):
    """A resource that the proxy refuses; it keeps the one that it had.

    `version` None: it refuses to remove it. Changes of the mesh after generation `after` up to `generation` are not
    in effect in it.
    """

    name: str
    version: str | None
    message: str
    after: int
    generation: int


class Pending(NamedTuple):
    """A response that is not acknowledged yet, and what its acknowledgement will mean.

    The proxy will then be at `version` but for the names in `differing`. `added` may be new to it. `complete`: nothing
    but removals is left to be said.
    """

    delta: Delta
    version: ClassVersion
    differing: Mapping[str, str | None]
    added: frozenset[str]
    complete: bool


class Channel:
    """What one stream knows of one type; at most one response is unacknowledged, and the newest state wins."""

    __slots__ = (
        "_asked",
        "_fresh",
        "_initial",
        "_retrying",
        "_sets",
        "_suspects",
        "_wants_all_again",
        "differing",
        "held",
        "kind",
        "landed",
        "pending",
        "rejected",
        "subscribed",
        "trouble",
        "wildcard",
    )

    def __init__(self, first: Subscribe, kind: ResourceType, sets: NameSets) -> None:
        self.kind = kind
        self._sets = sets
        self.wildcard = kind.wildcard and not first.subscribe
        self.subscribed = NO_NAMES
        self.held: ClassVersion | None = None
        self.differing: Mapping[str, str | None] = IN_STEP
        self.pending: Pending | None = None
        self.rejected: dict[str, Rejection] = {}
        self.landed = -1
        self.trouble: str | None = None
        self._initial: Mapping[str, str] | None = first.initial_versions or None
        self._asked = NO_NAMES
        self._fresh = NO_NAMES  # asked for and never answered yet, so not held whatever the version says
        self._suspects: list[frozenset[str]] = []
        self._retrying: set[str] = set()
        self._wants_all_again = False
        self.subscribe(first)

    # What the proxy asks for

    def subscribe(self, event: Subscribe) -> None:
        """Note what the proxy wants; every name that it asks for will be answered, also if it has been before."""
        if event.unsubscribe:
            self._unsubscribe(frozenset(event.unsubscribe))
        if not event.subscribe:
            return
        names = frozenset(event.subscribe)
        if "*" in names:
            names -= {"*"}
            self._wants_all_again = self.wildcard or self.held is not None
            self.wildcard = True
        fresh = names - self.subscribed
        if fresh:
            self._fresh = self._sets.same(self._fresh | fresh)
            self.landed = -1
        self.subscribed = self._sets.same(self.subscribed | names if self.subscribed else names)
        self._asked = self._sets.same(self._asked | names if self._asked else names)

    def _unsubscribe(self, names: frozenset[str]) -> None:
        if "*" in names:
            self.wildcard = False
            names -= {"*"}
        self.subscribed = self._sets.same(self.subscribed - names)
        if self.wildcard:
            # It cannot know whether the wildcard still covers the name, so it is told.
            self._asked = self._sets.same(self._asked | names)
            return
        self._asked = self._sets.same(self._asked - names)
        self._fresh = self._sets.same(self._fresh - names)
        self.differing = {name: version for name, version in self.differing.items() if name not in names}
        for name in names & self.rejected.keys():
            del self.rejected[name]

    def missing(self, target: ClassVersion) -> frozenset[str]:
        """Return the names that the proxy asked for and lacks, that is, holds in no version at all."""
        pending = self.pending
        if pending is None:
            return NO_NAMES
        missing = pending.added
        if pending.version is not target:
            missing |= target.changes_since(pending.version, self.kind.url).added & self.subscribed
        if pending.differing:
            missing |= {name for name, version in pending.differing.items() if version in (NOT_HELD, UNSURE)}
        if self._asked and self._fresh:
            missing |= self._asked & self._fresh
        return missing

    def repeat(self, names: frozenset[str]) -> None:
        """Answer these names once more, those that the proxy subscribes to."""
        if again := names & self.subscribed:
            self._asked = self._sets.same(self._asked | again)

    # What the proxy is told

    def next_response(self, target: ClassVersion, may_remove: bool) -> Pending | None:
        """Return what is to be sent now, noted as pending; None if nothing is, or if another one is out."""
        if self.pending is not None:
            return None
        if self._initial is not None:
            self._adopt(target, self._initial)
        if self.differing or self._asked or self.rejected or self._suspects or self._wants_all_again:
            self.pending = self._first_answer(target) or self._own_response(target, may_remove)
        else:
            self.pending = self._shared_response(target, may_remove)
        return self.pending

    def _shared_response(self, target: ClassVersion, may_remove: bool) -> Pending | None:
        """The usual case: the proxy holds what its class held, and all of it is told the same."""
        url, held = self.kind.url, self.held
        if held is target and self.landed >= target.generation:
            return None
        if held is not None and held.of(url) is target.of(url):
            self._arrive(target, IN_STEP)
            return None
        changes = self._changes(target)
        if not self.wildcard and not (changes.upserts <= self.subscribed and changes.removed_names <= self.subscribed):
            return self._own_response(target, may_remove)
        remove_now = may_remove or not changes.removed
        differing = IN_STEP if remove_now else changes.removed
        unanswered = held is None and self.wildcard
        if not changes.upserts and not unanswered and not (changes.removed and remove_now):
            self._arrive(target, differing)
            return None
        delta = target.delta(url, changes.upserts, changes.removed_names if remove_now else NO_NAMES)
        return Pending(delta, target, differing, changes.added, complete=True)

    def _first_answer(self, target: ClassVersion) -> Pending | None:
        """Answer a proxy that holds nothing and asks by name, as a fresh one does; equal ones share the answer."""
        names = self._asked
        if (
            self.held is not None
            or self.wildcard
            or names is not self.subscribed
            or self.differing
            or self.rejected
            or self._suspects
        ):
            return None
        resources = target.of(self.kind.url)
        there = names if names <= resources.keys() else self._sets.same(names.intersection(resources))
        self._asked = NO_NAMES
        return Pending(target.delta(self.kind.url, there, names - there), target, IN_STEP, there, complete=True)

    def _own_response(self, target: ClassVersion, may_remove: bool) -> Pending | None:
        """The unusual case: reconnected, asked again, refused something, or subscribed to a part only."""
        wanted = self._wanted(target)
        self._hold_back_rejected(wanted)
        asked = self._asked
        batch = {name for name, resource in wanted.items() if resource is not None or may_remove or name in asked}
        complete = True
        if self._suspects:
            batch, complete = self._without_suspects(batch)
        answer_all = self.wildcard and (self.held is None or self._wants_all_again)
        differing = {name: self._version_held(name) for name in wanted if name not in batch}
        differing.update({name: self._version_held(name) for name in self.rejected if name not in batch})
        self._wants_all_again = False
        if not batch and not answer_all:
            self._arrive(target, differing or IN_STEP, landed=not wanted)
            return None
        upserts = frozenset(name for name in batch if wanted[name] is not None)
        added = frozenset(name for name in upserts if self._version_held(name) in (NOT_HELD, UNSURE))
        self._asked = self._sets.same(asked - batch)
        self._retrying -= batch
        delta = target.delta(self.kind.url, upserts, frozenset(batch - upserts))
        return Pending(delta, target, differing or IN_STEP, added, complete)

    def _wanted(self, target: ClassVersion) -> dict[str, Resource | None]:
        """Return all in which the proxy differs from the target: what to send, and what to remove (None)."""
        url = self.kind.url
        resources = target.of(url)
        changes = self._changes(target)
        asked = self._asked | resources.keys() if self._wants_all_again else self._asked
        wanted: dict[str, Resource | None] = {}
        for name in (*changes.upserts, *changes.removed):
            if self.wildcard or name in self.subscribed:
                wanted[name] = resources.get(name)
        for name, version in self.differing.items():
            wanted.pop(name, None)
            resource = resources.get(name)
            is_told = resource is not None or not self.kind.is_let_go
            if (
                is_told
                and version != (resource.version if resource else NOT_HELD)
                and (self.wildcard or name in self.subscribed)
            ):
                wanted[name] = resource
        for name in asked:
            wanted[name] = resources.get(name)
        return wanted

    def _changes(self, target: ClassVersion) -> Changes:
        """Return what leads to the target, as far as the proxy is told of it."""
        changes = target.changes_since(self.held, self.kind.url)
        return changes.without_removals if self.kind.is_let_go else changes

    def _hold_back_rejected(self, wanted: dict[str, Resource | None]) -> None:
        """Leave out what the proxy refuses until it changes or the proxy asks; forget refusals that are out of date."""
        for name, rejection in list(self.rejected.items()):
            resource = wanted.get(name)
            if name not in wanted or rejection.version != (resource.version if resource else None):
                del self.rejected[name]
            elif name not in self._asked and name not in self._retrying:
                del wanted[name]

    def _version_held(self, name: str) -> str | None:
        if name in self.differing:
            return self.differing[name]
        if self.held is None or (not self.wildcard and (name in self._fresh or name not in self.subscribed)):
            return NOT_HELD
        resource = self.held.of(self.kind.url).get(name)
        return resource.version if resource else NOT_HELD

    def _adopt(self, target: ClassVersion, initial: Mapping[str, str]) -> None:
        """Take over what a reconnected proxy says that it holds, as differences from the target."""
        versions = target.versions(self.kind.url)
        self._initial = None
        self.held = target
        differs = dict(initial.items() ^ versions.items()) if initial != versions else {}
        scope = frozenset(differs) if self.wildcard else self.subscribed.intersection(differs)
        if self.kind.is_let_go:
            scope &= versions.keys()
        self.differing = {name: initial.get(name) for name in scope}
        # A name that neither side has must be answered; one that differs will be; one that is equal need not.
        self._asked = self._sets.same(self._asked.difference(initial, versions))
        self._fresh = NO_NAMES

    # What the proxy answers

    def acknowledge(self, pending: Pending) -> None:
        """The proxy took it all."""
        self.pending = None
        if self._fresh:
            self._fresh = self._sets.same(self._fresh - (pending.delta.names - self._asked))
        if self.rejected:
            self.rejected = {
                name: rejection for name, rejection in self.rejected.items() if name not in pending.delta.names
            }
        differing = pending.differing
        is_all = not differing or differing.keys() <= self.rejected.keys()
        self._arrive(pending.version, differing, landed=is_all and not self._asked and not self._suspects)

    def refuse(self, pending: Pending, message: str) -> frozenset[str]:
        """The proxy refused something of it: return the culprit if it is plain, else part the names to find it."""
        self.pending = None
        self.trouble = message
        names = pending.delta.names
        differing = dict(pending.differing)
        if len(names) == 1:
            self._reject(pending, message)
            differing.update({name: self._version_held(name) for name in names})
        else:
            differing.update(dict.fromkeys(names, UNSURE))
            self._suspects[:0] = _parts(names, message)
        self._fresh = self._sets.same(self._fresh - names)
        self._arrive(pending.version, differing, landed=False)
        return names if len(names) == 1 else NO_NAMES

    def _reject(self, pending: Pending, message: str) -> None:
        """Note the refusal of the only name of a response."""
        (name,) = pending.delta.names
        version = pending.delta.resources[0].version if pending.delta.resources else None
        before = self.rejected.get(name)
        if before is not None and before.version == version:
            self.rejected[name] = before._replace(message=message)
        else:
            self.rejected[name] = Rejection(name, version, message, self.landed, pending.version.generation)

    def _without_suspects(self, batch: set[str]) -> tuple[set[str], bool]:
        """Return what can be sent safely, else the first group of suspects; and whether that is the last of it."""
        while self._suspects:
            safe = batch.difference(*self._suspects)
            if safe:
                return safe, False
            group = batch & self._suspects.pop(0)
            if group:
                return group, not self._suspects
        return batch, True

    def retry_rejected(self) -> None:
        """Offer what was refused once more, one by one: what it was missing may be there now."""
        self._suspects.extend(frozenset({name}) for name in self.rejected)
        self._retrying.update(self.rejected)

    def _arrive(self, version: ClassVersion, differing: Mapping[str, str | None], landed: bool | None = None) -> None:
        self.held = version
        self.differing = differing
        if landed if landed is not None else not differing:
            self.landed = version.generation
            if not self.rejected:
                self.trouble = None

    # How far the proxy is

    def at(self, version: ClassVersion) -> bool:
        """Say whether the proxy runs exactly this version."""
        return self.held is version and self.pending is None and not (self.differing or self.rejected or self._asked)

    def settled(self, generation: int) -> bool:
        """Say whether everything up to this generation has been acknowledged, and nothing of it refused."""
        if self.landed < generation or not self.rejected:
            return self.landed >= generation
        return not any(r.after < generation <= r.generation for r in self.rejected.values())


def _parts(names: frozenset[str], message: str) -> list[frozenset[str]]:
    """Part a refused response: the names that Envoy blames from the others, else in two halves."""
    blamed = frozenset(name for name in names if name in message)
    if blamed and blamed != names:
        return [names - blamed, blamed]
    ordered = sorted(names)
    middle = len(ordered) // 2
    return [part for part in (frozenset(ordered[:middle]), frozenset(ordered[middle:])) if part]
