"""Config objects: what a user wrote, typed, with the place where it was written."""

import json
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from lateen.api.fields import EMPTY_MAP
from lateen.api.structs import Struct

Spec_co = TypeVar("Spec_co", bound=Struct, covariant=True)


@dataclass(frozen=True, order=True, slots=True)
class ObjectKey:
    """The identity of a config object. As text `VirtualService default/reviews`; cluster-wide kinds have no
    namespace.
    """

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is said about an object beside its spec; `creation_timestamp` is RFC 3339 text, so that it sorts by age."""

    labels: Mapping[str, str] = EMPTY_MAP
    annotations: Mapping[str, str] = EMPTY_MAP
    creation_timestamp: str = ""
    uid: str = ""


class FieldLines(Mapping[str, int]):
    """The line of every field of one document by its path, like `spec.http[0].timeout`; `""` is the document.

    Kept as one number a field, in the order in which a walk over the canonical body meets them; paths are made only
    when asked for.
    """

    __slots__ = ("_body", "_lines")

    def __init__(self, body: bytes, lines: "array[int]") -> None:
        self._body = body
        self._lines = lines

    def __getitem__(self, path: str) -> int:
        for at, line in zip(self, self._lines, strict=True):
            if at == path:
                return line
        raise KeyError(path)

    def __iter__(self) -> Iterator[str]:
        return paths(json.loads(self._body))

    def __len__(self) -> int:
        return len(self._lines)

    def by_path(self) -> dict[str, int]:
        """Return every path with its line, made in one walk: for asking several times."""
        return dict(zip(self, self._lines, strict=True))


@dataclass(frozen=True, slots=True)
class Source:
    """Where a document comes from: a file and the lines of its fields, or nothing when it came through the API."""

    file: str = ""
    line: int = 0
    lines: Mapping[str, int] = EMPTY_MAP
    column: int = 0

    def line_of(self, path: str) -> int:
        """Return the line of the field, of the nearest field around it that is there, or of the document."""
        lines = self.lines.by_path() if isinstance(self.lines, FieldLines) else self.lines
        while path and path not in lines:
            path = parent_path(path)
        return lines.get(path, self.line)

    def place(self, path: str = "") -> str:
        """Return `file:line` of the field, or nothing when there is no file."""
        return f"{self.file}:{self.line_of(path)}" if self.file else ""


NOWHERE: Final = Source()


@dataclass(frozen=True, slots=True)
class ConfigObject(Generic[Spec_co]):
    """One object that a user wrote: who it is, what it says, and where it was said.

    `body` is the whole document as canonical JSON (sorted keys, no status); it decides equality, the source does not
    take part.
    """

    key: ObjectKey
    api_version: str = field(compare=False)
    metadata: Metadata = field(compare=False)
    spec: Spec_co = field(compare=False)
    source: Source = field(default=NOWHERE, compare=False, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def name(self) -> str:
        """The object's name."""
        return self.key.name

    @property
    def namespace(self) -> str:
        """The object's namespace; empty for cluster-wide kinds."""
        return self.key.namespace


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as JSON bytes that are the same for equal documents."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        errors="surrogatepass"
    )


def joined_path(path: str, key: str | int) -> str:
    """Return the path of a field or a list item below a path."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def parent_path(path: str) -> str:
    """Return the path without its last field or list position."""
    return path[: max(path.rfind("."), path.rfind("["), 0)]


def paths(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of a value and of all values below it, mappings in sorted order."""
    yield path
    if isinstance(value, dict):
        for key in sorted(value):
            yield from paths(value[key], joined_path(path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from paths(item, joined_path(path, position))
