"""`lateen explain --why`: reads the access logs of proxies, and says what happened to calls that ended in some way."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from lateen.cli import client, explained, logs, output
from lateen.cli.failures import BadInput, Failed
from lateen.plan.explain import records
from lateen.plan.explain.records import Record

_READ_BYTES: Final = 4 * 1024 * 1024
_WANTED: Final = re.compile(r"[1-5][0-9]{2}|0|[A-Z]{2,5}")
Told = Mapping[str, Any]


def tell(mesh: str | None, wanted: str, workload: str | None, namespace: str | None, form: str | None) -> None:
    """Print each way in which calls ended so, the newest first, with how many there were."""
    if not _WANTED.fullmatch(wanted):
        raise BadInput(f"--why is '{wanted}'; write a status such as 503, or a flag of Envoy such as UF")
    api = client.connect(mesh)
    causes = [told for row in _rows(api, workload, namespace) for told in _causes(api, row, wanted)]
    if not causes:
        whose = f"the proxy of {workload}" if workload else "any proxy"
        raise Failed(
            f"by the access log of {whose}, no call ended with {wanted}",
            ["nothing is logged without accessLogFile: /dev/stdout in MeshConfig, or a Telemetry with accessLogging"],
        )
    if form == "json":
        output.print_json(causes)
        return
    for told in causes:
        _show(told)


def _rows(api: client.ApiClient, workload: str | None, namespace: str | None) -> list[Told]:
    if workload is not None:
        return [logs.find_workload(api, workload, namespace)]
    rows: list[Told] = api.get("v1", "workloads", namespace=namespace)["workloads"]
    return [row for row in rows if row["role"]]


def _causes(api: client.ApiClient, row: Told, wanted: str) -> Iterator[Told]:
    """Yield the causes that one proxy has logged: of calls that ended alike only the newest is told."""
    groups = _groups(Path(logs.choose_container(dict(row), "proxy")["log"]), wanted)
    if not groups:
        return
    asked = {"workload": row["name"], "namespace": row["namespace"], "lines": [line for line, _ in groups]}
    found = api.post("v1", "explain", "why", body=asked)["causes"]
    for told, (_, count) in zip(found, groups, strict=True):
        yield {"workload": f"{row['name']}.{row['namespace']}", "count": count, **told}


def _groups(log: Path, wanted: str) -> list[tuple[str, int]]:
    """Return the newest line of each kind, and how many there are of it, the newest kind first."""
    newest: dict[tuple[object, ...], str] = {}
    count: dict[tuple[object, ...], int] = {}
    for line in _lines(log):
        record = records.parse(line)
        if record is not None and _is_wanted(record, wanted):
            kind = (record.status, record.flags, record.details.partition("{")[0], record.cluster, record.route)
            newest.pop(kind, None)
            newest[kind], count[kind] = line, count.get(kind, 0) + 1
    return [(newest[kind], count[kind]) for kind in reversed(newest)]


def _is_wanted(record: Record, wanted: str) -> bool:
    return str(record.status) == wanted or wanted in record.flags.split(",")


def _lines(log: Path) -> list[str]:
    """Read the end of a log."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _READ_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except OSError as error:
        raise Failed(f"cannot read {log}: {error.strerror}") from None


def _show(told: Told) -> None:
    times = f", {told['count']} times" if told["count"] > 1 else ""
    click.echo(f"{told['workload']}: {told['says']}{times}")
    click.echo(f"  request  {told['request']}")
    for flag in told["flags"]:
        click.echo(f"  flag     {flag['code']} ({flag['name']}): {flag['happened']}")
    if told["details"]:
        click.echo(f"  details  {told['details']}")
    for text in told["look"]:
        click.echo(f"  look at  {text}")
    for place in told["places"]:
        click.echo(f"           {explained.place_text(place)}")
    for note in told["notes"]:
        click.echo(f"  note     {note}")
