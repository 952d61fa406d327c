"""The calls that proxies logged, read from all their logs together: for `lateen logs --access`."""

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from lateen.telemetry import access_lines
from lateen.telemetry.access_lines import AccessLine

_LOOK_AGAIN_SECONDS: Final = 0.2
_CHUNK_BYTES: Final = 256 * 1024

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls are wanted; an empty text wants all."""

    status: str = ""
    source: str = ""
    destination: str = ""
    method: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as one proxy logged it: which workload's, from where, to where."""

    proxy: str
    source: str
    destination: str
    line: AccessLine

    @property
    def direction(self) -> str:
        """Whether the workload was called or called somebody."""
        return "inbound" if self.line.is_inbound else "outbound"


class ProxyLog:
    """A proxy's log, read as far as it has been written in whole lines."""

    def __init__(self, row: Row, path: Path) -> None:
        self.row = row
        self._path = path
        self._read = 0
        self._rest = b""

    def new_lines(self) -> Iterator[str]:
        """Yield what was added since the last time; a log that became shorter was begun anew."""
        try:
            with self._path.open("rb") as log:
                if os.fstat(log.fileno()).st_size < self._read:
                    self._read, self._rest = 0, b""
                log.seek(self._read)
                while chunk := log.read(_CHUNK_BYTES):
                    self._read += len(chunk)
                    *whole, self._rest = (self._rest + chunk).split(b"\n")
                    yield from (line.decode(errors="replace") for line in whole)
        except FileNotFoundError:
            return


class CallReader:
    """Reads the calls from the logs of some proxies; `rows` are all workloads, to know who has which address."""

    def __init__(self, logs: Iterable[ProxyLog], rows: Iterable[Row], wanted: Wanted) -> None:
        self._logs = tuple(logs)
        self._by_address = {row["address"]: row for row in rows}
        self._wanted = wanted

    def new_calls(self) -> Sequence[Call]:
        """Return the calls that were logged since the last time, in the order in which they began."""
        found = [call for log in self._logs for line in log.new_lines() if (call := self._call(log, line)) is not None]
        return sorted(found, key=lambda call: call.line["start_time"])

    def _call(self, log: ProxyLog, text: str) -> Call | None:
        line = access_lines.read_line(text)
        if line is None:
            return None
        caller = self._by_address.get(line.caller_address)
        row, service = log.row, line.service
        inbound = line.is_inbound
        peer = _names(caller) if caller else (line.caller_address,)
        source, destination = (peer, _names(row)) if inbound else (_names(row), _service_names(service))
        if row["role"] == "router":
            source = peer
        if not _is_wanted(self._wanted, line, source, destination):
            return None
        return Call(str(row["name"]), source[0], destination[0], line)


def print_calls(reader: CallReader, tail: int | None, *, follow: bool, as_json: bool) -> None:
    """Print the calls that were logged, of those that there are only the last `tail`; then, if asked, what is added."""
    calls = reader.new_calls()
    _print(calls[max(0, len(calls) - tail) :] if tail is not None else calls, as_json)
    while follow:
        time.sleep(_LOOK_AGAIN_SECONDS)
        _print(reader.new_calls(), as_json)


def _print(calls: Iterable[Call], as_json: bool) -> None:
    for call in calls:
        click.echo(json.dumps(_json(call), ensure_ascii=False) if as_json else shown(call))


def shown(call: Call) -> str:
    """Write a call in a line."""
    line = call.line
    what = f"{line['method']} {line['path']}" if line["method"] else "tcp"
    told = (
        line["start_time"],
        call.direction,
        f"{call.source} → {call.destination}",
        what,
        line["response_code"] or "-",
        line["response_flags"],
        line["response_code_details"],
        f"{line['duration']}ms" if line["duration"] else "",
    )
    return "  ".join(part for part in told if part)


def _json(call: Call) -> dict[str, str]:
    return {
        "proxy": call.proxy,
        "direction": call.direction,
        "from": call.source,
        "to": call.destination,
        **call.line.fields,
    }


def _names(row: Row) -> tuple[str, ...]:
    """List what a workload can be called: its app first, its name, its owner."""
    owner = str(row["owner"]).rpartition("/")[2]
    names = (row["app"], owner, row["name"], f"{row['app']}.{row['namespace']}", f"{row['name']}.{row['namespace']}")
    return tuple(str(name) for name in names if name and not str(name).startswith("."))


def _service_names(host: str) -> tuple[str, ...]:
    parts = host.split(".")
    short = (parts[0], ".".join(parts[:2])) if ".svc." in host else ()
    return (*short, host) if host else ("unknown",)


def _is_wanted(wanted: Wanted, line: AccessLine, source: Sequence[str], destination: Sequence[str]) -> bool:
    return (
        (not wanted.status or access_lines.status_matches(line["response_code"], wanted.status))
        and (not wanted.source or wanted.source in source)
        and (not wanted.destination or wanted.destination in destination)
        and (not wanted.method or line["method"] == wanted.method.upper())
        and line["path"].startswith(wanted.path)
    )
