"""`lateen ps`: what runs, and whether its proxy has what it should have."""

from typing import Any

import click

from lateen.cli import client, options, output

_COLUMNS = ("NAME", "NAMESPACE", "APP", "VERSION", "ADDRESS", "READY", "STATUS", "RESTARTS", "PROXY", "AGE")


@click.command("ps")
@options.mesh_option
@options.namespace_option("Only workloads of this namespace.")
@options.output_option("json", "wide", "name")
def command(mesh: str | None, namespace: str | None, form: str | None) -> None:
    """List workloads: name, namespace, app, version, address, readiness, restarts, state of the proxy, age.

    PROXY is synced when the proxy has acknowledged everything that it was sent, stale while it has not, error when it
    refused something (see `lateen proxy-status`), and gone when it is not connected.
    """
    api = client.connect(mesh)
    rows = api.get("v1", "workloads", namespace=namespace)["workloads"]
    _print(api, rows, form)


def _print(api: client.ApiClient, rows: list[dict[str, Any]], form: str | None) -> None:
    if form == "json":
        output.print_json(rows)
    elif form == "name":
        for row in rows:
            click.echo(f"{row['name']}.{row['namespace']}")
    else:
        wide = form == "wide"
        extra = ("OWNER", "ROLE", "REASON") if wide else ()
        output.print_table((*_COLUMNS, *extra), [_cells(row, wide) for row in rows])
        for port in api.get("v1", "ports")["ports"] if not wide and rows else ():
            click.echo(_port_line(port), err=True)


def _cells(row: dict[str, Any], wide: bool) -> tuple[object, ...]:
    cells = (
        row["name"],
        row["namespace"],
        row["app"],
        row["version"],
        row["address"],
        row["ready"],
        row["status"],
        row["restarts"],
        row["proxy"]["state"],
        output.short_age(row["age_seconds"]),
    )
    return (*cells, row["owner"], row["role"], row["reason"] or row["proxy"]["message"]) if wide else cells


def _port_line(port: dict[str, Any]) -> str:
    where = f"{port['service']}.{port['namespace']} port {port['port']}"
    return f"{where}: not published: {port['error']}" if port["error"] else f"{where}: {port['url']}"
