"""`lateen proxy-config`: what a proxy really runs, asked of its Envoy."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from lateen.cli import client, envoy_summary, options, output
from lateen.cli.envoy_summary import SECTIONS, Row
from lateen.cli.failures import BadInput

_WHATS: Final = (*SECTIONS, "bootstrap", "all")
# The field of a row that each filter looks at, and how it compares.
_FILTERS: Final[Mapping[str, Mapping[str, str]]] = {
    "listeners": {"port": "port", "address": "addresses"},
    "routes": {"route": "name", "fqdn": "vhost_name"},
    "clusters": {"port": "port", "fqdn": "service_fqdn", "subset": "subset", "direction": "direction"},
    "endpoints": {"port": "endpoint", "address": "endpoint", "cluster": "cluster", "status": "status"},
}


class _What(click.Choice[str]):
    """One of the kinds, also in the singular."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the kind that a word means."""
        if value == "policy":
            return "policies"
        return super().convert(f"{value}s" if f"{value}s" in _WHATS else value, param, ctx)


@click.command("proxy-config")
@click.argument("what", type=_What(_WHATS))
@options.workload_argument()
@options.mesh_option
@options.namespace_option()
@click.option("-o", "--output", "form", type=click.Choice(("short", "json")), default="short", show_default=True)
@click.option("--port", type=int, help="Of listeners, clusters, endpoints: only this port.")
@click.option("--address", help="Of listeners, endpoints: only this address.")
@click.option("--fqdn", help="Of clusters, routes: only this service, such as reviews.default.svc.cluster.local.")
@click.option("--subset", help="Of clusters: only this subset.")
@click.option("--direction", type=click.Choice(("inbound", "outbound")), help="Of clusters: only this direction.")
@click.option("--cluster", help="Of endpoints: only those of this cluster, by its full name.")
@click.option("--status", help="Of endpoints: only HEALTHY, UNHEALTHY, DRAINING, …")
@click.option("--route", help="Of routes: only this route configuration, such as 9080.")
def command(
    *, what: str, workload: str, mesh: str | None, namespace: str | None, form: str, **filters: str | int | None
) -> None:
    """Show what the proxy of WORKLOAD runs: listeners, policies, routes, clusters, endpoints, secrets,
    bootstrap, or all of it.

    `-o json` prints the resources as Envoy has them.
    """
    given = {name: value for name, value in filters.items() if value is not None}
    api = client.connect(mesh)

    def read(page: str) -> Any:
        return api.get("v1", "envoy", page, reference=workload, namespace=namespace)

    if what in SECTIONS:
        _show_section(what, read, given, form)
    elif given:
        raise BadInput(f"--{next(iter(given))} does not apply to {what}; it narrows {', '.join(SECTIONS)}")
    elif what == "bootstrap":
        output.print_json(envoy_summary.bootstrap(read("config_dump")))
    else:
        _show_all(read, form)


def _show_section(what: str, read: Callable[[str], Any], given: Mapping[str, str | int], form: str) -> None:
    section, matches = SECTIONS[what], row_filter(what, given)
    dump = read(section.page)
    if form == "json":
        output.print_json(section.select(dump, matches))
    else:
        _print_rows(section.tell(dump, matches))


def row_filter(what: str, given: Mapping[str, str | int]) -> Callable[[Row], bool]:
    """Return a test for rows from the filters that were given; raises `BadInput` for one that does not apply."""
    fields = _FILTERS.get(what, {})
    for name in given:
        if name not in fields:
            usable = ", ".join(f"--{each}" for each in fields) or "none"
            raise BadInput(f"--{name} does not apply to {what}; these do: {usable}")
    return lambda row: all(_fits(name, getattr(row, fields[name]), str(wanted)) for name, wanted in given.items())


def _fits(name: str, value: object, wanted: str) -> bool:
    text = str(value)
    if name == "port":
        return text.rpartition(":")[2] == wanted
    if name == "address":
        return wanted in (text, text.rpartition(":")[0])
    if name == "fqdn":
        return wanted in (text, text.rpartition(":")[0])
    return text.lower() == wanted.lower()


def _show_all(read: Callable[[str], Any], form: str) -> None:
    pages = {page: read(page) for page in dict.fromkeys(section.page for section in SECTIONS.values())}
    if form == "json":
        output.print_json(pages)
        return
    for name, section in SECTIONS.items():
        click.echo(f"# {name}")
        _print_rows(section.tell(pages[section.page], lambda _: True))
        click.echo()


def _print_rows(rows: tuple[Row, ...]) -> None:
    if not rows:
        click.echo("nothing here that fits", err=True)
        return
    output.print_table([field.upper().replace("_", " ") for field in rows[0]._fields], rows)
