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

from lateen.cli import access_logs, client, options
from lateen.cli.access_logs import CallReader, ProxyLog, Wanted
from lateen.cli.failures import BadInput, Failed

_CHUNK_BYTES: Final = 64 * 1024
_LOOK_AGAIN_SECONDS: Final = 0.2
_RECORD: Final = "audit"  # as `lateen.envoy.audit_logs` writes it


@click.command("logs")
@options.workload_argument(required=False)
@options.mesh_option
@options.namespace_option()
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option("-c", "--container", default="app", help="A container, or app (the first), or proxy.", show_default=True)
@click.option(
    "--audit", is_flag=True, help="Only the proxy's records of refused and audited calls, a line of JSON each."
)
@click.option("--access", is_flag=True, help="The calls that the proxy logged; of all proxies without WORKLOAD.")
@click.option("--status", default="", help="With --access: only answers such as 503, 5xx, 400-499.")
@click.option("--from", "source", default="", metavar="NAME", help="With --access: only calls of this workload.")
@click.option("--to", "destination", default="", metavar="NAME", help="With --access: only calls to this service.")
@click.option("--method", default="", help="With --access: only requests with this method.")
@click.option("--path", default="", metavar="PREFIX", help="With --access: only paths that begin like this.")
@click.option("--tail", type=click.IntRange(min=0), help="Only the last lines.")
@options.output_option("json")
def command(
    *,
    workload: str | None,
    mesh: str | None,
    namespace: str | None,
    follow: bool,
    container: str,
    audit: bool,
    access: bool,
    status: str,
    source: str,
    destination: str,
    method: str,
    path: str,
    tail: int | None,
    form: str | None,
) -> None:
    """Print what WORKLOAD wrote to its standard output and error.

    WORKLOAD is a workload or Deployment name, `name.namespace` or `deploy/name`; of several instances the first ready
    one is meant.
    """
    wanted = Wanted(status, source, destination, method, path)
    if access:
        reader = _call_reader(client.connect(mesh), workload, namespace, wanted)
        access_logs.print_calls(reader, tail, follow=follow, as_json=form == "json")
        return
    if workload is None:
        raise click.UsageError("Missing argument 'WORKLOAD'.", click.get_current_context())
    if wanted != Wanted() or form:
        raise BadInput("--status, --from, --to, --method, --path and -o only come with --access")
    row = find_workload(client.connect(mesh), workload, namespace)
    _print_log(row, "proxy" if audit else container, audit, tail, follow)


def _print_log(row: dict[str, Any], container: str, audit: bool, tail: int | None, follow: bool) -> None:
    path = Path(choose_container(row, container)["log"])
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


def _call_reader(api: client.ApiClient, workload: str | None, namespace: str | None, wanted: Wanted) -> CallReader:
    """Return what reads the calls that were logged by the proxies of a workload, or by all of a namespace or mesh."""
    rows = api.get("v1", "workloads")["workloads"]
    if workload is None:
        chosen = [row for row in rows if namespace in (None, row["namespace"])]
    else:
        chosen = api.get("v1", "find", reference=workload, namespace=namespace)["workloads"]
    logs = [ProxyLog(row, Path(choose_container(row, "proxy")["log"])) for row in chosen if row["role"]]
    return CallReader(logs, rows, wanted)


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
