"""Structs of Mixer's kinds, whose fields may be written in camelCase or in snake_case."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Self

from pydantic import AliasChoices, AliasGenerator, ConfigDict

from lateen.api.structs import Checked, Problem, alias


class NumberedEnum(StrEnum):
    """Choices that may be written by name, or by number in the order in which they stand here."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if isinstance(value, int) and not isinstance(value, bool) and value in range(len(cls)):
            return list(cls)[value]
        return None


def _either(name: str) -> AliasChoices:
    return AliasChoices(alias(name), name)


class MixerStruct(Checked):
    """A struct that takes each field by both of its names, as protobuf's JSON does."""

    model_config = ConfigDict(alias_generator=AliasGenerator(validation_alias=_either, serialization_alias=alias))

    def problems(self) -> Iterator[Problem]:
        yield from ()


class AdapterParams(MixerStruct):
    """The parameters of a built-in adapter."""


class TemplateParams(MixerStruct):
    """The fields of a built-in template; each holds an expression."""
