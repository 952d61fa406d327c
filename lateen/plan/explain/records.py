"""A line of a proxy's access log, as far as it tells why a call ended as it did."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_STATUS: Final = re.compile(r"[0-9]{1,3}")
_LINE: Final = re.compile(
    r'"(?P<method>\S+) (?P<path>\S+) (?P<protocol>[^"]*)" (?P<response_code>[0-9]{1,3}) (?P<response_flags>[A-Z,]+|-) '
    r"(?P<response_code_details>\S+)(?P<rest>.*)"
)
_REST: Final = re.compile(
    r' (?P<connection_termination_details>\S+) "(?P<upstream_transport_failure_reason>[^"]*)" \S+ \S+ \S+ \S+ "[^"]*" '
    r'"[^"]*" "(?P<request_id>[^"]*)" "(?P<authority>[^"]*)" "(?P<upstream_host>[^"]*)" (?P<upstream_cluster>\S+) '
    r"\S+ (?P<downstream_local_address>\S+) (?P<downstream_remote_address>\S+) (?P<requested_server_name>\S+) "
    r"(?P<route_name>\S+)"
)


@dataclass(frozen=True, slots=True)
class Record:
    """What a proxy logged of a request, or of a connection, which has no method. What it did not say is empty."""

    method: str = ""
    path: str = ""
    status: int = 0
    flags: str = ""
    details: str = ""
    termination: str = ""
    transport_failure: str = ""
    authority: str = ""
    cluster: str = ""
    upstream: str = ""
    route: str = ""
    request_id: str = ""
    local_address: str = ""

    @property
    def is_inbound(self) -> bool:
        """Tell whether it is about a call to the workload, rather than one that it makes."""
        return self.cluster.startswith(("inbound|", "InboundPassthrough"))


def parse(line: str) -> Record | None:
    """Read a line in Istio's text or JSON format; None for one that is neither."""
    if line.startswith("{"):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            return None
        return _record(content) if isinstance(content, dict) and "response_code" in content else None
    found = _LINE.search(line)
    if found is None:
        return None
    rest = _REST.match(found["rest"])
    return _record({**found.groupdict(), **(rest.groupdict() if rest else {})})


def _record(fields: Mapping[str, Any]) -> Record:
    def text(name: str) -> str:
        value = fields.get(name)
        return "" if value in (None, "-") else str(value)

    code = text("response_code")
    return Record(
        text("method"),
        text("path"),
        int(code) if _STATUS.fullmatch(code) else 0,
        text("response_flags"),
        text("response_code_details"),
        text("connection_termination_details"),
        text("upstream_transport_failure_reason"),
        text("authority"),
        text("upstream_cluster"),
        text("upstream_host"),
        text("route_name"),
        text("request_id"),
        text("downstream_local_address"),
    )
