"""`lateen logs`: prints a workload's log files, and follows them if asked."""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from lateen.cli import client, options
from lateen.cli.failures import BadInput, Failed

_CHUNK_BYTES: Final = 64 * 1024
_LOOK_AGAIN_SECONDS: Final = 0.2
_RECORD: Final = "audit"  # as `lateen.envoy.audit_logs` writes it


@click.command("logs")
@options.workload_argument()
@options.mesh_option
@options.namespace_option()
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option("-c", "--container", default="app", help="A container, or app (the first), or proxy.", show_default=True)
@click.option(
    "--audit", is_flag=True, help="Only the proxy's records of refused and audited calls, a line of JSON each."
)
@click.option("--tail", type=click.IntRange(min=0), help="Only the last lines.")
def command(
    *,
    workload: str,
    mesh: str | None,
    namespace: str | None,
    follow: bool,
    container: str,
    audit: bool,
    tail: int | None,
) -> None:
    """Print what WORKLOAD wrote to its standard output and error.

    WORKLOAD is a workload or Deployment name, `name.namespace` or `deploy/name`; of several instances the first ready
    one is meant.
    """
    row = find_workload(client.connect(mesh), workload, namespace)
    path = Path(choose_container(row, "proxy" if audit else container)["log"])
    try:
        with path.open("rb") as log:
            if audit:
                _copy_records(log, tail, path if follow else None)
            else:
                _copy(log, tail, path if follow else None)
    except FileNotFoundError:
        raise Failed(f"{row['name']} has written nothing yet as {container}") from None
    except PermissionError:
        raise Failed(f"{path} may only be read by the user who started the mesh") from None


def find_workload(api: client.ApiClient, reference: str, namespace: str | None) -> dict[str, Any]:
    """Return the row of the workload that a reference means, of several the first ready one; raises `Failed`."""
    found = api.get("v1", "find", reference=reference, namespace=namespace)["workloads"]
    row: dict[str, Any] = found[0]
    return row


def choose_container(row: dict[str, Any], wanted: str) -> dict[str, Any]:
    """Return the container of that name, or the first of that kind (`app`, `proxy`); raises `BadInput`."""
    containers: Sequence[dict[str, Any]] = row["containers"]
    named = [each for each in containers if each["name"] == wanted]
    found = named or [each for each in containers if each["kind"] == wanted]
    if wanted == "app" and not found:
        found = list(containers)
    if not found:
        names = ", ".join(each["name"] for each in containers)
        raise BadInput(f"{row['name']}.{row['namespace']} has no container '{wanted}'; it has {names}")
    return found[0]


def _copy(log: BinaryIO, tail: int | None, followed: Path | None) -> None:
    if tail is not None:
        log.seek(_start_of_last_lines(log, tail))
    out = sys.stdout.buffer
    for chunk in _chunks(log, followed):
        out.write(chunk)
        out.flush()


def _copy_records(log: BinaryIO, tail: int | None, followed: Path | None) -> None:
    """Write the audit records among the lines of a log; of those that are there already, only the last `tail`."""
    present = deque(filter(_is_record, _lines(log)), maxlen=tail)
    out = sys.stdout.buffer
    out.writelines(present)
    out.flush()
    if followed is None:
        return
    for line in _whole(_chunks(log, followed)):
        if _is_record(line):
            out.write(line)
            out.flush()


def _lines(log: BinaryIO) -> Iterator[bytes]:
    """Yield the whole lines of a log; a last one without an end is left where it is."""
    for line in iter(log.readline, b""):
        if not line.endswith(b"\n"):
            log.seek(-len(line), os.SEEK_CUR)
            return
        yield line


def _whole(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield whole lines; one that has no end yet waits for it."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in whole)


def _is_record(line: bytes) -> bool:
    if not line.startswith(b"{"):
        return False
    try:
        content = json.loads(line)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("type") == _RECORD


def _chunks(log: BinaryIO, followed: Path | None) -> Iterator[bytes]:
    """Yield the rest of the log, then what is added; a log that became shorter was begun anew."""
    while True:
        while chunk := log.read(_CHUNK_BYTES):
            yield chunk
        if followed is None:
            return
        time.sleep(_LOOK_AGAIN_SECONDS)
        if os.fstat(log.fileno()).st_size < log.tell():
            log.seek(0)


def _start_of_last_lines(log: BinaryIO, lines: int) -> int:
    """Find where the last lines of a file begin, reading it from its end."""
    position = log.seek(0, os.SEEK_END)
    if lines == 0:
        return position
    found = -1 if position and _byte_at(log, position - 1) == b"\n" else 0
    while position > 0:
        size = min(_CHUNK_BYTES, position)
        log.seek(position - size)
        chunk = log.read(size)
        for offset in range(size - 1, -1, -1):
            found += chunk[offset] == 0x0A
            if found == lines:
                return position - size + offset + 1
        position -= size
    return 0


def _byte_at(log: BinaryIO, position: int) -> bytes:
    log.seek(position)
    return log.read(1)
