"""`lateen top`: who calls whom at this moment, how often, with what success and how fast."""

import time
from collections.abc import Sequence
from typing import Any, Final

import click

from lateen.cli import client, metrics, options, output
from lateen.cli.client import ApiClient
from lateen.cli.wait import parse_duration
from lateen.telemetry import traffic
from lateen.telemetry.readings import Interval
from lateen.telemetry.traffic import Figures, Peer, Traffic

_FIGURES: Final = ("RATE", "ERRORS", "P50", "P90", "P99", "MTLS")
_CLEAR: Final = "\x1b[H\x1b[2J"


@click.command("top")
@options.mesh_option
@options.namespace_option("Only calls to services of this namespace.")
@click.option("--interval", metavar="DURATION", default="2s", show_default=True, help="How long each look lasts.")
@click.option("--once", is_flag=True, help="Print one table and end.")
@options.output_option("json")
def command(*, mesh: str | None, namespace: str | None, interval: str, once: bool, form: str | None) -> None:
    """Show live what the services of the mesh are called for: per service, and per caller.

    RATE is in requests per second, or in opened connections and bytes per second where it is not HTTP. ERRORS are the
    share of requests that failed. MTLS tells whether the calls arrived with mutual TLS.
    """
    api = client.connect(mesh)
    pause = max(0.1, parse_duration(interval, "--interval"))
    if form == "json":
        output.print_json(_json(*_look(api, pause, namespace)))
    elif once or not output.is_terminal():
        _print(_look(api, pause, namespace)[1])
    else:
        _go_on(api, pause, namespace)


def _look(api: ApiClient, pause: float, namespace: str | None) -> tuple[Interval, Traffic]:
    over = metrics.read_interval(api, pause, traffic.FILTER)
    return over, _of_namespace(traffic.traffic(over), namespace)


def _go_on(api: ApiClient, pause: float, namespace: str | None) -> None:
    """Show a table after another until interrupted."""
    before = metrics.read(api, traffic.FILTER)
    click.echo("looking…")
    while True:
        time.sleep(pause)
        after = metrics.read(api, traffic.FILTER)
        click.echo(_CLEAR, nl=False)
        _print(_of_namespace(traffic.traffic(Interval(before, after)), namespace))
        before = after


def _of_namespace(found: Traffic, namespace: str | None) -> Traffic:
    if namespace is None:
        return found
    return Traffic(
        tuple(row for row in found.services if row.service[1] == namespace),
        tuple(edge for edge in found.edges if edge.destination[1] == namespace),
    )


def _print(found: Traffic) -> None:
    if not found.edges:
        click.echo("nothing is called at the moment")
        return
    output.print_table(
        ("SERVICE", *_FIGURES),
        [(traffic.shown(row.service), *_cells(row.figures), row.mtls) for row in found.services],
    )
    click.echo()
    output.print_table(
        ("FROM", "TO", *_FIGURES),
        [
            (traffic.shown(edge.source), traffic.shown(edge.destination), *_cells(edge.figures), edge.mtls)
            for edge in found.edges
        ],
    )


def _cells(figures: Figures) -> Sequence[str]:
    if not figures.requests:
        return (f"{figures.connections:.2g} conn/s {_size(figures.bytes)}/s", "", "", "", "")
    quantiles = (figures.p50, figures.p90, figures.p99)
    return (f"{figures.requests:.1f}/s", f"{100 * figures.error_share:.1f}%", *map(_milliseconds, quantiles))


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}ms" if value < 999.5 else f"{value / 1000:.3g}s"


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}GB"


def _json(over: Interval, found: Traffic) -> dict[str, Any]:
    return {
        "at": over.after.at,
        "seconds": over.seconds,
        "services": [{**_peer("", row.service), **_numbers(row.figures), "mtls": row.mtls} for row in found.services],
        "edges": [
            {
                **_peer("source_", edge.source),
                **_peer("destination_", edge.destination),
                **_numbers(edge.figures),
                "mtls": edge.mtls,
            }
            for edge in found.edges
        ],
    }


def _peer(prefix: str, peer: Peer) -> dict[str, str]:
    return {f"{prefix}name": peer[0], f"{prefix}namespace": peer[1]}


def _numbers(figures: Figures) -> dict[str, float | None]:
    return {
        "requests_per_second": figures.requests,
        "error_share": figures.error_share,
        "p50_ms": figures.p50,
        "p90_ms": figures.p90,
        "p99_ms": figures.p99,
        "connections_per_second": figures.connections,
        "bytes_per_second": figures.bytes,
    }
