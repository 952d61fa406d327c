"""Changes to headers."""

import re
from collections.abc import Iterator
from typing import Any, Final

from envoy.config.core.v3 import base_pb2

from lateen.plan.types import HeaderOperations

_COMMAND: Final = re.compile(r"%%|%[A-Z][A-Z0-9_]*(?:\([^)%]*\))?(?::\d+)?%")


def add_request_headers(message: Any, operations: HeaderOperations) -> None:
    """Write changes to the request into a route, a virtual host or a weighted cluster."""
    message.request_headers_to_add.extend(_header_value_options(operations))
    message.request_headers_to_remove.extend(operations.remove)


def add_response_headers(message: Any, operations: HeaderOperations) -> None:
    """Write changes to the response into a route, a virtual host or a weighted cluster."""
    message.response_headers_to_add.extend(_header_value_options(operations))
    message.response_headers_to_remove.extend(operations.remove)


def _header_value_options(operations: HeaderOperations) -> Iterator[Any]:
    for name, value in operations.set:
        yield _header_value_option(name, value, "OVERWRITE_IF_EXISTS_OR_ADD")
    for name, value in operations.add:
        yield _header_value_option(name, value, "APPEND_IF_EXISTS_OR_ADD")


def _header_value_option(name: str, value: str, action: str) -> Any:
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=name, value=literal_percent(value)),
        append_action=action,
        keep_empty_value=not value,
    )


def literal_percent(text: str) -> str:
    """Keep Envoy's commands, such as `%DOWNSTREAM_REMOTE_ADDRESS%`, and make every other percent sign a plain one.

    Envoy would refuse the whole route table for a header with the value `100%`.
    """
    parts: list[str] = []
    end = 0
    for command in _COMMAND.finditer(text):
        parts += [text[end : command.start()].replace("%", "%%"), command.group()]
        end = command.end()
    return "".join([*parts, text[end:].replace("%", "%%")])
