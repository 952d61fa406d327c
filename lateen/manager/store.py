"""What the wishes of a user add up to: what files say, and what was applied or deleted on top of them.

Two layers meet here by object. The last writer wins: what is applied wins over the file as it stands, and a file that
says something else about the object from then on wins over what was applied before. A deleted object that a file still
holds stays away until the file says something else about it. An object that a file spoils stays as it last was, also
over a restart. Each step answers with the changes for the control loop.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Protocol

from lateen.api import decode
from lateen.api.changes import Change, Remove, Upsert
from lateen.api.decode import Decoded
from lateen.api.objects import ConfigObject, ObjectKey, Source
from lateen.api.structs import Struct
from lateen.api.violations import Severity, Violation
from lateen.errors import ConfigRejected

Item = ConfigObject[Struct]
Record = Mapping[str, str | int]
"""One thing that must survive a restart, in words that JSON knows."""

SCALABLE: Final = ("Deployment", "StatefulSet")


class Persistence(Protocol):
    """Keeps records where a restart of the control plane does not lose them."""

    def load(self) -> Sequence[Record]:
        """Return the records saved last; none at the first start."""
        ...

    def save(self, records: Sequence[Record]) -> None:
        """Keep exactly these records; they are safe when this returns. Raises `Unavailable`."""
        ...


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


class _Layer(StrEnum):
    """Why a record is kept."""

    APPLIED = "applied"
    DELETED = "deleted"
    LAST_GOOD = "last good"


@dataclass(frozen=True, slots=True)
class _Claim:
    """What was applied for one key, or (no object) that it was deleted; `over` digests what the files said then."""

    object: Item | None
    over: str = ""


@dataclass(slots=True)
class Store:
    """The objects that count, by layers. Not thread-safe, does no I/O except through `persistence`."""

    persistence: Persistence
    _files: dict[str, Decoded] = field(default_factory=dict)
    _written: dict[ObjectKey, Item] = field(default_factory=dict)
    _claims: dict[ObjectKey, _Claim] = field(default_factory=dict)
    _file_violations: tuple[Violation, ...] = ()
    _refused: dict[str, tuple[Violation, ...]] = field(default_factory=dict)
    _last_good: dict[str, tuple[Item, ...]] = field(default_factory=dict)
    _saved: Sequence[Record] = ()

    def load(self) -> tuple[Change, ...]:
        """Take up what was known before a restart. Call it first; records that can be read no more are left out."""
        self._saved = self.persistence.load()
        for record in self._saved:
            item = _recorded_object(record)
            if record["layer"] == _Layer.DELETED or (record["layer"] == _Layer.APPLIED and item is not None):
                self._claims[_recorded_key(record)] = _Claim(item, str(record["over"]))
            elif item is not None:
                self._last_good[item.source.file] = (*self._last_good.get(item.source.file, ()), item)
        return tuple(Upsert(claim.object) for claim in self._claims.values() if claim.object is not None)

    def read_files(self, files: Mapping[str, Decoded]) -> tuple[Change, ...]:
        """Take what some files say now; a file that says nothing and has no faults is as good as gone.

        The first reading must come as one call: of objects that two files hold, the one of the first file counts, files
        in the order of their names.
        """
        said = {name: _with_last_good(decoded, self._before(name)) for name, decoded in files.items()}
        now = {name: decoded for name, decoded in {**self._files, **said}.items() if decoded != Decoded()}
        together = decode.combine(now[name] for name in sorted(now))
        written = {item.key: item for item in together.objects}
        touched = [key for key in self._written | written if self._written.get(key) != written.get(key)]
        before = self._effective(touched)
        claims = dict(self._claims)
        for key in touched:
            _age_claim(claims, key, written.get(key))
            self._refused.pop(str(key), None)
        self._commit(claims, now)
        self._written, self._file_violations = written, together.violations
        return self._changes(before)

    def apply(self, decoded: Decoded) -> Edit:
        """Take what a user applies: every valid object, also beside others that are refused."""
        before = self._effective(item.key for item in decoded.objects)
        outcomes = tuple(_applied(item, before[item.key], decoded) for item in decoded.objects)
        changed = {item.key for item in decoded.objects if item != before[item.key]}
        claims = {item.key: self._claim(item.key, item) for item in decoded.objects if item.key in changed}
        self._commit({**self._claims, **claims}, self._files)
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
        self._commit(claims, self._files)
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
        """List everything that is wrong with the files as they stand."""
        return self._file_violations

    def _effective(self, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Item | None]:
        return {key: self.get(key) for key in keys}

    def _changes(self, before: Mapping[ObjectKey, Item | None]) -> tuple[Change, ...]:
        return tuple(_differences(before, self._effective(before)))

    def _claim(self, key: ObjectKey, item: Item | None) -> _Claim:
        return _Claim(item, _digest(self._written.get(key)))

    def _before(self, file: str) -> tuple[Item, ...]:
        """List what a file said last; before it was read, what was kept of it over a restart."""
        known = self._files.get(file)
        return self._last_good.pop(file, ()) if known is None else known.objects

    def _commit(self, claims: dict[ObjectKey, _Claim], files: dict[str, Decoded]) -> None:
        """Let claims and files count once what must survive is safe: after a failed save nothing has changed."""
        records = list(_records(claims, files))
        if records != self._saved:
            self.persistence.save(records)
        self._saved, self._claims, self._files = records, claims, files

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
            for violation in self._file_violations
            if violation.severity is Severity.ERROR
            and (violation.subject == str(key) or (" " not in violation.subject and violation.source.file == file))
        )
        return (*faults, *self._refused.get(str(key), ()))


def _age_claim(claims: dict[ObjectKey, _Claim], key: ObjectKey, written: Item | None) -> None:
    """Let the files' new word about a key end a claim, unless it is what the claim was made over.

    A deletion ends with the text that it hid; an applied object outlives the file's, and any later text is news.
    """
    claim = claims.get(key)
    if claim is None or (written is not None and claim.over == _digest(written)):
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


def _digest(item: Item | None) -> str:
    return "" if item is None else hashlib.sha256(item.body).hexdigest()[:24]


def _with_last_good(now: Decoded, before: tuple[Item, ...]) -> Decoded:
    """Add what a file said before about the objects that it spoils now."""
    present = {item.key for item in now.objects}
    kept = (item for item in before if item.key not in present and _is_spoilt(item.key, now))
    return replace(now, objects=(*now.objects, *kept))


def _is_spoilt(key: ObjectKey, now: Decoded) -> bool:
    """Tell whether a file has faults that are, or without a name may be, about an object."""
    subjects = {violation.subject for violation in now.errors}
    return str(key) in subjects or any(" " not in subject for subject in subjects)


def _records(claims: Mapping[ObjectKey, _Claim], files: Mapping[str, Decoded]) -> Iterator[Record]:
    """Yield what must survive a restart: claims, and what files do not say in valid words any more."""
    for key in sorted(claims):
        claim = claims[key]
        layer = _Layer.DELETED if claim.object is None else _Layer.APPLIED
        yield _record(layer, key, claim.object, claim.over)
    for name in sorted(files):
        for item in files[name].objects:
            if _is_spoilt(item.key, files[name]):
                yield _record(_Layer.LAST_GOOD, item.key, item)


def _record(layer: _Layer, key: ObjectKey, item: Item | None, over: str = "") -> Record:
    source = item.source if item is not None else Source()
    return {
        "layer": layer.value,
        "group": key.group,
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "body": item.body.decode() if item is not None else "",
        "file": source.file,
        "line": source.line,
        "over": over,
    }


def _recorded_key(record: Record) -> ObjectKey:
    return ObjectKey(*(str(record[part]) for part in ("group", "kind", "namespace", "name")))


def _recorded_object(record: Record) -> Item | None:
    """Read a record's object back; None where it has none, or one that this release does not accept any more."""
    if not record["body"]:
        return None
    source = Source(str(record["file"]), int(record["line"]))
    return next(iter(decode.decode_mapping(json.loads(str(record["body"])), source).objects), None)
