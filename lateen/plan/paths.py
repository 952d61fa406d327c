"""What proxies make of paths before rules and routes see them: the steps of Envoy's normalization, in its order."""

import re
from typing import Final

from lateen.api.mesh.connection_settings import EscapedSlashes
from lateen.plan.http_types import PathReading

_ESCAPED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_ESCAPED_SLASH: Final = re.compile("%(2f|5c)", re.IGNORECASE)
_TURNED_AWAY: Final = (EscapedSlashes.REJECT, EscapedSlashes.REDIRECT)
_PARAMETERS_OF_DOTS: Final = re.compile(r"(?<=/)(\.{1,2});[^/]*")
_PLAIN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
"""Characters that mean the same with and without `%`, and that are written without."""


def read(reading: PathReading, written: str) -> str | None:
    """Return a path, with its query, as rules and routes see it; None where a request is turned away for it."""
    if "#" in written or any(ord(letter) <= 0x20 or ord(letter) == 0x7F for letter in written):
        return None
    path, mark, query = written.partition("?")
    if reading.escaped_slashes in _TURNED_AWAY and _ESCAPED_SLASH.search(path):
        return None
    if reading.escaped_slashes is EscapedSlashes.FORWARD:
        path = re.sub("%2f", "/", path, flags=re.IGNORECASE)
        path = re.sub("%5c", r"\\", path, flags=re.IGNORECASE)
    if reading.normalizes:
        if not path.startswith("/") or "%00" in path:
            return None
        path = _PARAMETERS_OF_DOTS.sub(r"\1", path)
        path = _without_dots(_ESCAPED.sub(_unescaped, path.replace("\\", "/")))
    if reading.merges_slashes:
        path = re.sub("/+", "/", path)
    return path + mark + query


def _unescaped(found: re.Match[str]) -> str:
    letter = chr(int(found[1], 16))
    return letter if letter in _PLAIN else found[0]


def _without_dots(path: str) -> str:
    """Resolve `.` and `..`; an empty segment counts as one."""
    kept: list[str] = []
    *before, last = path.split("/")[1:]
    for segment in before:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if last == "..":
        del kept[-1:]
    return "/" + "".join(f"{segment}/" for segment in kept) + ("" if last in (".", "..") else last)
