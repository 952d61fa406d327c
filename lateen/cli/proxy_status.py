"""`lateen proxy-status`: what each proxy has acknowledged, per type, and what it refuses."""

from collections.abc import Sequence
from typing import Any, Final

import click

from lateen.cli import client, options, output
from lateen.cli.failures import FAILED

_TYPES: Final = ("cds", "lds", "ecds", "eds", "rds", "sds")


@click.command("proxy-status")
@options.workload_argument(required=False)
@options.mesh_option
@options.namespace_option("Narrows what WORKLOAD leaves open.")
@options.output_option("json")
@click.pass_context
def command(
    ctx: click.Context, *, workload: str | None, mesh: str | None, namespace: str | None, form: str | None
) -> None:
    """Show what each connected proxy, or that of WORKLOAD, has of every type of resource, with the age of that.

    synced: acknowledged · stale: sent, not acknowledged yet · not sent: nothing of this type concerns the proxy ·
    error: refused; the last good version goes on, and below the table stand the reason and the object behind it.

    Exit code 1 when a proxy of WORKLOAD is not connected.
    """
    proxies = client.connect(mesh).get("v1", "proxies", workload=workload, namespace=namespace)["proxies"]
    if form == "json":
        output.print_json(proxies)
    else:
        _print(proxies)
    if workload is not None and not proxies:
        click.echo(f"the proxy of {workload} is not connected", err=True)
        ctx.exit(FAILED)


def _print(proxies: Sequence[dict[str, Any]]) -> None:
    columns = ("NAME", "ROLE", *(name.upper() for name in _TYPES), "CONNECTED")
    output.print_table(columns, [_cells(proxy) for proxy in proxies])
    for proxy in proxies:
        for name, status in proxy["types"].items():
            if status["message"]:
                click.echo(f"{proxy['proxy']} refuses {name.upper()}: {status['message'].strip()}", err=True)
            for rejected in status["rejected"]:
                click.echo(f"  {_because(rejected)}", err=True)


def _cells(proxy: dict[str, Any]) -> tuple[object, ...]:
    states = (_state(proxy["types"].get(name)) for name in _TYPES)
    return (proxy["proxy"], proxy["role"], *states, output.short_age(proxy["connected_seconds"]))


def _state(status: dict[str, Any] | None) -> str:
    if status is None:
        return "-"
    age = output.short_age(status["age_seconds"])
    return f"{status['state']} ({age})" if age else status["state"]


def _because(rejected: dict[str, Any]) -> str:
    objects = f", made from {', '.join(rejected['objects'])}" if rejected["objects"] else ""
    return f"{rejected['resource']}: {rejected['message']}{objects}"
