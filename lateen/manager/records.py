"""What of the wishes of users must survive a restart, as records in words that JSON knows."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lateen.api import decode
from lateen.api.decode import Decoded
from lateen.api.kinds import MIXER_GROUP
from lateen.api.objects import ConfigObject, ObjectKey, Source
from lateen.api.structs import Struct

Item = ConfigObject[Struct]
Record = Mapping[str, str | int]
"""One thing that must survive a restart, in words that JSON knows."""


class Persistence(Protocol):
    """Keeps records where a restart of the control plane does not lose them."""

    def load(self) -> Sequence[Record]:
        """Return the records saved last; none at the first start."""
        ...

    def save(self, records: Sequence[Record]) -> None:
        """Keep exactly these records; they are safe when this returns. Raises `Unavailable`."""
        ...


class Layer(StrEnum):
    """Why a record is kept."""

    APPLIED = "applied"
    DELETED = "deleted"
    LAST_GOOD = "last good"


@dataclass(frozen=True, slots=True)
class Claim:
    """What was applied for one key, or (no object) that it was deleted; `over` digests what the files said then."""

    object: Item | None
    over: str = ""


def digest(item: Item | None) -> str:
    """Return a short text that is the same for equal objects; empty for none."""
    return "" if item is None else hashlib.sha256(item.body).hexdigest()[:24]


def is_spoilt(key: ObjectKey, now: Decoded) -> bool:
    """Tell whether a file has faults that are, or without a name may be, about an object."""
    subjects = {violation.subject for violation in now.errors}
    return str(key) in subjects or any(" " not in subject for subject in subjects)


def records_of(
    claims: Mapping[ObjectKey, Claim], files: Mapping[str, Decoded], standing: Mapping[ObjectKey, Item] | None
) -> Iterator[Record]:
    """Yield what must survive a restart: claims, and what files do not say in valid words any more.

    `standing` are those of Mixer's objects that stand, where the files alone would not tell.
    """
    for key in sorted(claims):
        claim = claims[key]
        layer = Layer.DELETED if claim.object is None else Layer.APPLIED
        yield _record(layer, key, claim.object, claim.over)
    for key, item in sorted((standing or {}).items(), key=lambda entry: entry[0]):
        yield _record(Layer.LAST_GOOD, key, item)
    for name in sorted(files):
        for item in files[name].objects:
            if is_spoilt(item.key, files[name]) and (standing is None or item.key.group != MIXER_GROUP):
                yield _record(Layer.LAST_GOOD, item.key, item)


def _record(layer: Layer, key: ObjectKey, item: Item | None, over: str = "") -> Record:
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


def recorded_key(record: Record) -> ObjectKey:
    """Read a record's key back."""
    return ObjectKey(*(str(record[part]) for part in ("group", "kind", "namespace", "name")))


def recorded_object(record: Record) -> Item | None:
    """Read a record's object back; None where it has none, or one that this release does not accept any more."""
    if not record["body"]:
        return None
    source = Source(str(record["file"]), int(record["line"]))
    return next(iter(decode.decode_mapping(json.loads(str(record["body"])), source).objects), None)
