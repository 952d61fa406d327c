"""The ground that all spec types stand on: frozen structs that refuse unknown fields and check themselves."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel

_SPELT_OTHERWISE: Final = MappingProxyType(
    {
        "cluster_ip": "clusterIP",
        "cluster_ips": "clusterIPs",
        "consecutive_5xx_errors": "consecutive5xxErrors",
        "downward_api": "downwardAPI",
        "external_ips": "externalIPs",
        "from_": "from",
        "host_ip": "hostIP",
        "host_ipc": "hostIPC",
        "host_pid": "hostPID",
        "load_balancer_ip": "loadBalancerIP",
        "mesh_mtls": "meshMTLS",
        "set_hostname_as_fqdn": "setHostnameAsFQDN",
    }
)
"""Fields whose name in documents is not simply the camelCase of ours."""


def alias(name: str) -> str:
    """Return a field's name as documents write it."""
    return _SPELT_OTHERWISE.get(name) or to_camel(name)


@dataclass(frozen=True, slots=True)
class NoEffect:
    """Marks a field that is accepted, so that real-world documents are, but that no part of this release reads.

    With a `reason`, whoever sets the field is told so: a sentence without its subject, the field.
    """

    reason: str = ""


class Struct(BaseModel):
    """A frozen, hashable value whose fields are the camelCase fields of a document, in snake_case.

    Python code builds one with snake_case keywords; documents are decoded with camelCase names only (see `decode`).
    Lists are tuples and maps are immutable, so that two equal documents are two equal values. Schemas are built at
    first use, not at import.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=alias,
        populate_by_name=True,
        defer_build=True,
    )


class OpenStruct(Struct):
    """A struct that keeps fields it does not know, for settings of which Istio has more with every release."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong inside one struct: a message, and the field below the struct that it is about ("" for the struct
    itself).

    The field is written as users write it: `weight`, `route[1].weight`.
    """

    message: str
    field: str = ""


class Problems(ValueError):
    """All problems of one struct, carried through pydantic to `decode`, which gives each its full path and line."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class Checked(Struct):
    """A struct with rules that concern several of its fields; it cannot be built while one of them is broken."""

    def problems(self) -> Iterator[Problem]:
        """Yield every broken rule, in the words of the user who has to repair it."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _refuse_problems(self) -> Self:
        if problems := tuple(self.problems()):
            raise Problems(problems)
        return self


def exactly_one(struct: Struct, *names: str) -> Iterator[Problem]:
    """Yield a problem unless exactly one of the named fields is set."""
    chosen = _chosen(struct, names)
    if not chosen:
        yield Problem(f"must have one of {_listed(struct, names)}")
    yield from at_most_one(struct, *names)


def at_most_one(struct: Struct, *names: str) -> Iterator[Problem]:
    """Yield a problem when more than one of the named fields is set."""
    chosen = _chosen(struct, names)
    if len(chosen) > 1:
        yield Problem(
            f"must have only one of {_listed(struct, names)}, not {' and '.join(map(alias, chosen))} together"
        )


def _chosen(struct: Struct, names: tuple[str, ...]) -> list[str]:
    """Return the names whose fields have a value; an empty list or map is no value."""
    return [name for name in names if getattr(struct, name) not in (None, (), "", False)]


def _listed(struct: Struct, names: tuple[str, ...]) -> str:
    return ", ".join(alias(name) for name in names)


def without_effect(struct: Struct) -> tuple[str, ...]:
    """Return the paths of the fields that are set but that no part of this release reads, in document order."""
    return tuple(path for path, _ in _ignored_below(struct, ""))


def told_without_effect(struct: Struct) -> tuple[tuple[str, str], ...]:
    """Return the paths of the fields that are set, have no effect, and of which it is said why; with the reasons."""
    return tuple((path, mark.reason) for path, mark in _ignored_below(struct, "") if mark.reason)


def unknown_fields(struct: Struct) -> tuple[str, ...]:
    """Return the paths of the fields that an `OpenStruct` inside this struct has kept without knowing them."""
    return tuple(_unknown_below(struct, ""))


def _ignored_below(struct: Struct, path: str) -> Iterator[tuple[str, NoEffect]]:
    for name, field in type(struct).model_fields.items():
        if name in struct.model_fields_set:
            marks = [mark for mark in field.metadata if isinstance(mark, NoEffect)]
            if marks:
                yield path + alias(name), marks[-1]
            else:
                for below, inner in _structs_in(getattr(struct, name), path + alias(name)):
                    yield from _ignored_below(inner, f"{below}.")


def _unknown_below(struct: Struct, path: str) -> Iterator[str]:
    for name in struct.model_extra or ():
        yield path + name
    for name in type(struct).model_fields:
        for below, inner in _structs_in(getattr(struct, name), path + alias(name)):
            yield from _unknown_below(inner, f"{below}.")


def _structs_in(value: object, path: str) -> Iterator[tuple[str, Struct]]:
    """Yield the structs that a field holds directly, in a list or in a map, each with its path."""
    if isinstance(value, Struct):
        yield path, value
    elif isinstance(value, tuple):
        for position, item in enumerate(value):
            yield from _structs_in(item, f"{path}[{position}]")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _structs_in(item, f"{path}.{key}")
