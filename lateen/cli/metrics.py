"""`lateen metrics`: answers a question in PromQL about the mesh as it is, without a Prometheus."""

import time
from typing import Any, Final

import click

from lateen.cli import client, options, output
from lateen.cli.client import ApiClient
from lateen.cli.failures import BadInput, Failed
from lateen.cli.wait import parse_duration
from lateen.telemetry import exposition, queries, query_parser, query_tree, readings
from lateen.telemetry.queries import Row
from lateen.telemetry.query_parser import BadQuery
from lateen.telemetry.readings import Interval, Reading

_INTERVAL: Final = "2s"


@click.command("metrics")
@click.argument("query")
@options.mesh_option
@click.option("--interval", metavar="DURATION", default=_INTERVAL, show_default=True, help="Between two readings.")
@options.output_option("json")
def command(*, query: str, mesh: str | None, interval: str, form: str | None) -> None:
    """Answer QUERY, written in PromQL, from the metrics of all workloads.

    There are selectors, rate, increase, histogram_quantile, sum, avg, min, max, count with by and without, arithmetic
    and comparisons. What rate and increase tell is what happens during the interval, whatever range is written.
    """
    try:
        expression = query_parser.parse(query)
        pause = parse_duration(interval, "--interval") if query_tree.needs_growth(expression) else 0.0
        rows = queries.answer(expression, read_interval(client.connect(mesh), pause))
    except BadQuery as error:
        raise BadInput(f"{error}", _pointed(error)) from None
    if form == "json":
        output.print_json([_json(row) for row in rows])
    elif rows:
        output.print_table(("VALUE", "SERIES"), [(_number(row.value), _series(row)) for row in rows])
    else:
        raise Failed("no series answers this; `lateen metrics 'count({__name__=~\".+\"}) by (__name__)'` lists names")


def read_interval(api: ApiClient, pause_seconds: float, names: str | None = None) -> Interval:
    """Read the mesh twice, so many seconds apart; once where there is no pause."""
    before = read(api, names)
    if pause_seconds <= 0:
        return Interval(before, before)
    time.sleep(pause_seconds)
    return Interval(before, read(api, names))


def read(api: ApiClient, names: str | None = None) -> Reading:
    """Read the mesh; `names` is a pattern for the statistics of proxies that are wanted."""
    told = api.get("v1", "metrics", filter=names)
    return readings.reading(told["at"], told["text"])


def _series(row: Row) -> str:
    return f"{row.name}{exposition.written_labels(row.labels)}" or "(all)"


def _number(value: float) -> str:
    return f"{value:.6g}"


def _json(row: Row) -> dict[str, Any]:
    name = {"__name__": row.name} if row.name else {}
    return {"metric": {**name, **dict(row.labels)}, "value": exposition.written_number(row.value)}


def _pointed(error: BadQuery) -> tuple[str, ...]:
    """Show the query with a mark under the place of a fault."""
    if not error.query or "\n" in error.query:
        return ()
    return (error.query, f"{' ' * error.position}^")
