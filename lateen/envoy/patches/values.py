"""From the JSON that a patch brings in to the messages that Envoy reads."""

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Final, TypeVar

from google.protobuf.descriptor_pool import Default
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

MessageT = TypeVar("MessageT", bound=Message)

_TYPE: Final = "@type"
_ROOMS: Final = ("envoy.", "xds.", "udpa.", "google.", "opentelemetry.")


class BadValue(Exception):
    """Says why a patch's value is nothing that Envoy could read."""


def read(kind: type[MessageT], value: object) -> MessageT:
    """Read a value as a message of a type; raises `BadValue`."""
    plain = thawed(value)
    for name in _types_in(plain):
        message_class(name)
    try:
        return ParseDict(plain, kind())
    except ParseError as error:
        raise BadValue(f"is no {kind.DESCRIPTOR.full_name}: {_reason(error)}") from None


def thawed(value: object) -> Any:
    """Return a frozen JSON value with dicts and lists again."""
    if isinstance(value, Mapping):
        return {key: thawed(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [thawed(item) for item in value]
    return value


def message_class(full_name: str) -> type[Message]:
    """Find the class of a message by its full name; raises `BadValue` for one that nobody knows."""
    _load(full_name)
    try:
        return GetMessageClass(Default().FindMessageTypeByName(full_name))
    except KeyError:
        raise BadValue(f"names a type that this Envoy's API does not have: {full_name}") from None


@cache
def _load(full_name: str) -> None:
    """Import the modules of the package that a message is in; nested messages are in their outer one's package."""
    package = full_name
    while "." in package:
        package = package.rpartition(".")[0]
        module = _package(package) if package.startswith(_ROOMS) else None
        if module is not None:
            for found in pkgutil.iter_modules(module.__path__):
                if found.name.endswith("_pb2"):
                    import_module(f"{package}.{found.name}")
            return


def _package(name: str) -> ModuleType | None:
    try:
        module = import_module(name)
    except ImportError:
        return None
    return module if hasattr(module, "__path__") else None


def _types_in(value: Any) -> Iterator[str]:
    """List the types that a value names, at any depth."""
    if isinstance(value, dict):
        if isinstance(name := value.get(_TYPE), str):
            yield name.rpartition("/")[2]
        for inner in value.values():
            yield from _types_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _types_in(inner)


def _reason(error: ParseError) -> str:
    return str(error).partition("\n")[0].rstrip(".")
