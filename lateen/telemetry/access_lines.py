"""Lines of access logs, read again: Istio's text format, and JSON with its names."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_NOTHING: Final = ("", "-")
_WORD: Final = r"(\S+)"
_QUOTED: Final = r'"((?:[^"\\]|\\.)*)"'
_LINE: Final = re.compile(
    rf"\[([^\]]+)\] {_QUOTED} {_WORD} {_WORD} {_WORD} {_WORD} {_QUOTED} {_WORD} {_WORD} {_WORD} {_WORD} "
    rf"{_QUOTED} {_QUOTED} {_QUOTED} {_QUOTED} {_QUOTED} {_WORD} {_WORD} {_WORD} {_WORD} {_WORD} {_WORD}"
)
_FIELDS: Final = (
    "start_time",
    "request",
    "response_code",
    "response_flags",
    "response_code_details",
    "connection_termination_details",
    "upstream_transport_failure_reason",
    "bytes_received",
    "bytes_sent",
    "duration",
    "upstream_service_time",
    "x_forwarded_for",
    "user_agent",
    "request_id",
    "authority",
    "upstream_host",
    "upstream_cluster",
    "upstream_local_address",
    "downstream_local_address",
    "downstream_remote_address",
    "requested_server_name",
    "route_name",
)
_LONGEST_LINE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class AccessLine:
    """A call as a proxy logged it: the fields by the names that they have in JSON, `-` and nothing left out."""

    fields: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")

    @property
    def is_inbound(self) -> bool:
        """Whether the call came to the proxy's own workload."""
        return self["upstream_cluster"].startswith(("inbound|", "InboundPassthrough"))

    @property
    def service(self) -> str:
        """The host that was called, as the route or the cluster says, else the authority."""
        parts = self["upstream_cluster"].split("|")
        return parts[3] if len(parts) == 4 and parts[3] else self["authority"].partition(":")[0]

    @property
    def caller_address(self) -> str:
        """The address from which the call came to the proxy."""
        return self["downstream_remote_address"].rpartition(":")[0]


def read_line(line: str) -> AccessLine | None:
    """Read a line; None for one that is no record of a call."""
    if len(line) > _LONGEST_LINE:
        return None
    if line.startswith("{"):
        return _from_json(line)
    found = _LINE.fullmatch(line.rstrip("\n"))
    if found is None:
        return None
    said = dict(zip(_FIELDS, found.groups(), strict=True))
    method, path, protocol = _request(said.pop("request"))
    return _line({**said, "method": method, "path": path, "protocol": protocol})


def status_matches(code: str, wanted: str) -> bool:
    """Tell whether a status is as a filter says: `503`, `5xx`, `400-499`, or several of them with commas between."""
    return any(_one_matches(code, each.strip()) for each in wanted.split(","))


def _one_matches(code: str, wanted: str) -> bool:
    first, dash, last = wanted.partition("-")
    if dash and code.isdecimal() and first.isdecimal() and last.isdecimal():
        return int(first) <= int(code) <= int(last)
    pattern = wanted.lower().rstrip("x")
    return code.startswith(pattern) if pattern != wanted.lower() else code == wanted


def _from_json(line: str) -> AccessLine | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or "start_time" not in content or "type" in content:
        return None
    return _line({name: _text(value) for name, value in content.items()})


def _line(fields: Mapping[str, str]) -> AccessLine:
    return AccessLine({name: value for name, value in fields.items() if value not in _NOTHING})


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _request(text: str) -> tuple[str, str, str]:
    """Take `METHOD PATH PROTOCOL` apart; the path may contain blanks."""
    method, _, rest = text.partition(" ")
    path, _, protocol = rest.rpartition(" ")
    return method, path, protocol
