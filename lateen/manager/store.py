"""What the wishes of a user add up to: what files say, and what was applied or deleted on top of them.

Two layers meet here by object. The last writer wins: what is applied wins over the file as it stands, and a file that
says something else about the object from then on wins over what was applied before. A deleted object that a file still
holds stays away until the file says something else about it. An object that a file spoils stays as it last was, also
over a restart; so does one of Mixer's that does not work out with the others (see `settlement`). Each step answers with
the changes for the control loop.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from lateen.api import decode
from lateen.api.changes import Change, Remove, Upsert
from lateen.api.decode import Decoded
from lateen.api.objects import ObjectKey
from lateen.api.violations import Severity, Violation
from lateen.errors import ConfigRejected
from lateen.manager import settlement
from lateen.manager.records import (
    Claim,
    Item,
    Layer,
    Persistence,
    Record,
    digest,
    is_spoilt,
    recorded_key,
    recorded_object,
    records_of,
)

SCALABLE: Final = ("Deployment", "StatefulSet")


class Action(StrEnum):
    """What became of one object of an edit."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    DELETED = "deleted"
    NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one object: `subject` names it as far as it is known, `note` is what the user should know too."""

    subject: str
    action: Action
    key: ObjectKey | None = None
    violations: tuple[Violation, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """What an edit did, object by object, and the changes that it makes to the mesh."""

    outcomes: tuple[Outcome, ...] = ()
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectStatus:
    """An object that counts, and what is known about it.

    `is_applied` tells that it was applied and did not come from a file as it stands. `refused` are the faults of a
    later version that was not accepted.
    """

    object: Item
    is_applied: bool
    refused: tuple[Violation, ...] = ()


@dataclass(slots=True)
class Store:
    """The objects that count, by layers. Not thread-safe, does no I/O except through `persistence`."""

    persistence: Persistence
    _files: dict[str, Decoded] = field(default_factory=dict)
    _written: dict[ObjectKey, Item] = field(default_factory=dict)
    _claims: dict[ObjectKey, Claim] = field(default_factory=dict)
    _wanted: dict[ObjectKey, Item] = field(default_factory=dict)
    _waiting: dict[ObjectKey, tuple[Violation, ...]] = field(default_factory=dict)
    _broken: dict[ObjectKey, tuple[Violation, ...]] = field(default_factory=dict)
    _file_violations: tuple[Violation, ...] = ()
    _refused: dict[str, tuple[Violation, ...]] = field(default_factory=dict)
    _last_good: dict[str, tuple[Item, ...]] = field(default_factory=dict)
    _kept: dict[ObjectKey, Item] = field(default_factory=dict)
    _saved: Sequence[Record] = ()

    def load(self) -> tuple[Change, ...]:
        """Take up what was known before a restart. Call it first; records that can be read no more are left out."""
        self._saved = self.persistence.load()
        for record in self._saved:
            item = recorded_object(record)
            if record["layer"] == Layer.DELETED or (record["layer"] == Layer.APPLIED and item is not None):
                self._claims[recorded_key(record)] = Claim(item, str(record["over"]))
            elif item is not None:
                self._last_good[item.source.file] = (*self._last_good.get(item.source.file, ()), item)
                self._kept[item.key] = item
        return tuple(Upsert(claim.object) for claim in self._claims.values() if claim.object is not None)

    def read_files(self, files: Mapping[str, Decoded]) -> tuple[Change, ...]:
        """Take what some files say now; a file that says nothing and has no faults is as good as gone.

        The first reading must come as one call: of objects that two files hold, the one of the first file counts, files
        in the order of their names.
        """
        said = {name: _with_last_good(decoded, self._before(name)) for name, decoded in files.items()}
        now = {name: decoded for name, decoded in {**self._files, **said}.items() if decoded != Decoded()}
        together = decode.combine(now[name] for name in sorted(now))
        wanted = {item.key: item for item in together.objects}
        written, waiting = self._settled_files(wanted, self._claims)
        touched = [key for key in self._written | written if self._written.get(key) != written.get(key)]
        before = self._effective(touched)
        claims = dict(self._claims)
        for key in touched:
            _age_claim(claims, key, written.get(key))
            self._refused.pop(str(key), None)
        self._commit(claims, now, written, waiting)
        self._wanted, self._file_violations = wanted, together.violations
        self._look_for_broken(touched)
        return self._changes(before)

    def apply(self, decoded: Decoded) -> Edit:
        """Take what a user applies: every valid object, also beside others that are refused."""
        decoded = self._settled(decoded)
        before = self._effective({*(item.key for item in decoded.objects), *self._waiting})
        outcomes = tuple(_applied(item, before[item.key], decoded) for item in decoded.objects)
        changed = {item.key for item in decoded.objects if item != before[item.key]}
        claims = {item.key: self._claim(item.key, item) for item in decoded.objects if item.key in changed}
        written, waiting = self._written, self._waiting
        if waiting and settlement.touches(claims):
            written, waiting = self._settled_files(self._wanted, {**self._claims, **claims})
        self._commit({**self._claims, **claims}, self._files, written, waiting)
        self._look_for_broken(claims)
        self._refused.update(_by_subject(decoded.errors))
        for item in decoded.objects:
            self._refused.pop(str(item.key), None)
        return Edit((*outcomes, *_refusals(decoded)), self._changes(before))

    def delete(self, keys: Iterable[ObjectKey]) -> Edit:
        """Remove objects; one that a file holds stays away until the file says something else about it."""
        keys = tuple(dict.fromkeys(keys))
        before = self._effective(keys)
        claims = dict(self._claims)
        for key in keys:
            claims.pop(key, None)
            if key in self._written:
                claims[key] = self._claim(key, None)
        self._commit(claims, self._files, self._written, self._waiting)
        self._look_for_broken(keys)
        return Edit(tuple(self._deleted(key, before[key]) for key in keys), self._changes(before))

    def scale(self, key: ObjectKey, replicas: int) -> Edit:
        """Apply an object again with another number of replicas. Raises `ConfigRejected` where that means nothing."""
        item = self.get(key)
        if item is None:
            raise ConfigRejected(f"{key} does not exist; `lateen get all -A` lists what does")
        if key.kind not in SCALABLE:
            raise ConfigRejected(f"{key} has no replicas; {' and '.join(SCALABLE)} have")
        document = json.loads(item.body)
        document["spec"]["replicas"] = replicas
        return self.apply(decode.decode_mapping(document, item.source))

    def get(self, key: ObjectKey) -> Item | None:
        """Return the object that counts."""
        claim = self._claims.get(key)
        return self._written.get(key) if claim is None else claim.object

    def status(self, key: ObjectKey) -> ObjectStatus | None:
        """Return an object that counts with what is known about it."""
        item = self.get(key)
        if item is None:
            return None
        return ObjectStatus(item, key in self._claims, self._refusals_of(key))

    def statuses(self) -> tuple[ObjectStatus, ...]:
        """List all objects that count, by key."""
        found = (self.status(key) for key in sorted(self._written | self._claims))
        return tuple(status for status in found if status is not None)

    def hidden(self) -> tuple[Item, ...]:
        """List the objects that files hold and that were deleted all the same, by key."""
        return tuple(
            self._written[key]
            for key in sorted(self._claims)
            if self._claims[key].object is None and key in self._written
        )

    def violations(self) -> tuple[Violation, ...]:
        """List everything that is wrong with the files as they stand, and with what counts among each other."""
        waiting = (violation for found in self._waiting.values() for violation in found)
        broken = (violation for found in self._broken.values() for violation in found)
        return (*self._file_violations, *waiting, *broken)

    def _effective(self, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Item | None]:
        return {key: self.get(key) for key in keys}

    def _changes(self, before: Mapping[ObjectKey, Item | None]) -> tuple[Change, ...]:
        return tuple(_differences(before, self._effective(before)))

    def _claim(self, key: ObjectKey, item: Item | None) -> Claim:
        return Claim(item, digest(self._wanted.get(key)))

    def _before(self, file: str) -> tuple[Item, ...]:
        """List what a file said last; before it was read, what was kept of it over a restart."""
        known = self._files.get(file)
        return self._last_good.pop(file, ()) if known is None else known.objects

    def _standing(self) -> dict[ObjectKey, Item]:
        """Return those of Mixer's objects that count."""
        known = settlement.concerned(self._effective(self._written | self._claims))
        return {key: item for key, item in known.items() if item is not None}

    def _look_for_broken(self, touched: Iterable[ObjectKey]) -> None:
        """Note which of Mixer's objects have no effect any more because what they name is gone."""
        if settlement.touches(touched):
            self._broken = settlement.faults_of(self._standing())

    def _settled(self, decoded: Decoded) -> Decoded:
        """Return what is applied, with those of Mixer's objects as refused that do not work out with the others."""
        fresh = settlement.concerned({item.key: item for item in decoded.objects})
        if not fresh:
            return decoded
        standing = self._standing()
        refused = settlement.settle({**standing, **fresh}, standing).refused
        violations = (violation for found in refused.values() for violation in found)
        objects = tuple(item for item in decoded.objects if item.key not in refused)
        return Decoded(objects, (*decoded.violations, *violations))

    def _settled_files(
        self, wanted: dict[ObjectKey, Item], claims: Mapping[ObjectKey, Claim]
    ) -> tuple[dict[ObjectKey, Item], dict[ObjectKey, tuple[Violation, ...]]]:
        """Return what of the files' objects stands, and why others wait: of those their last good version stands."""
        fresh = settlement.concerned(wanted)
        if fresh == settlement.concerned(self._wanted) and claims is self._claims:
            others = {key: item for key, item in wanted.items() if key not in fresh}
            return {**others, **settlement.concerned(self._written)}, self._waiting
        counting = {
            key: claim.object
            for key, claim in settlement.concerned(claims).items()
            if key not in wanted or claim.over == digest(wanted[key])
        }
        together = {key: item for key, item in {**fresh, **counting}.items() if item is not None}
        settled = settlement.settle(together, {**settlement.concerned(self._kept), **self._standing()})
        waiting = {key: found for key, found in settled.refused.items() if key in fresh and key not in counting}
        written = {key: item for key, item in wanted.items() if key not in waiting}
        for key in waiting:
            if (before := self._written.get(key, self._kept.get(key))) is not None:
                written[key] = before
        return written, waiting

    def _commit(
        self,
        claims: dict[ObjectKey, Claim],
        files: dict[str, Decoded],
        written: dict[ObjectKey, Item],
        waiting: dict[ObjectKey, tuple[Violation, ...]],
    ) -> None:
        """Let a state count once what must survive is safe: after a failed save nothing has changed."""
        standing = settlement.concerned(written) if waiting else None
        records = list(records_of(claims, files, standing))
        if records != self._saved:
            self.persistence.save(records)
        self._saved, self._claims, self._files = records, claims, files
        self._written, self._waiting, self._kept = written, waiting, standing or {}

    def _deleted(self, key: ObjectKey, before: Item | None) -> Outcome:
        if before is None:
            return Outcome(str(key), Action.NOT_FOUND, key)
        written = self._written.get(key)
        if written is None:
            return Outcome(str(key), Action.DELETED, key)
        place = written.source.place() or "a file"
        note = f"it is still written at {place}, and comes back when that changes; remove it there too"
        return Outcome(str(key), Action.DELETED, key, note=note)

    def _refusals_of(self, key: ObjectKey) -> tuple[Violation, ...]:
        """List what is wrong with a later version of an object, or with its file as a whole."""
        written = self._written.get(key)
        file = written.source.file if written is not None and key not in self._claims else None
        faults = tuple(
            violation
            for violation in self.violations()
            if violation.severity is Severity.ERROR
            and (violation.subject == str(key) or (" " not in violation.subject and violation.source.file == file))
        )
        return (*faults, *self._refused.get(str(key), ()))


def _age_claim(claims: dict[ObjectKey, Claim], key: ObjectKey, written: Item | None) -> None:
    """Let the files' new word about a key end a claim, unless it is what the claim was made over.

    A deletion ends with the text that it hid; an applied object outlives the file's, and any later text is news.
    """
    claim = claims.get(key)
    if claim is None or (written is not None and claim.over == digest(written)):
        return
    if written is None and claim.object is not None:
        claims[key] = replace(claim, over="")
    else:
        del claims[key]


def _applied(item: Item, before: Item | None, decoded: Decoded) -> Outcome:
    warnings = tuple(violation for violation in decoded.warnings if violation.subject == str(item.key))
    if before is None:
        return Outcome(str(item.key), Action.CREATED, item.key, warnings)
    action = Action.UNCHANGED if before == item else Action.CONFIGURED
    return Outcome(str(item.key), action, item.key, warnings)


def _refusals(decoded: Decoded) -> Iterator[Outcome]:
    for subject, violations in _by_subject(decoded.errors).items():
        yield Outcome(subject, Action.REFUSED, None, violations)


def _by_subject(violations: Iterable[Violation]) -> dict[str, tuple[Violation, ...]]:
    grouped: dict[str, list[Violation]] = {}
    for violation in violations:
        grouped.setdefault(violation.subject, []).append(violation)
    return {subject: tuple(group) for subject, group in grouped.items()}


def _differences(before: Mapping[ObjectKey, Item | None], after: Mapping[ObjectKey, Item | None]) -> Iterator[Change]:
    for key, item in after.items():
        if item == before[key]:
            continue
        yield Remove(key) if item is None else Upsert(item)


def _with_last_good(now: Decoded, before: tuple[Item, ...]) -> Decoded:
    """Add what a file said before about the objects that it spoils now."""
    present = {item.key for item in now.objects}
    kept = (item for item in before if item.key not in present and is_spoilt(item.key, now))
    return replace(now, objects=(*now.objects, *kept))
