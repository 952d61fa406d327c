"""`lateen trace`: the last traces that the mesh collected, and one of them as a waterfall."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import click

from lateen.cli import client, options, output
from lateen.cli.failures import EXIT_CODES
from lateen.cli.wait import parse_duration

_WIDTH: Final = 40


Json = Mapping[str, Any]


@click.group("trace", no_args_is_help=True, epilog=EXIT_CODES)
def command() -> None:
    """See what became of single requests on their way through the mesh.

    One request of a hundred is traced where nothing else is said; a Telemetry object or MeshConfig changes that.
    """


@command.command("list")
@options.mesh_option
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option("--service", metavar="NAME", help="Only those in which this service took part.")
@click.option("--at-least", metavar="DURATION", help="Only those that took so long, such as 100ms.")
@click.option("--errors", is_flag=True, help="Only those in which something failed.")
@options.output_option("json", "name")
def list_(
    *, mesh: str | None, limit: int, service: str | None, at_least: str | None, errors: bool, form: str | None
) -> None:
    """List the last traces, the newest first."""
    found = client.connect(mesh).get(
        "v1",
        "traces",
        limit=limit,
        service=service,
        at_least=_microseconds(at_least),
        errors="true" if errors else None,
    )["traces"]
    if form == "json":
        output.print_json(found)
    elif form == "name":
        for each in found:
            click.echo(each["trace_id"])
    else:
        output.print_table(
            ("TRACE", "STARTED", "DURATION", "REQUEST", "STATUS", "SPANS", "ERRORS", "SERVICES"), map(_cells, found)
        )


@command.command("show")
@click.argument("trace_id", metavar="TRACE")
@options.mesh_option
@click.option("--tags", is_flag=True, help="Print what each span says beside its times.")
@options.output_option("json")
def show(*, trace_id: str, mesh: str | None, tags: bool, form: str | None) -> None:
    """Show a trace as a waterfall: each span below the one that caused it. TRACE is an id or its beginning."""
    found = client.connect(mesh).get("v1", "traces", trace_id)
    if form == "json":
        output.print_json(found)
        return
    for line in waterfall(found, with_tags=tags, bar=_bar_letter()):
        click.echo(line)


def waterfall(trace: Json, *, with_tags: bool = False, bar: str = "#") -> Sequence[str]:
    """Draw a trace: who, what, how long, and when within the whole."""
    rows = trace["spans"]
    names = [f"{'  ' * row['depth']}{row['service'] or '?'}" for row in rows]
    asked = [_asked(row) for row in rows]
    widths = max(map(len, names), default=0), max(map(len, asked), default=0)
    lines = [f"trace {trace['trace_id']}  {_request(trace)}  {took(trace['duration'])}  {_started(trace)}"]
    for row, name, what in zip(rows, names, asked, strict=True):
        status = row["tags"].get("http.status_code", "")
        mark = f"{'!' if row['is_error'] else ' '}{status:>4}"
        drawn = _bar(row["start"] - trace["start"], row["duration"], trace["duration"], bar)
        lines.append(
            f"{name:<{widths[0]}}  {row['kind']:<6}  {what:<{widths[1]}} {mark} {took(row['duration']):>9}  |{drawn}|"
        )
        if with_tags:
            lines += [f"{'  ' * row['depth']}    {tag}: {value}" for tag, value in row["tags"].items()]
    return lines


def took(microseconds: int) -> str:
    """Say a duration in three figures: `850us`, `12.3ms`, `1.52s`."""
    if microseconds < 1000:
        return f"{microseconds}us"
    milliseconds = microseconds / 1000
    return f"{milliseconds:.3g}ms" if milliseconds < 999.5 else f"{milliseconds / 1000:.2f}s"


def _bar(offset: int, duration: int, whole: int, letter: str) -> str:
    """Draw when a span was within the whole; it has a letter at least."""
    scale = _WIDTH / max(whole, 1)
    first = min(_WIDTH - 1, max(0, int(offset * scale)))
    length = max(1, min(_WIDTH - first, round(duration * scale)))
    return f"{' ' * first}{letter * length}".ljust(_WIDTH)


def _cells(trace: Json) -> tuple[object, ...]:
    return (
        trace["trace_id"],
        _started(trace),
        took(trace["duration"]),
        _request(trace),
        trace["status"],
        trace["spans"],
        trace["errors"] or "",
        " ".join(trace["services"]),
    )


def _started(trace: Json) -> str:
    return datetime.fromtimestamp(trace["start"] / 1e6).astimezone().strftime("%H:%M:%S.%f")[:-3]


def _request(trace: Json) -> str:
    return f"{trace['method']} {trace['path']}".strip() or str(trace["name"])


def _asked(row: Json) -> str:
    """Say what a span is about: the service behind the route that was taken, else its name."""
    return str(row["name"]).removesuffix("/*")


def _microseconds(text: str | None) -> int | None:
    return None if text is None else int(parse_duration(text, "--at-least") * 1_000_000)


def _bar_letter() -> str:
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return "█" if encoding == "utf8" else "#"
