"""Structs in which nothing is left open: a field is left out or it says something, never null and never an empty list.

Everywhere else null is a field that is not there. In a policy that would make `principals: null`, which a template with
a missing value may well produce, a rule for everybody.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, get_args, get_origin

from pydantic import model_validator

from lateen.api.structs import Checked, Problem, Problems, alias


class Explicit(Checked):
    """A struct that refuses null, and empty lists except in the fields of `MAY_BE_EMPTY`.

    Below it null is refused as well: in structs of other rooms, and as the value of a map, such as a label.
    """

    MAY_BE_EMPTY: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _refuse_nothing(cls, content: Any) -> Any:
        if isinstance(content, dict) and (problems := tuple(cls._nothings(content))):
            raise Problems(problems)
        return content

    @classmethod
    def _nothings(cls, content: dict[str, Any]) -> Iterator[Problem]:
        for name, field in cls.model_fields.items():
            for written in {alias(name), name} & content.keys():
                if content[written] is None:
                    yield Problem(f"must not be null: {cls.advice(written)}", written)
                elif content[written] in ([], ()) and name not in cls.MAY_BE_EMPTY:
                    yield Problem(f"must not be an empty list: {cls.advice(written)}", written)
                elif not _is_explicit(field.annotation):
                    for path in _nulls_below(content[written], written):
                        yield Problem("must not be null: leave the field out, or give it a value", path)

    @classmethod
    def advice(cls, name: str) -> str:
        """Say what to write in the place of nothing."""
        return "leave the field out, or give it a value"

    def problems(self) -> Iterator[Problem]:
        yield from ()


def _is_explicit(annotation: Any) -> bool:
    """Tell whether a field holds explicit structs, one or a list of them, which look for nulls themselves."""
    if isinstance(annotation, type):
        return issubclass(annotation, Explicit)
    return get_origin(annotation) is not Mapping and any(map(_is_explicit, get_args(annotation)))


def _nulls_below(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if inner is None:
                yield f"{path}.{name}"
            else:
                yield from _nulls_below(inner, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from _nulls_below(inner, f"{path}[{position}]")
