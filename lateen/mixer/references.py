"""Names by which objects call each other: `name.kind.namespace`, of which the end may be left out."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from lateen.api.objects import ObjectKey

T = TypeVar("T")


def whole_name(key: ObjectKey) -> str:
    """Return the name by which an object can be called from everywhere."""
    return f"{key.name}.{key.kind}.{key.namespace}"


@dataclass(frozen=True, slots=True)
class Shelf(Generic[T]):
    """What can be called, by its whole name; `kind` is the one that may be left out."""

    kind: str
    items: Mapping[str, T]

    def find(self, text: str, namespace: str) -> T | None:
        """Return what a text means that stands in an object of this namespace.

        It may be `name.kind.namespace`, `name.kind`, `name.namespace` or `name`.
        """
        return next((self.items[name] for name in self._meanings(text, namespace) if name in self.items), None)

    def _meanings(self, text: str, namespace: str) -> Iterator[str]:
        yield text
        yield f"{text}.{namespace}"
        yield f"{text}.{self.kind}.{namespace}"
        name, _, other = text.rpartition(".")
        yield f"{name}.{self.kind}.{other}"

    def near(self, text: str, namespace: str) -> str:
        """Return the end of a message: what may have been meant."""
        names = [name.removesuffix(f".{namespace}").removesuffix(f".{self.kind}") for name in self.items]
        close = difflib.get_close_matches(text, names, n=1) or difflib.get_close_matches(text, self.items, n=1)
        return f"; did you mean {close[0]}?" if close else ""


def shelf(kind: str, items: Iterable[tuple[ObjectKey, T]]) -> Shelf[T]:
    """Return what can be called by the names of these objects."""
    return Shelf(kind, {whole_name(key): item for key, item in items})


def short_name(text: str) -> str:
    """Return the name of an object out of a text that may go on with its kind and namespace."""
    return text.partition(".")[0]
